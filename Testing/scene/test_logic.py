"""The module's logic on a real scene, with everything in this process: a run, and the edits of scripts."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import standins
from segmented import CT, FOUND, PIPELINE, fresh, labels, segment_names

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml.box import box_of, same_box
from SpineSegmentationLib.scene.mrml.coordinates import flipped
from SpineSegmentationLib.scene.mrml.points import points_of
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.spine import SpineBox


def test_apply_makes_the_nodes(logic, result, volume):
    assert result == Result.of(volume) and Result.all(logic.scene) == [result]
    assert np.array_equal(labels(result), sitk.GetArrayFromImage(PIPELINE.run(CT).label_map))
    assert segment_names(result) == FOUND
    assert same_box(box_of(result.box), PIPELINE.run(CT).box)
    assert logic.vertebrae(result)[1].confidence == pytest.approx(0.8)
    assert not logic.hasEdits(result) and not logic.busy
    assert result.segmentation.GetNodeReference("referenceImageGeometryRef") is volume


def test_nodes_lie_under_the_volume_in_the_subject_hierarchy(logic, volume):
    tree = logic.scene.GetSubjectHierarchyNode()
    parent = tree.CreateItem(tree.GetSceneItemID(), volume)
    result = logic.process(volume, system="standin")
    assert [tree.GetItemParent(tree.GetItemByDataNode(node)) for node in result.nodes] == [parent] * 3


def test_edits_of_scripts(logic, result):
    start = labels(result)
    ras = np.array(logic.vertebrae(result)[2].ras)
    logic.moveCentroid(result, "L1", ras + (0.5, 0, 2))
    assert standins.CALLS == {"segmentation": 1}
    assert logic.vertebrae(result)[2].ras == pytest.approx(ras + (0.5, 0, 2))
    assert logic.vertebrae(result)[2].confidence == 1
    assert np.array_equal(labels(result), fresh(logic, result)) and not np.array_equal(labels(result), start)
    standins.CALLS.clear()
    logic.shift(result, 1)
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L4"]
    logic.rename(result, "L4", "L5")
    logic.delete(result, "T12")
    logic.lock(result, "L5")
    assert logic.vertebrae(result)[-1].locked and not standins.CALLS
    logic.insertBetween(result, "L3", "L5")
    logic.relabelFrom(result, "L1", "T12")
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L5"]
    logic.add(result, "T5", (0, -36, -380))
    assert np.array_equal(labels(result), fresh(logic, result))
    while logic.canUndo(result):
        logic.undo(result)
        if result.segmentation.GetSegmentation().GetNumberOfSegments() == 5 and segment_names(result) == FOUND:
            assert np.array_equal(labels(result), fresh(logic, result))
    # The first result is where undoing ends: nothing wipes the scene.
    assert segment_names(result) == FOUND and result.box is not None
    while logic.canRedo(result):
        logic.redo(result)
    assert segment_names(result) == ["T5", "T12", "L1", "L2", "L3", "L5"]
    assert np.array_equal(labels(result), fresh(logic, result))
    assert not logic.hasEdits(result)
    with pytest.raises(SpineError, match="'L9' is not a vertebra"):
        logic.rename(result, "L1", "L9")


def test_a_box_set_by_a_script_finds_vertebrae_anew(logic, result):
    box = SpineBox.of_image(CT)
    lower = SpineBox(box.lower, (*box.upper[:2], box.lower[2] + 40))
    centre = flipped(np.add(lower.lower, lower.upper) / 2)
    logic.setBox(result, centre, lower.size)
    assert np.array_equal(labels(result), sitk.GetArrayFromImage(PIPELINE.run(CT, box=lower).label_map))
    logic.undo(result)
    assert segment_names(result) == FOUND and not same_box(box_of(result.box), lower)


def test_locked_vertebrae_stay_when_applied_again(logic, result, volume):
    logic.shift(result, 1)
    logic.lock(result, "L1")
    ids = [point.id for point in points_of(result.centroids)]
    logic.process(volume, system="standin")
    # The lock keeps the name of the second vertebra; the others are named after it.
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == ["T12", "L1", "L2", "L3", "L4"]
    assert ids[1] in [point.id for point in points_of(result.centroids)]
    assert np.array_equal(labels(result), fresh(logic, result))
