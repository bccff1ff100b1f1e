"""The volumes of a scene: transforms, geometry, other voxels, deletion."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import standins
from scenes import add_transform, add_volume, add_warp
from segmented import CT, FOUND, PIPELINE, brush, fresh, labels, segment_names

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import piece_of, segments_of
from SpineSegmentationLib.scene.mrml.segmentation import grid_of
from SpineSegmentationLib.scene.mrml.volume import ct_of


def test_a_volume_under_a_transform_that_changes(logic, volume):
    matrix = np.eye(4)
    matrix[:3, 3] = (0, 0, 40)
    transform = add_transform(logic.scene, matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    result = logic.process(volume, system="standin")
    first = logic.vertebrae(result)[0].ras
    volume.SetAndObserveTransformNodeID(None)
    logic.process(volume, system="standin")
    assert np.subtract(first, logic.vertebrae(result)[0].ras) == pytest.approx((0, 0, 40), abs=1.5)
    assert np.array_equal(labels(result), sitk.GetArrayFromImage(PIPELINE.run(CT).label_map))


def test_volume_and_segments_put_under_a_transform_together(logic, result, volume):
    mine = brush(result, "L3")
    matrix = np.eye(4)
    matrix[:3, 3] = (3, 4, 50)
    transform = add_transform(logic.scene, matrix).GetID()
    for node in (volume, result.segmentation, result.centroids, result.box):
        node.SetAndObserveTransformNodeID(transform)
    assert logic.edited(result) == ["L3"]
    logic.applyEdits(result)
    ct = ct_of(volume)
    assert result.segmentation.GetParentTransformNode() is None and logic.edited(result) == ["L3"]
    assert grid_of(result.segmentation).same_as(Grid.of(ct))
    shown = {segment.level: segment for segment in segments_of(result.segmentation)}
    # What was painted went along.
    assert piece_of(result.segmentation, shown[Level.L3].id, Grid.of(ct)).digest == mine.digest
    logic.keep(result, "L3", False)
    assert np.array_equal(labels(result), fresh(logic, result)) and not logic.hasEdits(result)


def test_a_sheared_volume_has_segments_on_an_upright_grid(logic, volume):
    matrix = np.eye(4)
    matrix[1, 2] = 0.15
    volume.SetAndObserveTransformNodeID(add_transform(logic.scene, matrix).GetID())
    warned = []
    logic.on_done = lambda result, warnings: warned.extend(warnings)
    result = logic.process(volume, system="standin")
    assert "sheared" in warned[0] and segment_names(result) == FOUND
    grid, ct = grid_of(result.segmentation), ct_of(volume)
    assert grid.same_as(Grid.of(ct)) and not logic.edited(result)
    assert np.array_equal(labels(result, ct), fresh(logic, result))


def test_a_volume_under_a_warp_is_refused(logic, volume):
    volume.SetAndObserveTransformNodeID(add_warp(logic.scene).GetID())
    with pytest.raises(SpineError, match="warping"):
        logic.process(volume, system="standin")
    assert not logic.busy and not Result.of(volume).nodes


def test_what_is_no_ct_is_refused_and_leaves_nothing(logic, scene):
    volume = add_volume(scene, CT * 0)
    with pytest.raises(SpineError, match="Hounsfield"):
        logic.process(volume, system="standin")
    assert not logic.busy and not Result.of(volume).nodes
    with pytest.raises(SpineError, match="unknown"):
        logic.process(add_volume(scene, CT), system="nonsense")


def test_a_volume_whose_voxels_change_is_read_again(logic, result, volume):
    array = slicer.util.arrayFromVolume(volume)
    array[:20] = 0
    slicer.util.arrayFromVolumeModified(volume)
    logic.process(volume, system="standin")
    assert 0 < len(logic.vertebrae(result)) < 5


def test_two_volumes(logic, result, scene):
    other = add_volume(scene, standins.spine_ct(3), "other")
    second = logic.process(other, system="standin")
    assert len(logic.vertebrae(second)) == 3 and len(logic.vertebrae(result)) == 5
    logic.shift(result, 1)
    logic.shift(second, -1)
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L4"] and segment_names(second) == ["T10", "T11", "T12"]
    assert Result.all(scene) == [result, second] and np.array_equal(labels(result), fresh(logic, result))


def test_a_deleted_volume(logic, result, volume):
    logic.scene.RemoveNode(volume)
    assert not logic._records and logic._opened is None
    assert result.volume is None and result.segmentation is None and Result.all(logic.scene) == []
    assert logic.vertebrae(result) == [] and logic.edited(result) == []
    for action in (logic.applyEdits, logic.undo, lambda result: logic.shift(result, 1), logic.measure):
        with pytest.raises(SpineError, match="deleted"):
            action(result)


def test_a_closed_scene(logic, result, scene):
    scene.Clear(False)
    assert result.volume is None and not logic.busy
    again = logic.process(add_volume(scene, CT), system="standin")
    assert again != result and segment_names(again) == FOUND
    assert not logic.hasEdits(again)


def test_the_segmentation_of_another_volume_is_not_taken(logic, result, scene):
    mine = brush(result, "L2")
    with pytest.raises(SpineError, match="is the result of CT of a spine"):
        logic.process(add_volume(scene, CT, "follow-up"), system="standin", segmentation=result.segmentation)
    assert logic.edited(result) == ["L2"] and logic._record(result).segments.piece(Level.L2).digest == mine.digest


def test_a_volume_that_was_moved_alone_is_told(logic, result, volume):
    brush(result, "L2")
    volume.SetOrigin(*np.add(volume.GetOrigin(), (0, 0, 12)))
    for action in (logic.measure, lambda result: logic.shift(result, 1), lambda result: logic.delete(result, "L2")):
        with pytest.raises(SpineError, match="was moved since it was segmented"):
            action(result)
    assert segment_names(result) == FOUND and logic.edited(result) == ["L2"]
    logic.process(volume, system="standin")
    assert not logic.hasEdits(result)
