"""Start from an existing segmentation of a scene: what is in it stays, and the repair loop works on it."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import standins
from scenes import add_transform, add_volume, new_scene
from scipy import ndimage

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.pipeline import SYSTEMS
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.record import Record
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.segment import LABEL_MAP, name_as, oriented
from SpineSegmentationLib.scene.starting import clear, judge, start_from
from SpineSegmentationLib.segmentation.mask import Piece
from SpineSegmentationLib.systems import DEFAULT

LEVELS = (Level.T11, Level.T12, Level.L1)


@pytest.fixture
def ct():
    return standins.spine_ct(3)


@pytest.fixture
def labels(ct) -> np.ndarray:
    bone, count = ndimage.label(sitk.GetArrayFromImage(ct) > 250)
    heights = [place[0] for place in ndimage.center_of_mass(bone, bone, range(1, count + 1))]
    array = np.zeros(bone.shape, np.uint8)
    for level, number in zip(LEVELS, np.argsort(heights)[::-1] + 1, strict=True):
        array[bone == number] = level
    return array


@pytest.fixture
def logic(monkeypatch):
    standins.install()
    monkeypatch.setitem(SYSTEMS, DEFAULT, SYSTEMS["standin"])
    logic = SpineLogic(new_scene())
    yield logic
    logic.close()


@pytest.fixture
def volume(logic, ct):
    return add_volume(logic.scene, ct)


def add_label_map(scene, labels, ct, name="theirs"):
    """A label map volume node on the grid of the CT."""
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(ct)
    return add_volume(scene, image, name)


def add_segmentation(scene, ct, labels, names):
    """A segmentation node of somebody else, a segment for each name."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
    for level, name in names.items():
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation(LABEL_MAP, oriented(Piece.of(labels == level, (0, 0, 0)), Grid.of(ct)))
        node.GetSegmentation().AddSegment(segment, name)
    return node


def array_of(result, shape) -> np.ndarray:
    """The voxels that the segments hold now."""
    pieces, _ = Record(result).segments.pieces()
    array = np.zeros(shape, np.uint8)
    for level, piece in pieces.items():
        array[piece.place][piece.voxels] = level
    return array


def named(labels: np.ndarray, names: dict[Level, Level]) -> np.ndarray:
    result = labels.copy()
    for old, new in names.items():
        result[labels == old] = new
    return result


NAMES = {Level.T11: "vertebrae_T11", Level.T12: "T12 vertebra", Level.L1: "L1"}


def test_a_segmentation_is_taken_over_voxel_for_voxel(logic, volume, ct, labels):
    source = add_segmentation(logic.scene, ct, labels, NAMES | {Level.L5: "Sacrum"})
    result, adopted = start_from(logic, volume, source)
    assert np.array_equal(array_of(result, labels.shape), labels)
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == ["T11", "T12", "L1"]
    assert all(vertebra.kept for vertebra in logic.vertebrae(result))
    assert adopted.centroids.levels == LEVELS
    assert not logic.hasEdits(result)
    assert source.GetSegmentation().GetNumberOfSegments() == 4


def test_a_segment_is_known_by_its_terminology(logic, volume, ct, labels):
    source = add_segmentation(logic.scene, ct, labels, {Level.T12: "Segment_1"})
    segment = source.GetSegmentation().GetSegment("Segment_1")
    name_as(segment, Level.T12)
    segment.SetName("Segment_1")
    _, adopted = start_from(logic, volume, source)
    assert adopted.centroids.levels == (Level.T12,)


def test_a_label_map_is_taken_over(logic, volume, ct, labels):
    codes = np.choose(labels - 17 * (labels > 0), [0, 33, 32, 31]).astype(np.uint8)
    result, adopted = start_from(logic, volume, add_label_map(logic.scene, codes, ct))
    assert np.array_equal(array_of(result, labels.shape), labels)
    assert "totalsegmentator" in adopted.notes[0]


def test_a_segmentation_under_a_transform_lies_where_it_is_seen(logic, volume, ct, labels):
    source = add_segmentation(logic.scene, ct, labels, NAMES)
    shift = np.eye(4)
    shift[0, 3] = -2 * ct.GetSpacing()[0]
    source.SetAndObserveTransformNodeID(add_transform(logic.scene, shift).GetID())
    result, _ = start_from(logic, volume, source)
    moved = np.zeros_like(labels)
    moved[:, :, 2:] = labels[:, :, :-2]
    assert np.array_equal(array_of(result, labels.shape), moved)


def test_the_repair_loop_leaves_every_voxel_but_those_marked(logic, volume, ct, labels):
    result, _ = start_from(logic, volume, add_segmentation(logic.scene, ct, labels, NAMES))
    logic.shift(result, 1)
    one_down = named(labels, {Level.T11: Level.T12, Level.T12: Level.L1, Level.L1: Level.L2})
    assert np.array_equal(array_of(result, labels.shape), one_down)
    logic.undo(result)
    assert np.array_equal(array_of(result, labels.shape), labels)
    logic.rename(result, "L1", "L3")
    assert np.array_equal(array_of(result, labels.shape), named(labels, {Level.L1: Level.L3}))
    logic.undo(result)
    t12 = next(vertebra for vertebra in logic.vertebrae(result) if vertebra.level == "T12")
    logic.moveCentroid(result, "T12", np.add(t12.ras, (1, 0, 0)))
    assert np.array_equal(array_of(result, labels.shape), labels)
    logic.keep(result, "T12", False)
    array = array_of(result, labels.shape)
    others = labels != Level.T12
    assert np.array_equal(array[(labels > 0) & others], labels[(labels > 0) & others])
    assert not np.array_equal(array == Level.T12, labels == Level.T12)
    assert np.count_nonzero(array == Level.T12) > 20


def test_the_labeller_judges_the_names_and_changes_nothing(logic, volume, ct, labels):
    one_off = {Level.T11: "T12", Level.T12: "L1", Level.L1: "L2"}
    result, adopted = start_from(logic, volume, add_segmentation(logic.scene, ct, labels, one_off))
    before = array_of(result, labels.shape)
    standins.CALLS.clear()
    verdicts = []
    judge(logic, result, adopted, verdicts.append)
    (verdict,) = verdicts
    assert (verdict.shift, verdict.agreeing) == (-1, 3)
    assert verdict.sentence == "your T12 looks like our T11 (3 of 3 agree): shift by -1?"
    assert "segmentation" not in standins.CALLS and not logic.busy
    assert np.array_equal(array_of(result, labels.shape), before)
    logic.shift(result, verdict.shift)
    assert np.array_equal(array_of(result, labels.shape), labels)


def test_a_second_result_is_refused(logic, volume, ct, labels):
    source = add_segmentation(logic.scene, ct, labels, NAMES)
    start_from(logic, volume, source)
    with pytest.raises(SpineError, match="has a result already"):
        start_from(logic, volume, source)
    # One that is of no use replaces nothing.
    with pytest.raises(SpineError, match="holds no vertebra"):
        start_from(logic, volume, add_segmentation(logic.scene, ct, labels, {Level.T11: "bone"}), replace=True)
    assert len(logic.vertebrae(Result.of(volume))) == 3


@pytest.mark.parametrize("names, message", [({Level.T11: "bone"}, "holds no vertebra, only bone"), ({}, "nothing but")])
def test_what_holds_no_vertebra_is_refused(logic, volume, ct, labels, names, message):
    with pytest.raises(SpineError, match=message):
        start_from(logic, volume, add_segmentation(logic.scene, ct, labels, names))
    with pytest.raises(SpineError, match="no segmentation is chosen"):
        start_from(logic, volume, None)


def test_starting_over_keeps_their_voxels_under_our_names(logic, volume, ct, labels):
    """What our labeller calls L1 is theirs that lies there, whatever they called it."""
    one_off = {Level.T11: "T12", Level.T12: "L1", Level.L1: "L2"}
    result, _ = start_from(logic, volume, add_segmentation(logic.scene, ct, labels, one_off))
    assert logic.hasWork(result)
    logic.process(volume)
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == ["T11", "T12", "L1"]
    assert np.array_equal(array_of(result, labels.shape), labels)
    assert all(vertebra.kept for vertebra in logic.vertebrae(result)) and not logic.hasEdits(result)


def test_a_result_is_cleared_for_another_start(logic, volume, ct, labels):
    source = add_segmentation(logic.scene, ct, labels, NAMES)
    result, _ = start_from(logic, volume, source)
    logic.shift(result, 1)
    clear(logic, result)
    assert not result.nodes and not logic.canUndo(result) and source.GetScene() is logic.scene
    result, _ = start_from(logic, volume, source)
    assert np.array_equal(array_of(result, labels.shape), labels) and not logic.canUndo(result)
