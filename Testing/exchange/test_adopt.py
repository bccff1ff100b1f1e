"""Taking a segmentation over: voxels, centroids, what looks wrong, and what our labeller says of the names."""

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.exchange.adopt import adopt
from SpineSegmentationLib.exchange.redo import named_as_theirs, redo
from SpineSegmentationLib.exchange.verdict import compare
from SpineSegmentationLib.foreign.codes import TABLES
from SpineSegmentationLib.foreign.masks import ForeignMask, ForeignSegment, from_labels
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.mask import Piece
from SpineSegmentationLib.session.state import State
from SpineSegmentationLib.spine import Centroid, Centroids


def adopted(column, labels):
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(column.ct)
    return adopt(from_labels(image, "mask", TABLES["verse"]), column.ct)


def test_nothing_is_changed_and_nothing_is_wrong(column, labels):
    result = adopted(column, labels)
    assert np.array_equal(sitk.GetArrayFromImage(result.label_map(column.ct)), labels)
    assert result.findings == ()
    assert result.centroids.levels == column.centroids.levels
    assert np.abs(result.centroids.positions - column.centroids.positions).max() < 3


# What looks wrong


def spoiled(column, labels: np.ndarray, what: str) -> np.ndarray:
    z = np.indices(labels.shape)[0]
    l2, l3 = labels == Level.L2, labels == Level.L3
    middle = np.argwhere(l3)[:, 0].mean()
    if what == "two in one":
        labels[l2 | l3 | ndimage.binary_closing(l2 | l3, iterations=4)] = Level.L3
    elif what == "one in two":
        labels[l2] = 0
        body = column.ct.TransformPhysicalPointToContinuousIndex(column.centroids[Level.L3].position)
        labels[l3 & (z > body[2])] = Level.L2
    elif what == "mixed":
        labels[l3 & (z > np.quantile(z[l3], 0.6))] = Level.L2
    elif what == "pieces":
        labels[l3 & (z < middle - 3)] = 0
        apart = ndimage.binary_erosion(l2, iterations=3)
        labels[l2 & ~apart] = 0
        labels[apart] = Level.L3
    elif what == "gap":
        labels[l3] = 0
    elif what == "skipped":
        for level in (Level.L4, Level.L3):
            labels[labels == level] = level + 1
    elif what == "order":
        labels[l2], labels[l3] = Level.L3, Level.L2
    elif what == "small":
        labels[l3 & (np.abs(z - middle) > 0.6)] = 0
    return labels


@pytest.mark.parametrize("what", ["two in one", "one in two", "mixed", "pieces", "gap", "skipped", "order", "small"])
def test_what_is_spoiled_is_found(column, labels, what):
    findings = adopted(column, spoiled(column, labels, what)).findings
    assert what in [finding.kind for finding in findings]
    finding = next(finding for finding in findings if finding.kind == what)
    assert {Level.L2, Level.L3} & set(finding.levels)
    assert all(level.name in finding.text for level in finding.levels)


def test_a_mask_beside_the_bone_is_found(column, labels):
    result = adopted(column, np.roll(labels, 25, axis=1))
    assert "place" in [finding.kind for finding in result.findings]
    found = result.renamed({Level.L4: Level.L6}).findings
    assert [one.text[-20:] for one in found if one.kind == "place"] == ["left where right is?"]


def test_a_vertebra_that_is_there_twice_is_joined_and_said(column, labels):
    grid = Grid.of(column.ct)
    halves = [
        (labels == Level.L2) & part
        for part in (np.indices(labels.shape)[0] % 2 == 0, np.indices(labels.shape)[0] % 2 == 1)
    ]
    segments = [
        ForeignSegment(name, Level.L2, Piece.of(half, (0, 0, 0)))
        for name, half in zip(("L2", "vertebrae_L2"), halves, strict=True)
    ]
    result = adopt(ForeignMask(grid, tuple(segments), "mask"), column.ct)
    assert np.array_equal(sitk.GetArrayFromImage(result.label_map(column.ct)) > 0, labels == Level.L2)
    assert [finding.text for finding in result.findings if finding.kind == "duplicate"] == [
        "L2 is there twice, as 'L2' and 'vertebrae_L2'; both were joined"
    ]


def test_voxels_of_two_segments_go_to_the_nearer_centroid(column, labels):
    grid = Grid.of(column.ct)
    l2, l3 = labels == Level.L2, labels == Level.L3
    both = l2 | ndimage.binary_dilation(l2, iterations=3) & l3
    segments = (
        ForeignSegment("L2", Level.L2, Piece.of(both, (0, 0, 0))),
        ForeignSegment("L3", Level.L3, Piece.of(l3, (0, 0, 0))),
    )
    result = adopt(ForeignMask(grid, segments, "mask"), column.ct)
    shared = np.count_nonzero(both & l3)
    assert shared
    assert [finding.text for finding in result.findings if finding.kind == "overlap"] == [
        f"L2 and L3 overlap in {shared} voxels; each went to the nearer centroid"
    ]
    array = sitk.GetArrayFromImage(result.label_map(column.ct))
    assert np.array_equal(array > 0, both | l3)
    assert np.count_nonzero(array == Level.L3) > 0.9 * np.count_nonzero(l3)


def test_the_same_mask_under_two_names_is_no_second_vertebra(column, labels):
    piece = Piece.of(labels == Level.L2, (0, 0, 0))
    segments = tuple(ForeignSegment(level.name, level, piece) for level in (Level.L2, Level.L3))
    result = adopt(ForeignMask(Grid.of(column.ct), segments, "mask"), column.ct)
    assert len(result.pieces) == len(result.centroids) == 1
    assert any("is left out: other vertebrae have all its voxels" in note for note in result.notes)


# The verdict


def shifted(centroids: Centroids, by: int) -> Centroids:
    return State(None, centroids).shifted(by).centroids


@pytest.mark.parametrize("by", [-2, -1, 0, 1])
def test_the_shift_that_our_labeller_sees(column, labels, by):
    theirs = adopted(column, labels)
    verdict = compare(theirs.pieces, theirs.centroids, theirs.grid, shifted(column.centroids, by))
    assert (verdict.shift, verdict.agreeing, len(verdict.pairs)) == (by, 6, 6)
    assert verdict.findings == ()
    assert ("same names (6 of 6)" if by == 0 else f"(6 of 6 agree): shift by {by:+d}?") in verdict.sentence
    if by == -1:
        assert verdict.sentence.startswith("your T11 looks like our T10 ")


def test_the_labellers_own_doubt_is_said(column, labels):
    theirs = adopted(column, labels)
    levels = column.centroids.levels
    ours = Centroids(column.centroids.points, Numbering(Certainty.DOUBTFUL, (Reading(levels, 0.6),)))
    verdict = compare(theirs.pieces, theirs.centroids, theirs.grid, ours)
    assert verdict.sentence.endswith("The names are doubtful: check them.")


def test_a_name_used_twice_along_the_column_gives_no_shift(column, labels):
    theirs = adopted(column, labels)
    names = [Level.T10, Level.T11, Level.T12, Level.L2, Level.L3, Level.L4]
    ours = Centroids(tuple(Centroid(name, p.position) for name, p in zip(names, column.centroids, strict=True)))
    verdict = compare(theirs.pieces, theirs.centroids, theirs.grid, ours)
    assert verdict.shift is None
    assert "no shift makes the names agree" in verdict.sentence


def test_what_lies_under_our_points_is_told(column, labels):
    l3 = labels == Level.L3
    labels[labels == Level.T12] = 0
    left = np.indices(labels.shape)[2] < np.argwhere(l3)[:, 2].mean()
    labels[l3 & left] = Level.L2
    theirs = adopted(column, labels)
    verdict = compare(theirs.pieces, theirs.centroids, theirs.grid, column.centroids)
    kinds = {finding.kind: finding for finding in verdict.findings}
    assert kinds["missing"].levels == (Level.T12,)
    assert set(kinds["mixed"].levels) == {Level.L2, Level.L3}


def test_no_vertebra_of_ours_no_verdict(column, labels):
    theirs = adopted(column, labels)
    assert "could not be checked" in compare(theirs.pieces, theirs.centroids, theirs.grid, Centroids()).sentence


# Segmented again


@pytest.fixture(scope="module")
def blocks():
    """A column for the stand-in stages: the scan, the pipeline, and masks with every voxel of bone."""
    standins.install()
    scan, pipeline = standins.spine_ct(), Pipeline("standin", "cpu")
    bone, count = ndimage.label(sitk.GetArrayFromImage(scan) > 250)
    order = np.argsort(ndimage.center_of_mass(bone, bone, range(1, count + 1)), axis=0)[::-1, 0]
    labels = np.zeros(bone.shape, np.uint8)
    for level, place in zip((Level.T11, Level.T12, Level.L1, Level.L2, Level.L3), order, strict=True):
        labels[bone == place + 1] = level
    return scan, pipeline, labels


@settings(max_examples=15, deadline=None)
@given(marked=st.sets(st.sampled_from([Level.T11, Level.T12, Level.L1, Level.L2, Level.L3])))
def test_only_marked_levels_change(blocks, marked):
    scan, pipeline, labels = blocks
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(scan)
    before = adopt(from_labels(image, "mask", TABLES["verse"]), scan)
    after = redo(pipeline, scan, before, marked)
    array = sitk.GetArrayFromImage(after.label_map(scan))
    for level in before.pieces:
        if level not in marked:
            assert np.array_equal(array == level, labels == level)
        else:
            assert np.count_nonzero(array == level)
            assert not np.array_equal(array == level, labels == level)


def test_a_missing_level_is_made_between_its_neighbours(blocks):
    scan, pipeline, labels = blocks
    labels = labels.copy()
    labels[labels == Level.L1] = 0
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(scan)
    after = redo(pipeline, scan, adopt(from_labels(image, "mask", TABLES["verse"]), scan), [Level.L1])
    array = sitk.GetArrayFromImage(after.label_map(scan))
    assert np.array_equal(array * (array != Level.L1), labels)
    assert np.count_nonzero(array == Level.L1) > 20


def test_a_level_without_a_place_is_refused(blocks):
    scan, pipeline, labels = blocks
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(scan)
    before = adopt(from_labels(image, "mask", TABLES["verse"]), scan)
    with pytest.raises(SpineError, match="L5 has no mask, and nothing tells where it is"):
        redo(pipeline, scan, before, [Level.L5])
    with pytest.raises(SpineError, match="no bone was found for L5"):
        redo(pipeline, scan, before, [Level.L5], Centroids((Centroid(Level.L5, (900.0, 0.0, 0.0)),)))


def test_our_places_get_their_names(column, labels):
    labels[labels == Level.L2] = 0
    theirs = adopted(column, labels)
    ours = shifted(column.centroids, -1)
    verdict = compare(theirs.pieces, theirs.centroids, theirs.grid, ours)
    places = named_as_theirs(ours, verdict, theirs.centroids)
    assert places.levels == column.centroids.levels
    assert places[Level.L2].position == column.centroids[Level.L2].position


def test_names_of_masks_are_changed_all_at_once(column, labels):
    result = adopted(column, labels).renamed({Level.L3: Level.L4, Level.L4: Level.L3})
    array = sitk.GetArrayFromImage(result.label_map(column.ct))
    assert np.array_equal(array == Level.L4, labels == Level.L3)
    assert "order" in [finding.kind for finding in result.findings]
    with pytest.raises(SpineError, match="L4 is given twice"):
        adopted(column, labels).renamed({Level.L3: Level.L4})
