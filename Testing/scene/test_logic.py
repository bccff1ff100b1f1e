"""The module's logic on a real scene, with everything in this process."""

import json

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import standins
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import add_transform, add_volume, add_warp, new_scene, save_and_load

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.box import box_of, same_box
from SpineSegmentationLib.scene.mrml.coordinates import flipped
from SpineSegmentationLib.scene.mrml.points import points_of
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import oriented, piece_of, segments_of
from SpineSegmentationLib.scene.mrml.segmentation import grid_of
from SpineSegmentationLib.scene.mrml.volume import ct_of
from SpineSegmentationLib.segmentation.mask import Piece, paint
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.voxels import Grid

standins.install()
PIPELINE = Pipeline("standin", "cpu")
CT = standins.spine_ct()
FOUND = ["T11", "T12", "L1", "L2", "L3"]


@pytest.fixture
def scene():
    return new_scene()


@pytest.fixture
def volume(scene):
    return add_volume(scene, CT, "CT of a spine")


@pytest.fixture
def logic(scene):
    logic = SpineLogic(scene, device="cpu")
    yield logic
    logic.close()


@pytest.fixture
def result(logic, volume):
    result = logic.process(volume, system="standin")
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == FOUND
    standins.CALLS.clear()
    return result


def labels(result: Result, image: sitk.Image = CT) -> np.ndarray:
    """The label map that the segments show."""
    grid = grid_of(result.segmentation)
    shown = segments_of(result.segmentation)
    return sitk.GetArrayFromImage(
        paint({segment.level: piece_of(result.segmentation, segment.id, grid) for segment in shown}, image)
    )


def fresh(logic: SpineLogic, result: Result) -> np.ndarray:
    """The label map of a run from the box and the points that the nodes show."""
    state, ct = logic._record(result).state(), ct_of(result.volume)
    return sitk.GetArrayFromImage(PIPELINE.run(ct, box=state.box, centroids=state.centroids).label_map)


def segment_names(result: Result) -> list[str]:
    segmentation = result.segmentation.GetSegmentation()
    return [segmentation.GetSegment(name).GetName() for name in segmentation.GetSegmentIDs()]


def index(result: Result, name: str) -> int:
    return result.centroids.GetControlPointIndexByLabel(name)


def drag(result: Result, name: str, by=(1.5, 0.0, 1.0)) -> None:
    """As the mouse does."""
    place = np.array(result.centroids.GetNthControlPointPositionWorld(index(result, name)))
    result.centroids.SetNthControlPointPositionWorld(index(result, name), place + by)


def brush(result: Result, name: str, value=1) -> Piece:
    """Paints (or erases) a corner of the scan, as Segment Editor does; returns what the segment is then."""
    logic, node = slicer.vtkSlicerSegmentationsModuleLogic, result.segmentation
    grid, segment = grid_of(node), node.GetSegmentation().GetSegmentIdBySegmentName(name)
    image = oriented(Piece.of(np.ones((3, 3, 3)), (2, 2, 2)), grid)
    assert logic.SetBinaryLabelmapToSegment(image, node, segment, logic.MODE_MERGE_MAX)
    return piece_of(node, segment, grid)


# Runs and edits in this process -----------------------------------------------------------------------------------


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
    assert not points_of(result.centroids) and not segment_names(result) and result.box is None
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
    # The lock keeps the name of the second vertebra; that name is not given to another.
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == ["T11", "L1", "L2", "L3"]
    assert ids[1] in [point.id for point in points_of(result.centroids)]
    assert np.array_equal(labels(result), fresh(logic, result))


# Edits of nodes


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
    logic.applyEdits(result)
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


# Painted segments


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


# Volumes


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


def test_a_saved_scene_goes_on(logic, result, tmp_path):
    logic.lock(result, "T11")
    brush(result, "L3")
    drag(result, "L3", (0, 1, 0))
    logic.applyEdits(result)
    logic.measure(result)
    drag(result, "L2", (0, 1, 0))
    before = logic.vertebrae(result)
    loaded = save_and_load(logic.scene, tmp_path)
    other = SpineLogic(loaded, device="cpu")
    (again,) = Result.all(loaded)
    assert again.volume.GetName() == "CT of a spine" and len(again.nodes) == 4
    assert other.edited(again) == ["L3"]
    assert [(v.level, v.locked, v.kept, v.volume_mm3) for v in other.vertebrae(again)] == [
        (v.level, v.locked, v.kept, v.volume_mm3) for v in before
    ]
    assert before[0].volume_mm3 > 0 and before[0].locked and before[4].kept
    # The drag of L2 was not computed before saving.
    assert other.hasEdits(again)
    other.applyEdits(again)
    other.keep(again, "L3", False)
    assert not other.edited(again) and not other.hasEdits(again)
    assert np.array_equal(labels(again), fresh(other, again))
    other.undo(again)
    assert not other.hasEdits(again)
    other.close()


def test_a_damaged_attribute_is_no_harm(logic, result, volume):
    for text in ("", "{", json.dumps({"box": 1}), json.dumps([1])):
        result.segmentation.SetAttribute("SpineSegmentation.state", text)
        other = SpineLogic(logic.scene, device="cpu")
        assert other.hasEdits(result)
        other.process(volume, system="standin")
        assert segment_names(result) == FOUND
        other.close()


# Measurements and export


def test_measurements_belong_to_the_segments_they_were_made_of(logic, result):
    assert logic.vertebrae(result)[0].volume_mm3 is None
    logic.measure(result)
    voxel = np.prod(CT.GetSpacing())
    for vertebra in logic.vertebrae(result):
        count = np.count_nonzero(labels(result) == int(Level[vertebra.level]))
        assert vertebra.volume_mm3 == pytest.approx(count * voxel, rel=1e-3)
        assert vertebra.complete in (True, False)
    drag(result, "L1")
    logic.applyEdits(result)
    assert logic.vertebrae(result)[0].volume_mm3 is None
    logic.measure(result)
    mine = brush(result, "L1")
    assert logic.vertebrae(result)[2].volume_mm3 is None
    logic.measure(result)
    assert logic.vertebrae(result)[2].volume_mm3 == pytest.approx(mine.voxels.sum() * voxel, rel=1e-3)


def test_export(logic, result, tmp_path):
    mine = brush(result, "T12")
    label_map, centroids = logic.exportVerSe(result, tmp_path)
    assert label_map.name == "CT_of_a_spine_seg-vert_msk.nii.gz"
    image = sitk.ReadImage(str(label_map))
    array = sitk.GetArrayFromImage(image)
    assert np.array_equal(array[mine.place][mine.voxels], np.full(mine.voxels.sum(), int(Level.T12)))
    assert np.array_equal(array[4:], labels(result)[4:]) and np.allclose(image.GetOrigin(), CT.GetOrigin())
    read = read_centroids(centroids, image)
    assert [point.level.name for point in read] == FOUND
    assert read[Level.L1].position == pytest.approx(flipped(logic.vertebrae(result)[2].ras), abs=1e-3)
    surfaces = logic.exportStl(result, tmp_path)
    assert [path.name for path in surfaces] == [f"CT_of_a_spine_{name}.stl" for name in FOUND]
    (table,) = logic.exportCsv(result, tmp_path / "table.csv")
    assert table.read_text().splitlines()[0].startswith("label,volume_mm3")
    with pytest.raises(SpineError, match="cannot be written"):
        logic.exportVerSe(result, tmp_path / "nowhere")
    with pytest.raises(SpineError, match="no segmentation"):
        logic.exportStl(Result.of(add_volume(logic.scene, CT)), tmp_path)
