"""Drives the real panel in the real application on a small synthetic CT; a minute on two quiet cores, no GPU."""

import os
import tempfile

import numpy as np
import slicer
import vtk

from SpineSegmentationLib.scene import figures
from SpineSegmentationLib.scene.mrml import display, measures
from SpineSegmentationLib.scene.mrml.coordinates import array_of
from SpineSegmentationLib.scene.mrml.result import Result

from .steps import Steps


class SpineSegmentationTest(Steps):
    """What a user does: Apply, drag, rename, undo, cancel, look, measure, place, save and open again."""

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
        # It would name everything anew, so it waits for Update.
        self.wait(lambda: self.ui.updateButton.enabled, "the Update button")
        self.assertEqual(names, self.names(result))
        self.ui.updateButton.click()
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
        self.wait(lambda: result.box is not None, "the spine box")
        self.assertTrue(self.logic.busy)
        self.ui.cancelButton.click()
        # Not at the end of the run, but at once.
        self.assertFalse(self.logic.busy)
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
        after = self.masks(result)
        for name in names[2:]:
            np.testing.assert_array_equal(masks[name], after[name], err_msg=f"{name} changed, too")
        self.assertFalse(self.logic.hasEdits(result))
        self.ui.shiftUpButton.click()
        self.settle(result)
        self.assertNotEqual(names, self.names(result))

    def test_apply_shows_that_it_worked(self):
        """Bone window, views on the column, surfaces, the most doubtful level selected; the box hidden."""
        result = self.apply()
        places = np.array([vertebra.ras for vertebra in self.logic.vertebrae(result)])
        for view in display.slice_views(slicer.mrmlScene, 0):
            centre = array_of(view.GetSliceToRAS())[:3, 3]
            self.assertTrue(np.all(centre > places.min(0) - 60) and np.all(centre < places.max(0) + 60))
        self.assertFalse(result.volume.GetDisplayNode().GetAutoWindowLevel())
        self.assertTrue(display.has_surfaces(result.segmentation))
        self.assertFalse(result.box.GetDisplayVisibility())
        least = min(self.logic.vertebrae(result), key=lambda vertebra: vertebra.confidence)
        self.assertEqual(least.level, self.panel.table.selected)
        self.assertFalse(self.ui.undoButton.enabled)
        manager = slicer.app.layoutManager()
        if manager:
            bounds = [0.0] * 6
            result.segmentation.GetRASBounds(bounds)
            focal = manager.threeDWidget(0).threeDView().cameraNode().GetFocalPoint()
            for axis in range(3):
                self.assertTrue(bounds[2 * axis] - 20 < focal[axis] < bounds[2 * axis + 1] + 20)

    def test_start_over_overrules_what_was_not_applied(self):
        """A point dragged without Auto-update and Start over: the point is where it was found, Update is off."""
        result = self.apply()
        name, masks = self.names(result)[1], self.masks(result)
        place = self.place(result, name)
        self.ui.autoUpdateCheckBox.setChecked(False)
        self.drag(result.centroids, self.index(result, name), place + (4.0, 3.0, 0.0))
        self.wait(lambda: self.ui.updateButton.enabled, "the Update button")
        self.panel.confirm = lambda text: False
        self.ui.applyButton.click()
        self.assertTrue(self.ui.applyButton.enabled)
        self.panel.confirm = lambda text: True
        self.apply()
        np.testing.assert_allclose(self.place(result, name), place, atol=1e-3)
        self.assertFalse(self.ui.updateButton.enabled)
        self.assert_same(masks, self.masks(result))

    def test_the_table_agrees_with_the_scene(self):
        """A wrong name and a gap have a row that says so; another volume has a line of its own."""
        result = self.apply()
        names = self.names(result)
        result.centroids.SetNthControlPointLabel(self.index(result, names[1]), "hello")
        self.wait(lambda: "hello" in self.panel.table.levels, "the row")
        self.assertEqual(len(names), self.ui.vertebraTable.rowCount)
        self.assertIn("hello", self.panel.status.text)
        row = self.panel.table.levels.index("hello")
        self.panel.table.rename(row, names[1])
        self.settle(result)
        self.assertEqual(names, self.names(result))
        # Not T12, which some people do not have.
        self.panel.table.select(names[2])
        self.ui.deleteButton.click()
        self.settle(result)
        self.assertIn(f"{names[2]} missing", self.logic.vertebrae(result)[2].problem)
        self.ui.undoButton.click()
        self.settle(result)
        self.assertIn("Undone", self.panel.status.text)
        self.ui.inputSelector.setCurrentNode(self.new_volume())
        self.wait(lambda: "not segmented yet" in self.panel.status.text, "the line about the other volume")
        self.assertFalse(result.segmentation.GetDisplayVisibility())
        self.ui.inputSelector.setCurrentNode(self.volume)
        self.wait(lambda: names[0] in self.panel.status.text, "the line about the first volume")
        self.assertTrue(result.segmentation.GetDisplayVisibility())

    def test_straightened(self):
        """A click on a name in the straightened view selects its row; a drag there is one in the patient."""
        result = self.apply()
        names = self.names(result)
        self.ui.straightButton.click()
        straight = self.panel.views.straight
        self.assertEqual(len(names), straight.points.GetNumberOfControlPoints())
        place = np.array(straight.points.GetNthControlPointPositionWorld(1))
        old = self.place(result, names[1])
        straight.points.GetDisplayNode().SetActiveControlPoint(1)
        self.drag(straight.points, 1, place + (3.0, 0.0, 0.0))
        self.wait(lambda: self.panel.table.selected == names[1], "the row")
        self.wait(lambda: np.linalg.norm(self.place(result, names[1]) - old) > 2, "the point")
        self.settle(result)
        shown = straight.to_straight(self.place(result, names[1]))
        np.testing.assert_allclose(straight.points.GetNthControlPointPositionWorld(1), shown, atol=0.01)
        self.ui.straightButton.click()
        self.assertIsNone(straight.volume)

    def test_measurements_are_shown(self):
        """The first click shows them, with headings for people."""
        result = self.apply()
        self.ui.measurementsButton.click()
        self.wait(lambda: not self.logic.busy and result.table is not None, "the table")
        self.assertEqual(len(self.names(result)), result.table.GetNumberOfRows())
        self.assertTrue(result.table.GetUseColumnTitleAsColumnHeader())
        manager = slicer.app.layoutManager()
        if manager:
            slicer.app.processEvents()
            self.assertEqual(result.table, manager.tableWidget(0).tableView().mrmlTableNode())

    def test_start_from_an_existing_segmentation(self):
        """Their segments are taken over under wrong names; the shift is proposed; Apply asks and keeps their voxels."""
        result = self.apply()
        names, masks = self.names(result), list(self.masks(result).values())
        theirs = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
        theirs.GetSegmentation().DeepCopy(result.segmentation.GetSegmentation())
        segmentation = theirs.GetSegmentation()
        for number, name in enumerate([*names[1:], "L5"]):
            segment = segmentation.GetNthSegment(number)
            segment.SetName(f"vertebrae_{name}")
            segment.RemoveTag(segment.GetTerminologyEntryTagName())
        self.ui.startSelector.setCurrentNode(theirs)
        self.ui.checkNamesCheckBox.setChecked(True)
        self.ui.startButton.click()
        self.wait(lambda: not self.logic.busy, "the labeller")
        result = self.panel.result
        self.assertEqual([*names[1:], "L5"], self.names(result))
        self.assertTrue(all(vertebra.kept for vertebra in self.logic.vertebrae(result)))
        told = [self.ui.findingsList.item(row).text() for row in range(self.ui.findingsList.count)]
        self.assertTrue(any("shift by -1" in text for text in told), told)
        self.ui.takeShiftButton.click()
        self.settle(result)
        self.assertEqual(names, self.names(result))
        asked = []
        self.panel.confirm = asked.append
        self.ui.applyButton.click()
        self.assertTrue(self.ui.applyButton.enabled)
        self.assertIn("kept", asked[0])
        self.panel.confirm = lambda text: True
        self.apply()
        self.assert_same(dict(zip(names, masks, strict=True)), self.masks(result))

    def test_measures_section(self):
        """Rows jump, lines follow the selection, plots and curves come and go; a drag measures anew."""
        result = self.apply()
        names = self.names(result)
        self.wait(
            lambda: self.ui.measuresTable.rowCount == len(names) and self.ui.measuresTable.enabled, "the measures"
        )
        self.assertEqual("Level", self.ui.measuresTable.horizontalHeaderItem(0).text())
        self.panel.onMeasuresClicked(2, 0)
        self.assertEqual(names[2], self.panel.table.selected)
        sound = [row.level for row in figures.rows(self.logic.measures(result)) if row.cells[1]]
        for level in sound[:2]:
            self.panel.table.select(level)
            if not self.ui.linesCheckBox.checked:
                self.ui.linesCheckBox.click()
            lines = [node.GetName() for node in measures.shown_measures(result)]
            self.assertTrue(lines and all(name.startswith(level) for name in lines), lines)
        if sound:
            self.ui.linesCheckBox.click()
        self.assertFalse(measures.shown_measures(result))
        self.ui.heightsPlotButton.click()
        self.assertIsNotNone(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode"))
        before = self.logic.measures(result)
        self.drag(result.centroids, self.index(result, names[0]), self.place(result, names[0]) + (2.0, 0.0, 0.0))
        self.settle(result)
        self.wait(lambda: self.logic.measures(result) not in (None, before), "the new measures")
        self.assertEqual(names, list(self.logic.measures(result)["vertebrae"]))

    def test_names_in_views(self):
        """Names are shown whatever the slice, in their levels' colours, and follow points; the chosen one is larger."""
        result = self.apply()
        names = self.names(result)
        shown = self.panel.views.names.nodes
        self.assertEqual(names, [node.GetNthControlPointLabel(0) for node in shown])
        self.assertTrue(all(node.GetDisplayNode().GetSliceProjection() for node in shown))
        self.assertEqual(len(names), len({node.GetDisplayNode().GetColor() for node in shown}))
        self.panel.table.select(names[1])
        scales = [node.GetDisplayNode().GetTextScale() for node in shown]
        self.assertEqual(1, scales.index(max(scales)))
        result.centroids.SetNthControlPointPositionWorld(1, *self.place(result, names[1]))
        self.ui.shiftUpButton.click()
        self.settle(result)
        self.assertEqual(self.names(result), [node.GetNthControlPointLabel(0) for node in self.panel.views.names.nodes])

    def test_place(self):
        """The button places one point; there is no other button that deletes one."""
        result = self.apply()
        names = self.names(result)
        place = self.place(result, names[1])
        self.panel.table.select(names[1])
        self.ui.deleteButton.click()
        self.settle(result)
        self.ui.placeButton.click()
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self.assertEqual(interaction.Place, interaction.GetCurrentInteractionMode())
        result.centroids.AddControlPointWorld(vtk.vtkVector3d(*place))
        interaction.SwitchToViewTransformMode()
        self.assertFalse(self.ui.placeButton.checked)
        self.settle(result)
        self.assertEqual(names, self.names(result))
