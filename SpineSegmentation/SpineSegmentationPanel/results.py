"""What a person does with a result in the panel: how it is shown, export."""

import re
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SpineSegmentationLib.scene.logic import file_name
from SpineSegmentationLib.scene.mrml import display

from .archiving import export_dicom
from .connection import connect
from .status import DONE


class Results:
    """Showing and giving out the chosen volume's result; the widget gives the rest, as for ``Corrections``."""

    def connectResults(self):
        for button, slot in (
            (self.ui.exportVerseButton, self.onExportVerse),
            (self.ui.exportSurfacesButton, self.onExportSurfaces),
            (self.ui.exportTableButton, self.onExportTable),
            (self.ui.exportDicomButton, self.onExportDicom),
        ):
            connect(button, "clicked()", slot)
        connect(self.ui.boxVisibleCheckBox, "toggled(bool)", self.onBoxVisible)
        connect(self.ui.show3DCheckBox, "clicked(bool)", self.onShow3D)
        connect(self.ui.outlineCheckBox, "clicked(bool)", self.onFill)
        connect(self.ui.opacitySlider, "valueChanged(int)", self.onFill)
        connect(self.ui.straightButton, "clicked(bool)", self.onStraight)

    def showResults(self, result, some, idle):
        """Brings the buttons and boxes up to date."""
        for button in (
            self.ui.exportVerseButton,
            self.ui.exportSurfacesButton,
            self.ui.exportTableButton,
            self.ui.exportDicomButton,
        ):
            button.setEnabled(some and idle)
        self.ui.straightButton.setEnabled(some)
        self.ui.straightButton.setChecked(self.views.straightened)
        box = result.box if result else None
        self.ui.boxVisibleCheckBox.setEnabled(box is not None)
        self.ui.boxVisibleCheckBox.setChecked(box is not None and bool(box.GetDisplayVisibility()))
        segmentation = result.segmentation if result else None
        for widget in (self.ui.outlineCheckBox, self.ui.opacitySlider):
            widget.setEnabled(segmentation is not None)

    def onBoxVisible(self, visible):
        result = self.result
        if result and result.box:
            result.box.SetDisplayVisibility(visible)

    def onShow3D(self, on):
        result = self.result
        if result and result.segmentation:
            self.views.show_surfaces(result, on)

    def onFill(self, value=None):
        result = self.result
        if result and result.segmentation:
            display.show_fill(result.segmentation, self.ui.opacitySlider.value / 100, self.ui.outlineCheckBox.checked)

    def onStraight(self, on):
        with slicer.util.tryWithErrorDisplay(_("The column could not be straightened.")):
            self.views.straighten(self.result, on)
        self.refresh()

    def onExportVerse(self):
        self.export(self.logic.exportVerSe, self.result)

    def onExportSurfaces(self):
        self.export(self.logic.exportStl, self.result)

    def onExportTable(self):
        self.edit(self.logic.measure, then=self.exportTable)

    def onExportDicom(self):
        self.export(lambda result, folder: export_dicom(self.logic, result, folder, file_name(result)), self.result)

    def exportTable(self, result):
        self.export(self.logic.exportCsv, result, f"{file_name(result)}_measurements.csv")

    def export(self, action, result, name=""):
        """Writes files into the chosen folder and says which."""
        folder = Path(self.ui.exportDirectoryButton.directory)
        ends = re.compile(re.escape(file_name(result)) + r"_(seg[-.].+|measurements\.csv|[A-Z]+\d*\.stl)")
        there = [file.name for file in folder.glob("*") if ends.fullmatch(file.name)]
        if there and not self.confirm(_("Replace what is there by the name of {file}?").format(file=min(there))):
            return
        with slicer.util.tryWithErrorDisplay(_("The files could not be written."), waitCursor=True):
            paths = action(result, folder / name)
            self.showStatus(_("Written: {files}").format(files=", ".join(str(path) for path in paths)), DONE)
