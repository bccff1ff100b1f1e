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
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
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
from SpineSegmentationPanel.corrections import Corrections
from SpineSegmentationPanel.measuring import Measuring
from SpineSegmentationPanel.packages import ensure_packages
from SpineSegmentationPanel.placing import PlaceButton
from SpineSegmentationPanel.results import Results
from SpineSegmentationPanel.selftest import SpineSegmentationTest  # noqa: F401  Slicer looks for it here
from SpineSegmentationPanel.starting import Starting
from SpineSegmentationPanel.status import DONE, ERROR, INFO, WARNING, StatusLine
from SpineSegmentationPanel.table import LEVELS, VertebraTable
from SpineSegmentationPanel.transport import QProcessTransport
from SpineSegmentationPanel.verdict import VerdictRow
from SpineSegmentationPanel.views import Views
from SpineSegmentationPanel.watcher import NodeWatcher

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import TERMINOLOGY
from SpineSegmentationLib.scene.mrml.volume import hardened_copy, is_warped
from SpineSegmentationLib.session import client
from SpineSegmentationLib.session.engine import CANCELLED
from SpineSegmentationLib.systems import DEFAULT, SYSTEMS

TERMINOLOGY_FILE = ROOT / "Resources" / "SegmentationCategoryTypeModifier-SpineSegmentation.term.json"

METHODS = {
    "combined": _("The best parts of the three below; the default."),
    "anduin": _("Sekuboyina et al. 2021: names from projections of the spine, then one vertebra at a time."),
    "payer": _("Payer et al. 2020: one heatmap per vertebra, then one vertebra at a time."),
    "attention": _("Sekuboyina et al. 2017: an attention-driven network, then one vertebra at a time."),
    "lessmann": _("Lessmann et al. 2019: one vertebra after the other, up the column."),
    "mccouat-glocker": _("McCouat and Glocker 2019: names voxel by voxel; slower."),
}
"""What a person reads about a method."""

REST = 300
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
        file, thumbnail = "SampleData/SpinePhantom.nrrd", "Icons/SpinePhantom.png"
        sample.register_sample_data(self.resourcePath(file), self.resourcePath(thumbnail))


@parameterNodeWrapper
class SpineSegmentationParameterNode:
    """What a person chooses in the panel.

    inputVolume - the CT.
    outputSegmentation - the segmentation to write into; none makes a new one.
    system - the method, one of SYSTEMS.
    device - where the networks run.
    weights - a folder with weights that come before the shipped ones; none when empty.
    autoUpdate - whether a correction in a view is computed as soon as it is made.
    sacrum - whether the sacrum is segmented, too.
    show3D - whether the surfaces are shown after Apply.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    system: Annotated[str, Choice(list(SYSTEMS))] = DEFAULT
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    weights: str = ""
    autoUpdate: bool = True
    show3D: bool = True
    sacrum: bool = False


class SpineSegmentationLogic(SpineLogic, ScriptedLoadableModuleLogic):
    """``SpineSegmentationLib.scene.logic.SpineLogic`` on Slicer's scene; see there.

    The networks never run in Slicer's own process: a worker does the work.

    Args:
        transport: None to wait for the worker, call by call (scripts); or what makes a Transport.
    """

    def __init__(self, transport=None):
        SpineLogic.__init__(self, slicer.mrmlScene, transport=transport)
        self.useWeights("")
        ScriptedLoadableModuleLogic.__init__(self)
        terminologies = slicer.util.getModuleLogic("Terminologies")
        if not terminologies.IsTerminologyContextLoaded(TERMINOLOGY):
            terminologies.LoadTerminologyFromFile(str(TERMINOLOGY_FILE))

    def useWeights(self, folder):
        """From the next call on, weights in a folder that ``train`` wrote come before the shipped ones.

        Args:
            folder: "" for the one in the environment variable SPINE_SEGMENTATION_WEIGHTS, or none.
        """
        # Slicer itself is no Python interpreter; PythonSlicer on its PATH is.
        python = shutil.which("PythonSlicer") or sys.executable
        self.program = client.command(python, folder or os.environ.get("SPINE_SEGMENTATION_WEIGHTS"))

    def getParameterNode(self):
        return SpineSegmentationParameterNode(ScriptedLoadableModuleLogic.getParameterNode(self))


class SpineSegmentationWidget(
    Corrections, Measuring, Results, Starting, ScriptedLoadableModuleWidget, VTKObservationMixin
):
    """The panel."""

    def __init__(self, parent=None):
        self.logic = None
        self.confirm = slicer.util.confirmYesNoDisplay
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._then = None
        self._silent = False
        self._fresh = False
        self._verb = ""
        self._told = None
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
        self.ui.relabelComboBox.addItems(LEVELS)

        self.logic = SpineSegmentationLogic(transport=QProcessTransport)
        self.logic.on_progress = self.onProgress
        self.logic.on_update = self.onUpdate
        self.logic.on_done = self.onDone
        self.logic.on_error = self.onError
        self.logic.on_log = self.onLog
        self.status = StatusLine(self.ui.statusIcon, self.ui.statusLabel, self.ui.progressBar)
        self.table = VertebraTable(
            self.ui.vertebraTable, self.onRename, self.onLock, self.onKeep, self.onSelect, self.onMenu
        )
        self.verdict = VerdictRow(self.ui.verdictLabel, self.ui.readAsButton, self.onRead)
        self.views = Views(slicer.mrmlScene)
        self.place = PlaceButton(self.ui.placeButton)
        self.watcher = NodeWatcher(self.onNodesChanged, self.onPointClicked)
        self.straightWatcher = NodeWatcher(self.onStraightChanged, self.onPointClicked)
        self.rest = qt.QTimer()
        self.rest.setSingleShot(True)
        self.rest.setInterval(REST)
        connect(self.rest, "timeout()", self.onRest)

        connect(self.ui.applyButton, "clicked()", self.onApply)
        connect(self.ui.cancelButton, "clicked()", self.onCancel)
        connect(self.ui.weightsButton, "clicked()", self.onChooseWeights)
        connect(self.ui.sacrumCheckBox, "clicked(bool)", self.onSacrum)
        self.connectCorrections()
        self.connectMeasuring()
        self.connectResults()
        self.connectStarting()

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    # Life of the panel and of the scene

    def cleanup(self):
        self.rest.stop()
        self.status.stop()
        self.watcher.stop()
        self.straightWatcher.stop()
        self.place.close()
        self.views.close()
        self.logic.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self.onNodesChanged()  # an undo in Segment Editor brings old names back
        for shortcut in self.keys:
            shortcut.setEnabled(True)

    def exit(self):
        # Corrections made in other modules (Markups, Segment Editor) are followed too, so nothing is disconnected.
        self.place.stop()
        for shortcut in self.keys:
            shortcut.setEnabled(False)

    def onSceneStartClose(self, caller, event):
        self.views.close()
        self.watcher.stop()
        self.straightWatcher.stop()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node):
        # Hidden nodes are our own, which refreshing takes away.
        if not slicer.mrmlScene.IsBatchProcessing() and not node.GetHideFromEditors():
            self.refresh()

    def initializeParameterNode(self):
        """Shows the scene's parameters; proposes its first volume when none was chosen."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            scene = slicer.mrmlScene
            for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
                volume = scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
                if not volume.GetHideFromEditors() and not volume.IsA("vtkMRMLLabelMapVolumeNode"):
                    self._parameterNode.inputVolume = volume
                    break

    def setParameterNode(self, parameterNode):
        """Connects the panel to a parameter node, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersChanged)
        self.onParametersChanged()

    def onParametersChanged(self, caller=None, event=None):
        if self._parameterNode:
            self.logic.device = self._parameterNode.device
            self.logic.useWeights(self._parameterNode.weights)
        self.refresh()

    def onChooseWeights(self):
        folder = qt.QFileDialog.getExistingDirectory(
            self.parent, _("Folder with weights"), self.ui.weightsLineEdit.text
        )
        if folder:
            self.ui.weightsLineEdit.setText(folder)

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
        some, idle = bool(vertebrae), not busy or self._silent
        self.table.show(vertebrae, self.logic.edited(result) if some else [])
        self.verdict.show(
            self.logic.numbering(result) if some else None, some, any(vertebra.by_person for vertebra in vertebrae)
        )
        self.ui.applyButton.setEnabled(bool(result) and idle)
        self.ui.applyButton.setText(_("Start over") if some else _("Apply"))
        self.ui.cancelButton.setEnabled(not idle)
        system = SYSTEMS[self._parameterNode.system] if self._parameterNode else None
        self.ui.sacrumCheckBox.setEnabled(system is not None and not system.strange_to_sacrum)
        self.ui.methodLabel.setText(METHODS.get(self._parameterNode.system, "") if self._parameterNode else "")
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
        self.ui.undoButton.setEnabled(bool(result) and self.logic.canUndo(result))
        self.ui.redoButton.setEnabled(bool(result) and self.logic.canRedo(result))
        self.ui.updateButton.setEnabled(bool(result) and idle and self.logic.hasEdits(result))
        self.place.set_points(result.centroids if result else None)
        self.showMeasuring(result, some, idle)
        self.showResults(result, some, idle)
        self.showStarting(result, idle)
        self.watcher.watch((result.box, result.centroids) if result else ())
        if not self.straightWatcher.waiting:
            # Else a point would jump back from under the mouse.
            self.views.update(result)
        self.straightWatcher.watch((self.views.straight.points,))
        if not busy:
            self.status.stop()
        self.tellChoice(result, vertebrae, busy and not self._silent)

    def tellChoice(self, result, vertebrae, running):
        """When another volume is chosen, or a scene was opened or closed, views and line are about that.

        Args:
            running: whether the line says how far a run is.
        """
        if self._told == (result,):
            return
        self._told = (result,)
        self.views.draw(result)
        if running:
            return
        if result is None:
            self.status.show(_("Choose a CT volume and press Apply."))
        else:
            text = self.summary(vertebrae) if vertebrae else _("{name} was not segmented yet; press Apply.")
            self.status.show(text.format(name=result.volume.GetName()))

    def summary(self, vertebrae):
        """How many there are, and from where to where."""
        names = [vertebra.level for vertebra in vertebrae if vertebra.is_level]
        if not names:
            return _("No vertebra was found.")
        text = _("{count} vertebrae, {first} to {last}.")
        return text.format(count=len(names), first=names[0], last=names[-1])

    def showStatus(self, text, kind=INFO):
        """One line under the Apply button, also in the log."""
        self.status.show(text, kind)
        self.onLog(text)

    def onProgress(self, result, stage, done, total, level):
        if not self._silent:
            self.status.progress(stage, done, total, level)
            self.ui.cancelButton.setEnabled(True)

    def onUpdate(self, result):
        self.refresh()

    def onDone(self, result, warnings):
        self.refresh()
        vertebrae = self.logic.vertebrae(result)
        if not self._silent:
            text = " ".join([self._verb, self.summary(vertebrae), *(f"{warning}." for warning in warnings)]).strip()
            self.showStatus(text, WARNING if warnings or not vertebrae else DONE)
            self.rest.start()
        fresh, self._fresh, self._verb = self._fresh, False, ""
        if fresh and vertebrae and result == self.result:
            self.views.draw(result)
            self.views.after_apply(result, vertebrae, self._parameterNode.show3D)
            self.refresh()
            self.onReview()
        then, self._then = self._then, None
        if then:
            then(result)

    def onError(self, result, message):
        self._then, self._fresh, self._verb = None, False, ""
        self.refresh()
        if not self._silent:
            self.showStatus(message, INFO if message == CANCELLED else ERROR)

    def onLog(self, text):
        self.ui.logTextEdit.appendPlainText(text.rstrip())

    # Running

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("The vertebrae could not be segmented.")):
            volume = self.readyVolume()
            if volume is not None:
                self.stopMeasuring()
                ensure_packages(self.resourcePath("requirements.txt"))
                self._then, self._silent, self._fresh, self._verb = None, False, True, ""
                chosen = self._parameterNode
                self.logic.process(volume, chosen.system, chosen.outputSegmentation, chosen.sacrum)
                self.status.start()
        self.refresh()

    def readyVolume(self):
        """The chosen volume, once a person agreed to what Apply would do to corrections and transforms; else None."""
        result = self.result
        if self.logic.hasWork(result) and not self.confirm(
            _(
                "Start over? Your corrections of this volume are replaced, but for locked vertebrae and for the voxels "
                "of segments that are kept. Undo brings back those that were computed."
            )
        ):
            return None
        if not is_warped(result.volume):
            return result.volume
        if not self.confirm(
            _(
                "The volume lies under a transform that is not linear (a gantry tilt that is mended, for example). "
                "Segment a hardened copy of it?"
            )
        ):
            return None
        with slicer.util.WaitCursor():
            self._parameterNode.inputVolume = hardened_copy(result.volume)
        return self._parameterNode.inputVolume

    def onCancel(self):
        self.logic.cancel()

    def onNodesChanged(self):
        """The box or the centroids were changed in a view, in another module or by a script."""
        result = self.result
        if result is None:
            return
        if self.showProblem():
            pass
        elif self.logic.boxMoved(result):
            self.status.show(_("The box was changed. Press Update to name and segment everything in it anew."), WARNING)
        elif self._parameterNode.autoUpdate and self.logic.hasEdits(result):
            self._then, self._silent, self._fresh = None, False, False
            try:
                self.logic.applyEdits(result)
            except SpineError as error:
                self.showStatus(str(error), ERROR)
        self.refresh()

    def onStraightChanged(self):
        """A point was dragged in the straightened view: the one of the patient follows, and all that follows it."""
        if not self.views.straight.take_back():
            self.views.update(self.result)
