"""Drives the real panel in the real application on a small synthetic CT; under three minutes on two cores, no GPU."""

import os
import tempfile
import time

import numpy as np
import slicer
import slicer.packaging
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from SpineSegmentationLib.scene.mrml.result import Result

from .sample import add_phantom


class SpineSegmentationTest(ScriptedLoadableModuleTest):
    """What a user does, step by step: Apply, drag, rename, undo, cancel, save and open again."""

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
        self.volume = add_phantom("T11", "L4", (1.5, 1.5, 2.0), (150.0, 150.0))
        self.ui.inputSelector.setCurrentNode(self.volume)

    # The steps

    def test_apply(self):
        """Box, points and segments appear, with names, codes and their place in the tree."""
        result = self.apply()
        self.assertIsNotNone(result.box)
        names = self.names(result)
        self.assertGreaterEqual(len(names), 4, f"only {names} found in a phantom with six vertebrae")
        self.assertEqual(names, self.segment_names(result))
        self.assertEqual(names, self.panel.table.levels)
        self.assertEqual(len(names), self.ui.vertebraTable.rowCount)
        for name in names:
            self.assertGreater(int(self.mask(result, name).sum()), 100, f"{name} is empty")
        segment = result.segmentation.GetSegmentation().GetSegment(self.segment_id(result, names[0]))
        tag = vtk.reference("")
        self.assertTrue(segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), tag))
        self.assertIn("SCT^123037004", str(tag))
        tree = slicer.mrmlScene.GetSubjectHierarchyNode()
        item, parent = (tree.GetItemByDataNode(node) for node in (result.segmentation, self.volume))
        self.assertIn(parent, (tree.GetItemParent(item), tree.GetItemParent(tree.GetItemParent(item))))

    def test_drag_centroid(self):
        """A dragged point changes that vertebra and leaves all but its neighbours alone; undo and redo restore it."""
        result = self.apply()
        name, far = self.names(result)[0], self.names(result)[3:]
        before, place, written = self.masks(result), self.place(result, name), self.written(result)
        moved = place + (3.0, -2.0, 1.0)
        self.drag(result.centroids, self.index(result, name), moved)
        self.settle(result)
        np.testing.assert_allclose(self.place(result, name), moved, atol=1e-3)
        self.assertEqual([written[other] for other in far], [self.written(result)[other] for other in far])
        after = self.masks(result)
        self.assertEqual(list(before), list(after))
        self.ui.undoButton.click()
        self.settle(result)
        np.testing.assert_allclose(self.place(result, name), place, atol=1e-3)
        self.assert_same(before, self.masks(result))
        self.ui.redoButton.click()
        self.settle(result)
        self.assert_same(after, self.masks(result))

    def test_drag_box(self):
        """After the box was dragged only vertebrae inside it are left; undo brings the others back."""
        result = self.apply()
        names = self.names(result)
        box = result.box
        bounds = [0.0] * 6
        box.GetRASBounds(bounds)
        middle = (self.place(result, names[1])[2] + self.place(result, names[2])[2]) / 2
        markups = slicer.vtkMRMLMarkupsNode
        box.InvokeEvent(markups.PointStartInteractionEvent)
        box.SetSizeWorld(bounds[1] - bounds[0], bounds[3] - bounds[2], bounds[5] - middle)
        box.SetCenterWorld((bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2, (bounds[5] + middle) / 2)
        box.InvokeEvent(markups.PointEndInteractionEvent)
        self.settle(result)
        inside = self.names(result)
        self.assertLess(len(inside), len(names))
        self.assertTrue(all(self.place(result, name)[2] >= middle - 5 for name in inside))
        self.ui.undoButton.click()
        self.settle(result)
        self.assertEqual(names, self.names(result))

    def test_shift_rename_delete(self):
        """Names change; the label maps are not even touched."""
        result = self.apply()
        names, before, written = self.names(result), self.masks(result), self.written(result)
        self.ui.shiftUpButton.click()
        self.settle(result)
        shifted = self.names(result)
        self.assertTrue(set(names) != set(shifted) and len(names) == len(shifted))
        self.assert_same(dict(zip(shifted, before.values(), strict=True)), self.masks(result))
        self.assertEqual(list(written.values()), list(self.written(result).values()))
        self.ui.undoButton.click()
        self.settle(result)
        self.assertEqual(names, self.names(result))
        self.ui.vertebraTable.selectRow(0)
        self.ui.deleteButton.click()
        self.settle(result)
        self.assertEqual(names[1:], self.names(result))
        self.assertEqual(names[1:], self.segment_names(result))
        self.ui.undoButton.click()
        self.settle(result)
        self.assert_same(before, self.masks(result))

    def test_cancel(self):
        """Cancel in the middle of a run stops at once and leaves the scene as it was; the next Apply works."""
        result = Result.of(self.volume)
        self.ui.applyButton.click()
        self.wait(lambda: result.box is not None, 60, "the spine box")
        self.assertTrue(self.logic.busy)
        start = time.monotonic()
        self.ui.cancelButton.click()
        self.wait(lambda: not self.logic.busy, 5, "the run to stop")
        self.assertLess(time.monotonic() - start, 1)
        self.assertEqual([], result.nodes)
        self.assertGreaterEqual(len(self.names(self.apply())), 4)

    def test_save_and_open(self):
        """A saved scene opens with everything in place, and editing goes on."""
        result = self.apply()
        names, masks = self.names(result), self.masks(result)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "spine.mrb")
            self.assertTrue(slicer.util.saveScene(path))
            slicer.mrmlScene.Clear()
            self.assertEqual(0, self.ui.vertebraTable.rowCount)
            slicer.util.loadScene(path)
        self.panel.enter()
        self.volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        self.assertEqual(self.volume, self.ui.inputSelector.currentNode())
        result = self.panel.result
        self.assertEqual(names, self.names(result))
        self.assert_same(masks, self.masks(result))
        self.drag(result.centroids, self.index(result, names[0]), self.place(result, names[0]) + (2.0, 0.0, 0.0))
        self.settle(result)
        self.assertEqual(names, self.segment_names(result))
        self.ui.shiftUpButton.click()
        self.settle(result)
        self.assertNotEqual(names, self.names(result))

    # What the steps are made of

    def apply(self):
        """Clicks Apply and waits; returns the result."""
        self.ui.applyButton.click()
        result = Result.of(self.volume)
        self.settle(result, 120)
        return result

    def settle(self, result, seconds=60):
        """Waits until every correction is computed."""
        self.wait(lambda: not self.logic.busy and not self.logic.hasEdits(result), seconds, "the computation to end")

    def wait(self, condition, seconds, what):
        """Runs the event loop until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            late = time.monotonic() > deadline
            self.assertFalse(late, f"waited {seconds} s for {what}; the panel says: {self.ui.statusLabel.text}")
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
        return result.segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)

    def segment_names(self, result):
        segmentation = result.segmentation.GetSegmentation()
        return [segmentation.GetNthSegment(i).GetName() for i in range(segmentation.GetNumberOfSegments())]

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
