"""Start from a segmentation that somebody else made: what is found in it, and what our labeller says of its names."""

import slicer
from slicer.i18n import tr as _

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.foreign.codes import TABLES
from SpineSegmentationLib.scene import starting

from .connection import connect
from .packages import ensure_packages
from .status import DONE, WARNING

GUESS = ""
"""The numbers of a label map mean what their order and places say."""


class Starting:
    """The section "Start from an existing segmentation"; the widget gives the rest, as for ``Corrections``."""

    def connectStarting(self):
        self._adopted = self._shift = None
        self.ui.codesComboBox.addItems([_("guess"), *TABLES])
        connect(self.ui.startButton, "clicked()", self.onStart)
        connect(self.ui.startSelector, "currentNodeChanged(vtkMRMLNode*)", self.onSourceChosen)
        connect(self.ui.findingsList, "currentRowChanged(int)", self.onFinding)
        connect(self.ui.takeShiftButton, "clicked()", self.onTakeShift)

    def showStarting(self, result, idle):
        """Brings the section up to date; findings are those of the chosen volume."""
        source = self.ui.startSelector.currentNode()
        self.ui.startButton.setEnabled(result is not None and source is not None and idle)
        self.ui.codesComboBox.setEnabled(source is not None and source.IsA("vtkMRMLLabelMapVolumeNode"))
        if self._adopted is not None and self._adopted[0] != result:
            self._adopted = self._shift = None
            self.ui.findingsList.clear()
        self.ui.takeShiftButton.setVisible(self._shift is not None)
        self.ui.takeShiftButton.setEnabled(idle)

    def onSourceChosen(self, node):
        self.refresh()

    def onStart(self):
        with slicer.util.tryWithErrorDisplay(_("The segmentation could not be taken over.")):
            self.startFrom(self.ui.startSelector.currentNode())
        self.refresh()

    def startFrom(self, source):
        result = self.result
        if source is result.segmentation:
            raise SpineError(_("this is the segmentation of the result already; choose another one"))
        if result.nodes and not self.confirm(
            _("Start from this segmentation? The present result of the volume is removed.")
        ):
            return
        codes = GUESS if self.ui.codesComboBox.currentIndex == 0 else self.ui.codesComboBox.currentText
        with slicer.util.WaitCursor():
            # Here, as showing the cursor lets timers go off.
            self.stopMeasuring()
            result, adopted = starting.start_from(self.logic, result.volume, source, codes, replace=True)
        self._adopted, self._shift = (result, adopted), None
        self.ui.findingsList.clear()
        for text in (*(finding.text for finding in adopted.findings), *adopted.notes):
            self.ui.findingsList.addItem(text[:1].upper() + text[1:])
        vertebrae = self.logic.vertebrae(result)
        self.views.draw(result)
        self.views.after_apply(result, vertebrae, self._parameterNode.show3D)
        self.showStatus(self.summary(vertebrae), WARNING if adopted.findings else DONE)
        if self.ui.checkNamesCheckBox.checked:
            ensure_packages(self.resourcePath("requirements.txt"))
            self._then, self._silent, self._fresh, self._verb = None, False, False, ""
            starting.judge(self.logic, result, adopted, self.onJudged)
            if self.logic.busy:
                self.status.start()

    def onJudged(self, verdict):
        """The labeller has looked at the scan."""
        self.refresh()
        if verdict is None:
            self.showStatus(_("The names were not checked."), WARNING)
            return
        self._shift = verdict.shift or None
        self.ui.takeShiftButton.setText(_("Shift by {by}").format(by=f"{verdict.shift or 0:+d}"))
        for text in (verdict.sentence, *(finding.text for finding in verdict.findings)):
            self.ui.findingsList.addItem(text[:1].upper() + text[1:])
        self.showStatus(verdict.sentence, DONE if verdict.shift == 0 and not verdict.findings else WARNING)
        self.refresh()

    def onTakeShift(self):
        by, self._shift = self._shift, None
        if by is not None:
            self.edit(self.logic.shift, by)

    def onFinding(self, row):
        """Goes to the vertebra that a finding is about."""
        findings = self._adopted[1].findings if self._adopted is not None else ()
        if 0 <= row < len(findings) and findings[row].levels:
            self.table.select(findings[row].levels[0].name)
