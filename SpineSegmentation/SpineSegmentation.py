"""The Slicer module "Spine Segmentation": the panel, its parameters and its self-test.

What needs no Qt is in SpineSegmentationLib; the parts of the panel are in SpineSegmentationPanel.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

HERE = Path(__file__).resolve().parent
# Installed, the library and Resources lie beside this file; in a source checkout, one folder up.
ROOT = HERE if (HERE / "SpineSegmentationLib").is_dir() else HERE.parent
for folder in (HERE, ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# ruff: noqa: E402  the folders had to be found first
from SpineSegmentationPanel import sample
from SpineSegmentationPanel.connection import connect
from SpineSegmentationPanel.naming import name_new_points
from SpineSegmentationPanel.packages import ensure_packages
from SpineSegmentationPanel.selftest import SpineSegmentationTest  # noqa: F401  Slicer looks for it here
from SpineSegmentationPanel.table import LEVELS, VertebraTable
from SpineSegmentationPanel.transport import QProcessTransport
from SpineSegmentationPanel.watcher import NodeWatcher

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import TERMINOLOGY
from SpineSegmentationLib.session import client
from SpineSegmentationLib.systems import DEFAULT, SYSTEMS

TERMINOLOGY_FILE = ROOT / "Resources" / "SegmentationCategoryTypeModifier-SpineSegmentation.term.json"

STAGES = {
    "detection": _("Finding the spine"),
    "labelling": _("Naming the vertebrae"),
    "segmentation": _("Segmenting"),
}


REST = 1000
"""ms without a correction after which the vertebrae are measured."""


class SpineSegmentation(ScriptedLoadableModule):
    """What Slicer shows of the module in its menus and help."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Spine Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Markups", "Segmentations", "Tables"]
        parent.contributors = ["The Spine Segmentation developers"]
        parent.helpText = _(
            "Finds, names and segments every vertebra in a CT, and lets you correct each step: drag the spine box, "
            "drag a centroid, rename, shift, add or delete. Only what changed is segmented again."
        )
        parent.acknowledgementText = _(
            "The method is that of A. Sekuboyina et al., VerSe: a vertebrae labelling and segmentation benchmark for "
            "multi-detector CT images, Medical Image Analysis 73 (2021). Not for clinical use."
        )
        parent.icon = qt.QIcon(self.resourcePath("Icons/SpineSegmentation.png"))
        connect(slicer.app, "startupCompleted()", self.registerSampleData)

    def resourcePath(self, filename):
        return str(ROOT / "Resources" / filename)

    def registerSampleData(self):
        sample.register_sample_data(self.resourcePath("Icons/SpinePhantom.png"))


@parameterNodeWrapper
class SpineSegmentationParameterNode:
    """What a person chooses in the panel.

    inputVolume - the CT.
    system - the method, one of SYSTEMS.
    device - where the networks run.
    autoUpdate - whether a correction in a view is computed as soon as it is made.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    system: Annotated[str, Choice(list(SYSTEMS))] = DEFAULT
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    autoUpdate: bool = True


class SpineSegmentationLogic(SpineLogic, ScriptedLoadableModuleLogic):
    """``SpineSegmentationLib.scene.logic.SpineLogic`` on Slicer's scene; see there.

    Args:
        transport: None to compute in this process, call by call (scripts); or what makes a Transport.
    """

    def __init__(self, transport=None):
        # Slicer itself is no Python interpreter; PythonSlicer on its PATH is.
        python = shutil.which("PythonSlicer") or sys.executable
        program = client.command(python, os.environ.get("SPINE_SEGMENTATION_WEIGHTS"))
        SpineLogic.__init__(self, slicer.mrmlScene, transport=transport, program=program)
        ScriptedLoadableModuleLogic.__init__(self)
        terminologies = slicer.util.getModuleLogic("Terminologies")
        if not terminologies.IsTerminologyContextLoaded(TERMINOLOGY):
            terminologies.LoadTerminologyFromFile(str(TERMINOLOGY_FILE))

    def getParameterNode(self):
        return SpineSegmentationParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))


class SpineSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._then = None
        self._silent = False
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def resourcePath(self, filename):
        return str(ROOT / "Resources" / filename)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/SpineSegmentation.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.placeWidget.buttonsVisible = False
        self.ui.placeWidget.placeButton().show()
        self.ui.relabelComboBox.addItems(LEVELS)

        self.logic = SpineSegmentationLogic(transport=QProcessTransport)
        self.logic.on_progress = self.onProgress
        self.logic.on_update = self.onUpdate
        self.logic.on_done = self.onDone
        self.logic.on_error = self.onError
        self.logic.on_log = self.onLog
        self.table = VertebraTable(self.ui.vertebraTable, self.onRename, self.onLock, self.onKeep, self.onSelect)
        self.watcher = NodeWatcher(self.onNodesChanged)
        self.rest = qt.QTimer()
        self.rest.setSingleShot(True)
        self.rest.setInterval(REST)
        connect(self.rest, "timeout()", self.onRest)

        for button, slot in (
            (self.ui.applyButton, self.onApply),
            (self.ui.cancelButton, self.onCancel),
            (self.ui.updateButton, self.onUpdateButton),
            (self.ui.shiftUpButton, self.onShiftUp),
            (self.ui.shiftDownButton, self.onShiftDown),
            (self.ui.reviewButton, self.onReview),
            (self.ui.insertButton, self.onInsert),
            (self.ui.deleteButton, self.onDelete),
            (self.ui.relabelButton, self.onRelabel),
            (self.ui.undoButton, self.onUndo),
            (self.ui.redoButton, self.onRedo),
            (self.ui.measurementsButton, self.onMeasure),
            (self.ui.exportVerseButton, self.onExportVerse),
            (self.ui.exportSurfacesButton, self.onExportSurfaces),
            (self.ui.exportTableButton, self.onExportTable),
        ):
            connect(button, "clicked()", slot)
        connect(self.ui.boxVisibleCheckBox, "toggled(bool)", self.onBoxVisible)

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    # Life of the panel and of the scene

    def cleanup(self):
        self.rest.stop()
        self.watcher.stop()
        self.logic.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        # Corrections made in other modules (Markups, Segment Editor) are followed too, so nothing is disconnected.
        self.ui.placeWidget.setPlaceModeEnabled(False)

    def onSceneStartClose(self, caller, event):
        self.watcher.stop()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        self.ui.statusLabel.setText(_("Choose a CT volume and press Apply."))
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeRemoved(self, caller, event):
        if not slicer.mrmlScene.IsBatchProcessing():
            self.refresh()

    def initializeParameterNode(self):
        """Shows the scene's parameters; proposes its first volume when none was chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, parameterNode):
        """Connects the panel to a parameter node, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self.refresh()

    def onParametersChanged(self, caller=None, event=None):
        self.refresh()

    # What is shown

    @property
    def result(self):
        """The nodes of the chosen volume; None when there is no volume."""
        volume = self._parameterNode.inputVolume if self._parameterNode else None
        # A volume that was just deleted may still be referred to.
        return Result.of(volume) if volume and volume.GetScene() else None

    def refresh(self):
        """Brings everything in the panel up to date with the scene."""
        result, busy = self.result, self.logic.busy
        vertebrae = self.logic.vertebrae(result) if result else []
        some, idle = bool(vertebrae), not busy
        self.table.show(vertebrae, self.logic.edited(result) if some else [])
        self.ui.applyButton.setEnabled(bool(result) and idle)
        self.ui.cancelButton.setEnabled(busy)
        # A correction in the middle of a computation replaces it, so these wait for nothing.
        for button in (
            self.ui.shiftUpButton,
            self.ui.shiftDownButton,
            self.ui.reviewButton,
            self.ui.insertButton,
            self.ui.deleteButton,
            self.ui.relabelButton,
        ):
            button.setEnabled(some)
        for button in (
            self.ui.measurementsButton,
            self.ui.exportVerseButton,
            self.ui.exportSurfacesButton,
            self.ui.exportTableButton,
        ):
            button.setEnabled(some and idle)
        self.ui.undoButton.setEnabled(bool(result) and self.logic.canUndo(result))
        self.ui.redoButton.setEnabled(bool(result) and self.logic.canRedo(result))
        self.ui.updateButton.setEnabled(bool(result) and idle and self.logic.hasEdits(result))
        box = result.box if result else None
        self.ui.boxVisibleCheckBox.setEnabled(box is not None)
        self.ui.boxVisibleCheckBox.setChecked(box is not None and bool(box.GetDisplayVisibility()))
        self.ui.placeWidget.setCurrentNode(result.centroids if result else None)
        self.ui.show3DButton.setSegmentationNode(result.segmentation if result else None)
        self.watcher.watch((result.box, result.centroids) if result else ())
        if not busy:
            self.ui.progressBar.setMaximum(1)
            self.ui.progressBar.setValue(0)

    def showStatus(self, text):
        """One line under the Apply button, also in the log."""
        self.ui.statusLabel.setText(text)
        self.onLog(text)

    def onProgress(self, result, stage, done, total, level):
        if self._silent:
            return
        text = STAGES.get(stage, stage)
        if stage == "segmentation":
            text = _("{stage}: {done} of {total}").format(stage=text, done=done, total=total) + f" {level or ''}"
        self.ui.statusLabel.setText(text)
        # A bar from 0 to 0 runs back and forth: how long one network takes is not known.
        self.ui.progressBar.setMaximum(total if total > 1 else 0)
        self.ui.progressBar.setValue(done)
        self.ui.cancelButton.setEnabled(True)

    def onUpdate(self, result):
        self.refresh()

    def onDone(self, result, warnings):
        vertebrae = self.logic.vertebrae(result)
        if vertebrae:
            text = _("{count} vertebrae, {first} to {last}.").format(
                count=len(vertebrae), first=vertebrae[0].level, last=vertebrae[-1].level
            )
        else:
            text = _("No vertebra was found.")
        if not self._silent:
            self.showStatus(" ".join([text, *(f"{warning}." for warning in warnings)]))
            self.rest.start()
        self.refresh()
        then, self._then = self._then, None
        if then:
            then(result)

    def onError(self, result, message):
        self._then = None
        self.refresh()
        if not self._silent:
            self.showStatus(message)

    def onLog(self, text):
        self.ui.logTextEdit.appendPlainText(text.rstrip())

    # Running

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("The vertebrae could not be segmented.")):
            ensure_packages(self.resourcePath("requirements.txt"))
            self.logic.device = self._parameterNode.device
            self._then, self._silent = None, False
            self.logic.process(self._parameterNode.inputVolume, self._parameterNode.system)
            self.ui.statusLabel.setText(_("Starting"))
        self.refresh()

    def onCancel(self):
        self.logic.cancel()

    def onNodesChanged(self):
        """The box or the centroids were changed in a view, in another module or by a script."""
        result = self.result
        if result is None:
            return
        if result.centroids:
            name_new_points(result.centroids, {v.level: v.ras[2] for v in self.logic.vertebrae(result)})
        if self._parameterNode.autoUpdate and self.logic.hasEdits(result):
            self._then, self._silent = None, False
            try:
                self.logic.applyEdits(result)
            except SpineError as error:
                self.showStatus(str(error))
        self.refresh()

    def onUpdateButton(self):
        self.edit(self.logic.applyEdits)

    # Corrections

    def edit(self, action, *arguments, then=None):
        """Makes one correction of the chosen volume's result; ``then`` gets the result when it is computed."""
        result = self.result
        if result is None:
            return
        self._then, self._silent = then, False
        try:
            with slicer.util.tryWithErrorDisplay(_("The correction could not be made.")):
                action(result, *arguments)
        finally:
            self.refresh()

    def editSelected(self, action, *arguments):
        """Makes one correction of the vertebra in the selected row."""
        if self.table.selected is None:
            self.showStatus(_("Select a vertebra in the table first."))
            return
        self.edit(action, self.table.selected, *arguments)

    def onRename(self, old, new):
        self.edit(self.logic.rename, old, new)

    def onLock(self, level, on):
        self.edit(self.logic.lock, level, on)

    def onKeep(self, level, on):
        self.edit(self.logic.keep, level, on)

    def onSelect(self, level):
        """Jumps to a vertebra in all slice views."""
        self.ui.relabelComboBox.setCurrentIndex(LEVELS.index(level))
        for vertebra in self.logic.vertebrae(self.result):
            if vertebra.level == level:
                right, anterior, superior = (float(value) for value in vertebra.ras)
                slicer.modules.markups.logic().JumpSlicesToLocation(right, anterior, superior, True)

    def onReview(self):
        vertebrae = [vertebra for vertebra in self.logic.vertebrae(self.result) if not vertebra.locked]
        if vertebrae:
            self.table.select(min(vertebrae, key=lambda vertebra: vertebra.confidence).level)

    def onShiftUp(self):
        self.edit(self.logic.shift, -1)

    def onShiftDown(self):
        self.edit(self.logic.shift, 1)

    def onInsert(self):
        upper, levels = self.table.selected, self.table.levels
        if upper is None or upper == levels[-1]:
            self.showStatus(_("Select the vertebra above the missing one."))
            return
        self.edit(self.logic.insertBetween, upper, levels[levels.index(upper) + 1])

    def onDelete(self):
        self.editSelected(self.logic.delete)

    def onRelabel(self):
        self.editSelected(self.logic.relabelFrom, self.ui.relabelComboBox.currentText)

    def onUndo(self):
        self.edit(self.logic.undo)

    def onRedo(self):
        self.edit(self.logic.redo)

    def onBoxVisible(self, visible):
        result = self.result
        if result and result.box:
            result.box.SetDisplayVisibility(visible)

    # Results

    def onMeasure(self):
        self.edit(self.logic.measure, then=self.showTable)

    def onRest(self):
        """Nothing was corrected for a moment: time to measure, so that the table shows volumes and completeness."""
        result = self.result
        if result is None or self.logic.busy or self.logic.hasEdits(result):
            return
        if any(vertebra.volume_mm3 is None for vertebra in self.logic.vertebrae(result)):
            self._silent = True
            self.logic.measure(result)

    def showTable(self, result):
        """Shows the measurements under the four views."""
        application = slicer.app.applicationLogic()
        application.GetSelectionNode().SetActiveTableID(result.table.GetID())
        application.PropagateTableSelection()
        layoutManager = slicer.app.layoutManager()
        if layoutManager:
            layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)

    def onExportVerse(self):
        self.export(self.logic.exportVerSe, self.result)

    def onExportSurfaces(self):
        self.export(self.logic.exportStl, self.result)

    def onExportTable(self):
        self.edit(self.logic.measure, then=self.exportTable)

    def exportTable(self, result):
        self.export(self.logic.exportCsv, result, f"{result.volume.GetName()}_measurements.csv")

    def export(self, action, result, name=""):
        """Writes files into the chosen folder and says which."""
        with slicer.util.tryWithErrorDisplay(_("The files could not be written."), waitCursor=True):
            paths = action(result, Path(self.ui.exportDirectoryButton.directory) / name)
            self.showStatus(_("Written: {files}").format(files=", ".join(str(path) for path in paths)))
