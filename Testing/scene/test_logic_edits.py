"""What a person does to the nodes by hand: box, points, names, brush."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import standins
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import add_transform, add_volume, new_scene
from segmented import CT, FOUND, PIPELINE, brush, drag, fresh, index, labels, segment_names

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.box import box_of
from SpineSegmentationLib.scene.mrml.current import CurrentSegments
from SpineSegmentationLib.scene.mrml.points import points_of
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import piece_of, segments_of
from SpineSegmentationLib.scene.mrml.segmentation import grid_of


def test_a_dragged_point(logic, result):
    drag(result, "L2")
    assert logic.hasEdits(result)
    logic.applyEdits(result)
    logic.applyEdits(result)
    assert standins.CALLS == {"segmentation": 1} and not logic.hasEdits(result)
    assert np.array_equal(labels(result), fresh(logic, result))


def test_points_renamed_added_and_deleted_as_markups(logic, result):
    points = result.centroids
    points.SetNthControlPointLabel(index(result, "L3"), "L4")
    points.AddControlPointWorld(vtk.vtkVector3d(0, -36, -380), "l3")
    points.RemoveNthControlPoint(index(result, "T11"))
    logic.applyEdits(result)
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L4"]
    assert standins.CALLS == {"segmentation": 1}
    assert logic.vertebrae(result)[-1].confidence == 1
    assert np.array_equal(labels(result), fresh(logic, result))
    logic.undo(result)
    assert segment_names(result) == FOUND and [v.level for v in logic.vertebrae(result)] == FOUND


def test_a_point_that_is_placed_gets_its_name_from_its_neighbours(logic, result):
    points = result.centroids
    points.RemoveNthControlPoint(index(result, "L1"))
    points.AddControlPointWorld(vtk.vtkVector3d(0, -37, -366))
    points.AddControlPointWorld(vtk.vtkVector3d(0, -37, -398))
    assert [point.name for point in points_of(points)][-2:] == ["?", "?"]
    preview = points.AddControlPoint(vtk.vtkVector3d(0, 0, 0))
    points.SetNthControlPointPosition(preview, 0, 0, 0, points.PositionPreview)
    logic.applyEdits(result)
    # The one under the mouse stays.
    assert points.GetNthControlPointPositionStatus(points.GetNumberOfControlPoints() - 1) == points.PositionPreview
    points.RemoveNthControlPoint(points.GetNumberOfControlPoints() - 1)
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == [*FOUND, "L4"]
    assert [point.name for point in points_of(points)][-2:] == ["L1", "L4"]
    points.AddControlPointWorld(vtk.vtkVector3d(0, -37, -360))
    with pytest.raises(SpineError, match="'\\?' names no vertebra"):
        logic.applyEdits(result)


levels = st.sampled_from(["T10", "T11", "T12", "T13", "L1", "L2", "L3"])


shifts = st.tuples(*[st.sampled_from([-9.0, -1.5, 0.0, 0.5, 4.0])] * 3)


edits = st.one_of(
    st.tuples(st.just("drag"), levels, shifts),
    st.tuples(st.just("label"), levels, levels),
    st.tuples(st.just("remove"), levels),
    st.tuples(st.just("place"), shifts),
    st.tuples(st.just("box"), st.sampled_from([20.0, 40.0, 70.0])),
    st.tuples(st.just("shift"), st.sampled_from([-1, 1])),
    st.tuples(st.just("lock"), levels, st.booleans()),
    st.tuples(st.sampled_from(["undo", "redo", "applyEdits"])),
)


def edit(logic: SpineLogic, result: Result, name: str, *values) -> None:
    points = result.centroids
    if name == "box":
        result.box.SetSize(*result.box.GetSize()[:2], *values)
    elif name == "place":
        points.AddControlPointWorld(vtk.vtkVector3d(*np.add((0, -37, -366), values[0])))
    elif name in ("drag", "label", "remove"):
        if index(result, values[0]) < 0:
            return
        if name == "drag":
            drag(result, *values)
        elif name == "label":
            points.SetNthControlPointLabel(index(result, values[0]), values[1])
        else:
            points.RemoveNthControlPoint(index(result, values[0]))
    else:
        getattr(logic, name)(result, *values)


@settings(max_examples=12, deadline=None)
@given(st.lists(edits, min_size=1, max_size=6))
def test_law_segments_are_those_of_a_fresh_run(sequence):
    scene = new_scene()
    logic = SpineLogic(scene, device="cpu")
    result = logic.process(add_volume(scene, CT), system="standin")
    for step in sequence:
        before = labels(result)
        try:
            edit(logic, result, *step)
            logic.applyEdits(result)
        except SpineError:
            assert np.array_equal(labels(result), before)
            logic.undo(result)
        assert not logic.hasEdits(result) and not logic.edited(result)
        if result.box is None or not logic.vertebrae(result):
            break
        assert np.array_equal(labels(result), fresh(logic, result)), step
    logic.close()


def test_an_unapplied_edit_is_a_step_of_its_own(logic, result):
    before = labels(result)
    drag(result, "L2", (0, 2, 0))
    logic.undo(result)
    assert np.array_equal(labels(result), before) and not logic.hasEdits(result)
    logic.redo(result)
    assert np.array_equal(labels(result), fresh(logic, result)) and not np.array_equal(labels(result), before)


def test_a_dragged_box(logic, result):
    box = box_of(result.box)
    result.box.SetSizeWorld(box.size[0], box.size[1], 30)
    assert logic.hasEdits(result)
    logic.applyEdits(result)
    assert 1 <= len(logic.vertebrae(result)) < 5
    expected = PIPELINE.run(CT, box=box_of(result.box))
    assert np.array_equal(labels(result), sitk.GetArrayFromImage(expected.label_map))


def test_a_turned_box_stays_turned(logic, result):
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    result.box.SetAndObserveTransformNodeID(add_transform(logic.scene, matrix).GetID())
    logic.applyEdits(result)
    assert result.box.GetTransformNodeID() and not logic.hasEdits(result)


def test_a_box_beside_the_volume(logic, result):
    warned = []
    logic.on_done = lambda result, warnings: warned.extend(warnings)
    result.box.SetCenterWorld(1000, 1000, 1000)
    logic.applyEdits(result)
    assert not logic.vertebrae(result) and not segment_names(result)
    assert "outside the scan" in warned[0] and not logic.hasEdits(result)
    logic.undo(result)
    assert segment_names(result) == FOUND


def test_a_point_outside_the_volume(logic, result):
    warned = []
    logic.on_done = lambda result, warnings: warned.extend(warnings)
    drag(result, "L2", (500, 0, 0))
    logic.applyEdits(result)
    assert any("outside the scan" in warning for warning in warned)
    assert segment_names(result) == ["T11", "T12", "L1", "L3"]
    logic.undo(result)
    assert segment_names(result) == FOUND


@pytest.mark.parametrize(
    ("label", "words"), [("L1", "two points are called L1"), ("F-5", "'F-5' names no vertebra"), ("", "names no")]
)
def test_bad_names_are_told_and_change_nothing(logic, result, label, words):
    before = labels(result)
    result.centroids.SetNthControlPointLabel(index(result, "L2"), label)
    assert logic.hasEdits(result)
    with pytest.raises(SpineError, match=words):
        logic.applyEdits(result)
    with pytest.raises(SpineError, match=words):
        logic.shift(result, 1)
    assert np.array_equal(labels(result), before) and not logic.busy
    logic.undo(result)
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == FOUND and not logic.hasEdits(result)


def test_an_empty_list(logic, result):
    result.centroids.RemoveAllControlPoints()
    logic.applyEdits(result)
    assert not segment_names(result) and not labels(result).any()
    logic.undo(result)
    assert segment_names(result) == FOUND


@pytest.mark.parametrize("kind", ["box", "centroids", "segmentation"])
def test_deleted_nodes_are_made_again(logic, result, kind):
    logic.scene.RemoveNode(getattr(result, kind))
    assert getattr(result, kind) is None and not logic.hasEdits(result)
    logic.shift(result, 1)
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L4"]
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == segment_names(result)
    assert np.array_equal(labels(result), fresh(logic, result))


def test_painted_segments_are_kept_until_given_up(logic, result):
    mine = brush(result, "L2")
    assert logic.edited(result) == ["L2"]
    drag(result, "L2")
    logic.applyEdits(result)
    shown = {segment.level: segment for segment in segments_of(result.segmentation)}
    grid = grid_of(result.segmentation)
    assert shown[Level.L2].kept and logic.edited(result) == ["L2"]
    assert piece_of(result.segmentation, shown[Level.L2].id, grid).digest == mine.digest
    logic.shift(result, 1)
    assert logic.edited(result) == ["L3"] and logic.vertebrae(result)[3].kept
    logic.keep(result, "L3", False)
    assert not logic.edited(result)
    assert np.array_equal(labels(result), fresh(logic, result))


def test_a_segment_kept_by_hand_is_not_written(logic, result):
    def mine():
        (shown,) = (each for each in segments_of(result.segmentation) if each.level == Level.L2)
        return piece_of(result.segmentation, shown.id, grid_of(result.segmentation)).digest

    before = mine()
    logic.keep(result, "L2")
    drag(result, "L2", (0, 0, 3))
    logic.applyEdits(result)
    assert mine() == before
    logic.keep(result, "L2", False)
    assert np.array_equal(labels(result), fresh(logic, result))
    with pytest.raises(SpineError, match="has no segment"):
        logic.keep(result, "C1")


def test_deleting_a_vertebra_deletes_its_painted_segment(logic, result):
    brush(result, "L2")
    logic.delete(result, "L2")
    assert segment_names(result) == ["T11", "T12", "L1", "L3"]
    brush(result, "T11")
    logic.mend(result, logic.vertebrae(result)[0].id, None)
    with pytest.raises(SpineError, match="T11 was painted"):
        logic.settled(result)


def test_undo_brings_back_what_was_painted(logic, result):
    mine = brush(result, "L2")
    logic.delete(result, "L2")
    drag(result, "T12", (0, 1, 0))
    logic.applyEdits(result)
    logic.undo(result)
    logic.undo(result)
    assert logic.edited(result) == ["L2"] and logic._record(result).segments.piece(Level.L2).digest == mine.digest
    logic.undo(result)
    logic.keep(result, "L2", False)
    logic.shift(result, 1)
    logic.undo(result)
    assert not logic.edited(result) and np.array_equal(labels(result), fresh(logic, result))


def test_what_was_painted_stays_on_its_bone_when_names_are_found_anew(logic, result):
    brush(result, "L2")
    result.box.SetSize(*result.box.GetSize()[:2], 30.0)
    logic.applyEdits(result)
    # The bone that was L2 is the lowest of three now.
    assert segment_names(result) == ["T11", "T12", "L1"] and logic.edited(result) == ["L1"]


def test_another_segmentation_takes_over_from_all_copies(logic, result, volume):
    logic.scene.AddNewNodeByClass("vtkMRMLSegmentationNode").Copy(result.segmentation)
    other = logic.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    logic.process(volume, system="standin", segmentation=other)
    assert result.segmentation is other


def test_points_that_are_gone_cannot_be_mended(logic, result):
    result.scene.RemoveNode(result.centroids)
    with pytest.raises(SpineError, match="no points"):
        logic.mend(result, "1", "L2")


def test_a_segmentation_without_geometry_is_told(logic, result):
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    result.segmentation.GetSegmentation().SetConversionParameter(name, "")
    with pytest.raises(SpineError, match="lost the geometry"):
        CurrentSegments(result).pieces()


def test_an_undo_of_segment_editor_brings_no_old_names_back(logic, result, tmp_path):
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(result.segmentation.GetSegmentation())
    history.SaveState()
    brush(result, "L2")
    logic.shift(result, 1)
    assert history.RestorePreviousState() and segment_names(result) == FOUND
    assert logic.hasEdits(result)
    with pytest.raises(SpineError, match="press Update"):
        logic.exportStl(result, tmp_path)
    logic.applyEdits(result)
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L4"] and not logic.hasEdits(result)


def test_a_segment_that_was_renamed_by_hand_is_told_and_named_after_its_point(logic, result, tmp_path):
    """Its point, the table and the files would have another name than the segment."""
    shown = next(one for one in segments_of(result.segmentation) if one.level == Level.L3)
    segment = result.segmentation.GetSegmentation().GetSegment(shown.id)
    segment.SetName("my L3")
    assert not logic.hasEdits(result)
    segment.SetName("L4 vertebra")
    assert logic.hasEdits(result)
    with pytest.raises(SpineError, match="press Update"):
        logic.exportVerSe(result, tmp_path)
    logic.applyEdits(result)
    assert segment.GetName() == "L3 vertebra" and not logic.hasEdits(result)


def test_files_have_no_names_that_were_not_computed(logic, result, tmp_path):
    """The label map would have the old names, the points beside it the new ones."""
    result.centroids.SetNthControlPointLabel(index(result, "L3"), "L4")
    with pytest.raises(SpineError, match="press Update"):
        logic.exportVerSe(result, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_segment_kept_after_all_is_not_written(logic, result):
    """That it is segmented again was cancelled."""
    mine = brush(result, "L2")
    logic.close()
    other = SpineLogic(logic.scene, device="cpu")
    other.on_progress = lambda *_: other.cancel()
    with pytest.raises(SpineError, match="cancelled"):
        other.keep(result, "L2", False)
    other.on_progress = lambda *_: None
    drag(result, "T11")
    other.applyEdits(result)
    assert other.edited(result) == ["L2"] and other._record(result).segments.piece(Level.L2).digest == mine.digest
    other.close()


def test_another_system_that_was_cancelled_takes_over_nothing(logic, result, volume):
    logic.on_progress = lambda *_: logic.cancel()
    with pytest.raises(SpineError, match="cancelled"):
        logic.process(volume, system="sacral")
    assert logic._record(result).system == "standin"
