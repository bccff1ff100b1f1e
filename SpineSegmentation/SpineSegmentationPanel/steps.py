"""What the self-tests are made of: the panel on a fresh scene, waiting, dragging, reading what there is."""

import time

import numpy as np
import slicer
import slicer.packaging
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from SpineSegmentationLib.scene.mrml.result import Result

from .sample import add_phantom

HANG = 600
"""Seconds after which nothing will happen any more."""


class Steps(ScriptedLoadableModuleTest):
    """The real panel, and a small synthetic CT chosen in it."""

    phantom = None

    def runTest(self):
        """For the button "Reload and Test"."""
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            self.delayDisplay(name)
            getattr(self, name)()

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.panel = slicer.util.getModuleWidget("SpineSegmentation")
        if slicer.util.mainWindow():
            slicer.util.selectModule("SpineSegmentation")
        self.panel.enter()
        self.ui, self.logic = self.panel.ui, self.panel.logic
        requirements = slicer.packaging.load_requirements(self.panel.resourcePath("requirements.txt"))
        if not slicer.packaging.pip_check(requirements):
            self.skipTest(f"Slicer's Python lacks some of {', '.join(map(str, requirements))}")
        self.volume = self.new_volume()
        self.ui.inputSelector.setCurrentNode(self.volume)
        self.ui.autoUpdateCheckBox.setChecked(True)
        self.panel.confirm = lambda text: True

    def tearDown(self):
        self.panel.confirm = slicer.util.confirmYesNoDisplay
        if self.panel.views.straightened:
            self.ui.straightButton.click()

    def new_volume(self):
        """The phantom, made once."""
        if Steps.phantom is None or Steps.phantom[0] is not add_phantom:
            volume = add_phantom("T11", "L4", (1.5, 1.5, 2.0), (150.0, 150.0))
            kept = slicer.vtkMRMLScalarVolumeNode()
            kept.CopyContent(volume)
            kept.SetName(volume.GetName())
            Steps.phantom = (add_phantom, kept)
            return volume
        kept = Steps.phantom[1]
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", kept.GetName())
        volume.CopyContent(kept)
        volume.CreateDefaultDisplayNodes()
        return volume

    def apply(self):
        """Clicks Apply and waits; returns the result."""
        self.ui.applyButton.click()
        result = Result.of(self.volume)
        self.settle(result)
        return result

    def settle(self, result):
        """Waits until every correction is computed."""
        self.wait(lambda: not self.logic.busy and not self.logic.hasEdits(result), "the computation to end")

    def wait(self, condition, what):
        """Runs the event loop until the condition holds."""
        deadline = time.monotonic() + HANG
        while not condition():
            late = time.monotonic() > deadline
            self.assertFalse(late, f"waited {HANG} s for {what}; the panel says: {self.panel.status.text}")
            slicer.app.processEvents()
            time.sleep(0.01)
        slicer.app.processEvents()

    def drag(self, points, index, position):
        """What the views do when a control point is dragged."""
        points.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
        points.SetNthControlPointPositionWorld(index, *(float(value) for value in position))
        points.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)

    def names(self, result):
        return [vertebra.level for vertebra in self.logic.vertebrae(result)]

    def place(self, result, name):
        return np.array(result.centroids.GetNthControlPointPositionWorld(self.index(result, name)))

    def index(self, result, name):
        points = result.centroids
        return [points.GetNthControlPointLabel(i) for i in range(points.GetNumberOfControlPoints())].index(name)

    def segment_id(self, result, name):
        return result.segmentation.GetSegmentation().GetSegmentIdBySegmentName(f"{name} vertebra")

    def segment_names(self, result):
        segmentation = result.segmentation.GetSegmentation()
        names = [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]
        return [name.removesuffix(" vertebra") for name in names]

    def mask(self, result, name):
        identifier = self.segment_id(result, name)
        return slicer.util.arrayFromSegmentBinaryLabelmap(result.segmentation, identifier, result.volume)

    def masks(self, result):
        return {name: self.mask(result, name) for name in self.names(result)}

    def written(self, result):
        """When each segment's label map was last written, by name."""
        segmentation = result.segmentation.GetSegmentation()
        segments = {name: segmentation.GetSegment(self.segment_id(result, name)) for name in self.names(result)}
        return {name: segment.GetRepresentation("Binary labelmap").GetMTime() for name, segment in segments.items()}

    def assert_same(self, expected, found):
        self.assertEqual(list(expected), list(found))
        for name, mask in expected.items():
            np.testing.assert_array_equal(mask, found[name], err_msg=name)
