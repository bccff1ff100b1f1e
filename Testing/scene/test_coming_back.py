"""What is saved and loaded, or moves by less than a thousandth of a voxel, is the same: nothing differs or is asked."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import standins
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import add_volume, new_scene, save_and_load
from segmented import CT, FOUND, drag, fresh, labels

from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.box import box_of
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segmentation import grid_of
from SpineSegmentationLib.spine import SpineBox


def jiggle(result: Result, by) -> None:
    """Moves the volume and the box as a file does that keeps fewer digits."""
    volume, box = result.volume, result.box
    volume.SetOrigin(*np.add(volume.GetOrigin(), by))
    box.SetCenterWorld(*np.add(box.GetCenterWorld(), by))


def reopened(scene) -> tuple[SpineLogic, Result]:
    """As after loading: nothing is remembered but what nodes and attributes hold."""
    (result,) = Result.all(scene)
    return SpineLogic(scene, device="cpu"), result


@settings(max_examples=6, deadline=None)
@given(st.tuples(*[st.sampled_from([-4e-4, -3e-14, 0.0, 1e-9, 3e-5, 4e-4])] * 3))
def test_law_a_tiny_difference_changes_no_voxel(by):
    scene = new_scene()
    first = SpineLogic(scene, device="cpu")
    first.process(add_volume(scene, CT), system="standin")
    before = labels(Result.all(scene)[0])
    first.close()
    logic, result = reopened(scene)
    jiggle(result, by)
    assert not logic.hasEdits(result)
    drag(result, "L3", (0.0, 0.0, 3.0))
    logic.applyEdits(result)
    after = labels(result)
    # L3 and its neighbour L2 may change; the others are what they were, voxel for voxel.
    for level in ("T11", "T12", "L1"):
        assert np.array_equal(after == FOUND_CODES[level], before == FOUND_CODES[level])
    assert not logic.hasEdits(result)
    logic.close()


FOUND_CODES = {"T11": 18, "T12": 19, "L1": 20}


def test_a_loaded_scene_has_no_edits_before_and_after_apply(logic, result, tmp_path):
    before = labels(result)
    logic.close()
    again, loaded = reopened(save_and_load(logic.scene, tmp_path))
    jiggle(loaded, (3e-14, -3e-14, 3e-14))
    assert not again.hasEdits(loaded)
    again.process(loaded.volume, system="standin")
    assert not again.hasEdits(loaded) and np.array_equal(labels(loaded), before)
    again.measure(loaded)
    assert all(vertebra.volume_mm3 for vertebra in again.vertebrae(loaded))
    again.close()


def test_after_loading_only_the_edited_vertebra_is_computed(logic, result, tmp_path):
    before = labels(result)
    logic.close()
    again, loaded = reopened(save_and_load(logic.scene, tmp_path))
    jiggle(loaded, (3e-14, -3e-14, 3e-14))
    drag(loaded, "L3", (0.0, 0.0, 3.0))
    standins.CALLS.clear()
    again.applyEdits(loaded)
    again.measure(loaded)
    assert standins.CALLS == {"segmentation": 1}
    after = labels(loaded)
    assert np.array_equal(after, fresh(again, loaded)) and not np.array_equal(after, before)
    # Another scan under the same points: nothing of it is known.
    array = slicer.util.arrayFromVolume(loaded.volume)
    array[array > 250] += 100
    slicer.util.arrayFromVolumeModified(loaded.volume)
    again.close()
    third = SpineLogic(loaded.scene, device="cpu")
    drag(loaded, "T11", (0.0, 0.0, 2.0))
    standins.CALLS.clear()
    third.applyEdits(loaded)
    assert standins.CALLS["segmentation"] == 5
    third.close()


def test_the_segments_lie_on_the_voxels_of_the_volume(logic, result):
    """Segment Editor works on both without resampling."""
    of_volume, of_segments = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    matrix = slicer.util.vtkMatrixFromArray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid_of(result.segmentation).to_lps)
    of_segments.SetDimensions(CT.GetSize())
    of_segments.SetGeometryFromImageToWorldMatrix(matrix)
    result.volume.GetIJKToRASMatrix(matrix)
    of_volume.SetDimensions(CT.GetSize())
    of_volume.SetGeometryFromImageToWorldMatrix(matrix)
    assert slicer.vtkOrientedImageDataResample.DoGeometriesMatch(of_volume, of_segments)


coordinate = st.floats(-500, 500)


@given(st.tuples(coordinate, coordinate, coordinate), st.floats(-4e-4, 4e-4))
def test_law_a_rounded_box_comes_back(corner, noise):
    box = SpineBox(corner, np.add(corner, 10))
    assert SpineBox(np.add(box.lower, noise), np.add(box.upper, noise)) == box


# What was not applied, and Apply


@pytest.mark.parametrize("name", [None, "no vertebra", "T12"])
def test_apply_overrules_edits_that_were_not_applied(logic, result, name):
    """Without Auto-update a point was dragged, the box moved, a name given that is none."""
    before, box = labels(result), box_of(result.box)
    rows = [(vertebra.level, vertebra.ras, vertebra.confidence) for vertebra in logic.vertebrae(result)]
    drag(result, "L2", (0.0, 6.0, 4.0))
    result.box.SetCenterWorld(*np.add(result.box.GetCenterWorld(), (0, 3, 0)))
    if name:
        result.centroids.SetNthControlPointLabel(0, name)
    assert logic.hasEdits(result)
    logic.process(result.volume, system="standin")
    assert not logic.hasEdits(result)
    assert [(vertebra.level, vertebra.ras, vertebra.confidence) for vertebra in logic.vertebrae(result)] == rows
    assert box_of(result.box) == box and np.array_equal(labels(result), before)
    assert np.array_equal(labels(result), fresh(logic, result))


def test_a_failing_apply_leaves_the_edits(logic, result):
    drag(result, "L2", (0.0, 6.0, 4.0))
    place = logic.vertebrae(result)[3].ras
    with pytest.raises(ValueError, match="worn out"):
        logic.on_progress = lambda *_: (_ for _ in ()).throw(ValueError("worn out"))
        logic.process(result.volume, system="standin")
    logic.on_progress = lambda *_: None
    assert logic.vertebrae(result)[3].ras == pytest.approx(place, abs=1e-3) and logic.hasEdits(result)


def test_undo_stops_at_the_first_result(logic, result):
    assert not logic.canUndo(result)
    logic.undo(result)
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == FOUND
    logic.shift(result, 1)
    logic.process(result.volume, system="standin")
    logic.undo(result)
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == ["T12", "L1", "L2", "L3", "L4"]


# What the rows say


def problems(logic, result) -> dict[str, str]:
    return {vertebra.level: vertebra.problem for vertebra in logic.vertebrae(result) if vertebra.problem}


def test_rows_agree_with_the_scene(logic, result):
    points = result.centroids
    assert not problems(logic, result)
    points.SetNthControlPointLabel(points.GetControlPointIndexByLabel("L1"), "Tumour")
    rows = logic.vertebrae(result)
    assert [row.level for row in rows] == ["T11", "T12", "Tumour", "L2", "L3"] and not rows[2].is_level
    assert "'Tumour' is no vertebra" in problems(logic, result)["Tumour"]
    assert problems(logic, result)["L2"] == "L1 missing above"
    points.SetNthControlPointLabel(points.GetControlPointIndexByLabel("Tumour"), "L2")
    assert [row.level for row in logic.vertebrae(result)].count("L2") == 2
    assert "two points are called L2" in problems(logic, result)["L2"]


def test_a_gap_and_a_wrong_order_are_told(logic, result):
    logic.delete(result, "L1")
    assert problems(logic, result) == {"L2": "L1 missing above"}
    logic.undo(result)
    assert not problems(logic, result)
    points = result.centroids
    for old, new in (("T11", "x"), ("T12", "T11"), ("x", "T12")):
        points.SetNthControlPointLabel(points.GetControlPointIndexByLabel(old), new)
    assert problems(logic, result) == {"T12": "T12 lies above T11"}


def test_the_variants_are_no_gaps(logic, result):
    logic.rename(result, "T11", "T10")
    logic.rename(result, "T12", "T11")
    # A person without T12 has L1 below T11.
    assert not problems(logic, result)


def test_giving_up_a_painted_segment_tells_the_panel(logic, result):
    told = []
    logic.on_update = told.append
    logic.keep(result, "L1", True)
    logic.keep(result, "L1", False)
    assert told == [result]


def test_what_a_person_set_says_so(logic, result):
    assert not any(vertebra.by_person for vertebra in logic.vertebrae(result))
    logic.moveCentroid(result, "L1", np.add(logic.vertebrae(result)[2].ras, (1, 0, 0)))
    assert [vertebra.level for vertebra in logic.vertebrae(result) if vertebra.by_person] == ["L1"]
    logic.shift(result, 1)
    assert all(vertebra.by_person for vertebra in logic.vertebrae(result))


def test_a_found_name_is_never_a_persons(logic, volume, monkeypatch):
    found = standins.Labeller.__call__

    def sure(stage, ct, box):
        centroids = found(stage, ct, box)
        return type(centroids)(tuple(type(p)(p.level, p.position, 1.0) for p in centroids))

    monkeypatch.setattr(standins.Labeller, "__call__", sure)
    result = logic.process(volume, system="standin")
    assert all(0.99 < vertebra.confidence < 1 for vertebra in logic.vertebrae(result))
