"""The measures of one scan against values worked out by hand, and the laws they obey."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, STANDARD, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.evaluation.metrics import labelling_scores, segmentation_scores, shifted
from SpineSegmentationLib.evaluation.surface import surface_distances, surface_points
from SpineSegmentationLib.spine import Centroid, Centroids

L1, L2, L3, L4, L5 = Level.L1, Level.L2, Level.L3, Level.L4, Level.L5


def points(**at: tuple[float, float, float]) -> Centroids:
    return Centroids(tuple(Centroid(Level[name], position) for name, position in at.items()))


def mask(boxes: dict[int, tuple[slice, slice, slice]], shape=(12, 10, 8), spacing=(1.0, 1.0, 1.0)) -> sitk.Image:
    """A label map with a box (z, y, x) per code; spacing in x, y, z."""
    labels = np.zeros(shape, np.uint8)
    for code, box in boxes.items():
        labels[box] = code
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing)
    image.SetOrigin((-7.0, 3.0, 100.0))
    return image


# Labelling --------------------------------------------------------------------------------------------------------

TRUTH = points(L1=(0, 0, 0), L2=(0, 0, -30), L3=(0, 0, -60), L4=(0, 0, -90))


def test_identification_and_distance_by_hand():
    predicted = points(L1=(3, 4, 0), L2=(0, 0, -30), L3=(0, 12, -76), L5=(0, 0, -120))
    scores = labelling_scores(TRUTH, predicted)
    # L3: hypot(12, 16) = 20 mm is not under 20 mm; L4 was not predicted; L5 is not annotated.
    assert scores.hits == {L1: True, L2: True, L3: False, L4: False}
    assert scores.distances == pytest.approx({L1: 5.0, L2: 0.0, L3: 20.0})
    assert (scores.missing, scores.extra) == ((L4,), (L5,))
    assert scores.id_rate == 0.5
    assert scores.d_mean == pytest.approx(25 / 3)
    assert scores.d_mean_challenge == pytest.approx((25 + 1000) / 4)


def test_a_prediction_nearer_to_another_annotated_vertebra_identifies_nothing():
    truth = points(C4=(0, 0, 0), C5=(0, 0, -15))
    scores = labelling_scores(truth, points(C4=(0, 0, -8), C5=(0, 0, -15)))
    assert scores.hits == {Level.C4: False, Level.C5: True}
    assert labelling_scores(truth, points(C4=(0, 0, -7), C5=(0, 0, -15))).id_rate == 1.0


def test_nothing_predicted():
    scores = labelling_scores(TRUTH, Centroids())
    assert scores.id_rate == scores.id_rate_shifted == 0.0
    assert math.isnan(scores.d_mean) and math.isnan(scores.d_mean_shifted)
    assert scores.d_mean_challenge == 1000.0
    assert scores.missing == TRUTH.levels


def test_nothing_annotated_is_an_error():
    with pytest.raises(SpineError, match="nothing to score"):
        labelling_scores(Centroids(), TRUTH)


def test_one_label_shift_is_made_visible():
    predicted = points(T12=(0, 0, 0), L1=(0, 0, -30), L2=(0, 3, -64), L3=(0, 0, -90))
    scores = labelling_scores(TRUTH, predicted)
    assert (scores.id_rate, scores.best_shift, scores.id_rate_shifted) == (0.0, 1, 1.0)
    assert scores.d_mean_shifted == pytest.approx(5 / 4)
    assert scores.named == {L1: Level.T12, L2: L1, L3: L2, L4: L3}


def test_the_column_of_a_shift_has_t13_only_if_the_person_has():
    assert shifted([Level.T12, L1], 1) == {Level.T12: L1, L1: L2}
    assert shifted([Level.T12, L1], 1, also=[Level.T13]) == {Level.T12: Level.T13, L1: L2}
    assert shifted([Level.C1, Level.L6], -1) == {Level.L6: L5}
    assert shifted([Level.C1, Level.L6], 1) == {Level.C1: Level.C2}


@st.composite
def columns(draw) -> Centroids:
    first = draw(st.integers(0, 19))
    last = draw(st.integers(first + 1, 23))
    gaps = draw(st.lists(st.floats(14, 40), min_size=last - first, max_size=last - first))
    drift = draw(st.lists(st.floats(-5, 5), min_size=last - first, max_size=last - first))
    heights, sides = np.cumsum(gaps), np.cumsum(drift)
    return Centroids(
        tuple(Centroid(level, (x, 0, -z)) for level, x, z in zip(STANDARD[first:last], sides, heights, strict=True))
    )


@settings(max_examples=50, deadline=None)
@given(columns())
def test_a_perfect_labelling_scores_one_and_zero(truth):
    scores = labelling_scores(truth, truth)
    assert (scores.id_rate, scores.d_mean, scores.best_shift, scores.missing) == (1.0, 0.0, 0, ())


@settings(max_examples=50, deadline=None)
@given(columns(), st.integers(-3, 3), st.data())
def test_renaming_truth_and_prediction_alike_changes_nothing(truth, shift, data):
    noise = data.draw(st.lists(st.floats(-25, 25), min_size=len(truth), max_size=len(truth)))
    predicted = Centroids(
        tuple(Centroid(p.level, np.add(p.position, (0, n, 0))) for p, n in zip(truth, noise, strict=True))
    )
    names = shifted(truth.levels, shift)

    def renamed(centroids: Centroids) -> Centroids:
        return Centroids(tuple(Centroid(names[p.level], p.position) for p in centroids if p.level in names))

    if len(names) == len(truth):
        before, after = labelling_scores(truth, predicted), labelling_scores(renamed(truth), renamed(predicted))
        assert (after.id_rate, after.d_mean) == (before.id_rate, before.d_mean)
        assert list(after.hits.values()) == list(before.hits.values())


@settings(max_examples=50, deadline=None)
@given(columns(), st.integers(-4, 4))
def test_a_shifted_labelling_is_fully_recovered(truth, shift):
    names = shifted(truth.levels, shift)
    predicted = Centroids(tuple(Centroid(names[p.level], p.position) for p in truth if p.level in names))
    scores = labelling_scores(truth, predicted)
    assert scores.id_rate_shifted == len(names) / len(truth)
    assert scores.best_shift == (-shift if names else 0)


# Segmentation -----------------------------------------------------------------------------------------------------


def test_dice_hausdorff_and_surface_distance_by_hand():
    # Two columns of three voxels along x, one voxel apart in x: every voxel is a surface voxel.
    truth = mask({20: np.s_[5, 5, 2:5]}, spacing=(0.5, 1.0, 3.0))
    predicted = mask({20: np.s_[5, 5, 3:6]}, spacing=(0.5, 1.0, 3.0))
    scores = segmentation_scores(truth, predicted)
    assert scores.dice[L1] == pytest.approx(2 * 2 / 6)
    assert scores.hd[L1] == pytest.approx(0.5)
    assert scores.assd[L1] == pytest.approx((0.5 + 0 + 0 + 0 + 0 + 0.5) / 6)


def test_spacing_is_taken_per_axis():
    for axis, distance in ((0, 6.0), (1, 2.0), (2, 1.0)):  # z, y, x: two voxels of 3, 1 and 0.5 mm
        moved = [5, 5, 3]
        moved[axis] += 2
        first = mask({20: np.s_[5, 5, 3]}, spacing=(0.5, 1.0, 3.0))
        second = mask({20: tuple(moved)}, spacing=(0.5, 1.0, 3.0))
        scores = segmentation_scores(first, second)
        assert (scores.hd[L1], scores.assd[L1], scores.dice[L1]) == (distance, distance, 0.0)


def test_surface_has_no_inner_voxels_and_closes_at_the_border_of_the_volume():
    whole = np.ones((5, 5, 5), bool)
    assert len(surface_points(whole, (1, 1, 1))) == 5**3 - 3**3
    # A cube cut by the border: its cut face is surface, so a longer cube is one voxel away and not more.
    truth, predicted = mask({20: np.s_[0:6, 2:7, 2:7]}), mask({20: np.s_[0:7, 2:7, 2:7]})
    scores = segmentation_scores(truth, predicted)
    assert scores.hd[L1] == 1.0
    # 5x5 cap of the longer cube at distance 1, and under it the 3x3 inner voxels of the cap of the shorter one.
    longer, shorter = 7 * 25 - 5 * 9, 6 * 25 - 4 * 9
    assert scores.assd[L1] == pytest.approx((25 + 9) / (longer + shorter))


def test_missing_extra_and_mixed_vertebrae():
    truth = mask({20: np.s_[0:3], 21: np.s_[4:7], 22: np.s_[8:11]})
    predicted = mask({20: np.s_[0:3], 21: np.s_[8:11], 24: np.s_[4:6]})
    scores = segmentation_scores(truth, predicted)
    assert scores.dice == {L1: 1.0, L2: 0.0, L3: 0.0}
    assert scores.dice_mean == pytest.approx(1 / 3)
    assert (scores.missing, scores.extra) == ((L3,), (L5,))
    assert set(scores.hd) == set(scores.assd) == {L1, L2}
    assert scores.hd == pytest.approx({L1: 0.0, L2: 4.0})
    assert scores.hd_mean_challenge == pytest.approx((0 + 4 + 100) / 3)
    assert scores.mixing == {L1: 0.0, L2: 1.0, L5: 1.0}
    # Lessmann's pairing by overlap finds the vertebrae behind the wrong names.
    assert scores.matched == {L1: L1, L2: L5, L3: L2}
    assert scores.dice_matched == pytest.approx({L1: 1.0, L2: 2 * 2 / 5, L3: 1.0})
    assert scores.assd_matched[L3] == 0.0


def test_a_part_of_a_vertebra_inside_its_neighbour_is_its_mixing():
    truth = mask({20: np.s_[0:4], 21: np.s_[4:8]})
    predicted = mask({20: np.s_[0:5], 21: np.s_[5:9]})
    assert segmentation_scores(truth, predicted).mixing == pytest.approx({L1: 1 / 5, L2: 0.0})


def test_empty_prediction_scores_zero_and_empty_truth_is_an_error():
    truth, empty = mask({20: np.s_[0:3]}), mask({})
    scores = segmentation_scores(truth, empty)
    assert (scores.dice_mean, scores.missing, scores.matched) == (0.0, (L1,), {L1: None})
    assert math.isnan(scores.hd_mean) and math.isnan(scores.assd_mean)
    assert scores.hd_mean_challenge == 100.0
    with pytest.raises(SpineError, match="nothing to score"):
        segmentation_scores(empty, truth)


def test_sacrum_and_unknown_codes_are_background():
    truth = mask({24: np.s_[0:3], 26: np.s_[4:7]})
    predicted = mask({24: np.s_[0:3], 26: np.s_[4:5], 99: np.s_[7:9]})
    scores = segmentation_scores(truth, predicted)
    assert (scores.dice, scores.extra, scores.mixing) == ({L5: 1.0}, (), {L5: 0.0})


def test_shifted_masks_are_made_visible():
    truth = mask({20: np.s_[0:3], 21: np.s_[4:7], 22: np.s_[8:11]})
    predicted = mask({21: np.s_[0:3], 22: np.s_[4:7], 23: np.s_[8:11]})
    scores = segmentation_scores(truth, predicted)
    assert (scores.dice_mean, scores.best_shift, scores.dice_shifted) == (0.0, -1, 1.0)


def test_different_grids_and_masks_that_are_no_label_maps_are_errors():
    truth = mask({20: np.s_[0:3]})
    with pytest.raises(SpineError, match=r"different grids .*12.*resample"):
        segmentation_scores(truth, mask({20: np.s_[0:3]}, spacing=(1, 1, 1.1)))
    with pytest.raises(SpineError, match="different grids"):
        segmentation_scores(truth, mask({20: np.s_[0:3]}, shape=(13, 10, 8)))
    with pytest.raises(SpineError, match="broken numbers"):
        segmentation_scores(truth, sitk.Cast(truth, sitk.sitkFloat32) * 0.99)
    with pytest.raises(SpineError, match=r"outside 0\.\.255"):
        segmentation_scores(truth, sitk.Cast(truth, sitk.sitkInt16) - 1)


SHAPE = (7, 6, 5)


@st.composite
def label_maps(draw) -> sitk.Image:
    """Two to four touching boxes with noise, never empty."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = np.zeros(SHAPE, np.uint8)
    for code in draw(st.lists(st.sampled_from([18, 19, 28, 20, 21]), min_size=1, max_size=4, unique=True)):
        low = rng.integers(0, SHAPE)
        high = low + rng.integers(1, 5, 3)
        labels[tuple(map(slice, low, high))] = code
    labels[rng.random(SHAPE) < 0.1] = 20
    labels[0, 0, 0] = 20
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((0.7, 1.1, 2.5))
    return image


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(math.isclose(first[k], second[k], abs_tol=1e-9) for k in first)


@settings(max_examples=40, deadline=None)
@given(label_maps(), label_maps())
def test_measures_are_symmetric(first, second):
    there, back = segmentation_scores(first, second), segmentation_scores(second, first)
    common = there.hd.keys()
    assert common == back.hd.keys()
    assert same({k: there.dice[k] for k in common}, {k: back.dice[k] for k in common})
    assert same(there.hd, back.hd) and same(there.assd, back.assd)
    assert all(there.assd[k] <= there.hd[k] + 1e-9 for k in common)


@settings(max_examples=40, deadline=None)
@given(label_maps())
def test_a_perfect_segmentation_scores_one_and_zero(truth):
    scores = segmentation_scores(truth, truth)
    assert set(scores.dice.values()) == {1.0}
    assert (scores.hd_mean, scores.assd_mean, scores.best_shift, set(scores.mixing.values())) == (0.0, 0.0, 0, {0.0})


@settings(max_examples=40, deadline=None)
@given(label_maps(), label_maps(), st.sampled_from(["RAS", "ASL", "PIR", "SPL", "LAI"]), st.booleans())
def test_orientation_changes_nothing(truth, predicted, orientation, both):
    expected = segmentation_scores(truth, predicted)
    turned = sitk.DICOMOrient(truth, orientation) if both else truth
    scores = segmentation_scores(turned, sitk.DICOMOrient(predicted, orientation))
    assert same(scores.dice, expected.dice) and same(scores.hd, expected.hd) and same(scores.assd, expected.assd)


@settings(max_examples=40, deadline=None)
@given(label_maps(), label_maps(), st.permutations([18, 19, 28, 20, 21]))
def test_a_common_relabelling_changes_nothing_but_the_names(truth, predicted, codes):
    renaming = dict(zip([18, 19, 28, 20, 21], codes, strict=True))

    def renamed(image: sitk.Image) -> sitk.Image:
        table = np.arange(256, dtype=np.uint8)
        table[list(renaming)] = list(renaming.values())
        result = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(image)])
        result.CopyInformation(image)
        return result

    expected, scores = segmentation_scores(truth, predicted), segmentation_scores(renamed(truth), renamed(predicted))
    for name in ("dice", "hd", "assd", "mixing"):
        assert same(getattr(scores, name), {Level(renaming[k]): v for k, v in getattr(expected, name).items()})


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_surface_distances_equal_the_definition(seed):
    rng = np.random.default_rng(seed)
    first, second = (rng.normal(size=(rng.integers(1, 30), 3)) * 10 for _ in range(2))
    table = np.linalg.norm(first[:, None] - second[None], axis=2)
    there, back = table.min(1), table.min(0)
    found = surface_distances(first, second)
    assert found.hausdorff == pytest.approx(max(there.max(), back.max()))
    assert found.assd == pytest.approx(np.concatenate([there, back]).mean())


def test_every_level_has_a_place_in_the_overlap_table():
    truth = mask({int(level): np.s_[i // 10, i % 10, 0:2] for i, level in enumerate(COLUMN)})
    scores = segmentation_scores(truth, truth)
    assert tuple(scores.dice) == COLUMN and scores.overlap.sum() == 2 * len(COLUMN)
