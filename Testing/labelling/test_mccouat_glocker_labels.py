"""The dense labels of McCouat and Glocker: discs of vertebrae, and the centroids their votes give back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, STANDARD, Level
from SpineSegmentationLib.labelling import mccouat_glocker as labelling
from SpineSegmentationLib.labelling.distances import DISTANCE
from SpineSegmentationLib.labelling.mccouat_glocker_labels import (
    NUMBER,
    RADIUS,
    UNKNOWN,
    densify,
    least_votes,
    nearest_labels,
    sparsify,
)
from SpineSegmentationLib.phantom.dimensions import DIMENSIONS

STRAIGHT = np.array([[60.0, 30.0, 30.0], [40.0, 30.0, 30.0], [20.0, 30.0, 30.0]])  # three vertebrae, 20 voxels apart


def test_a_straight_column_by_hand():
    labels = densify((Level.L3, Level.L4, Level.L5), STRAIGHT, (80, 60, 60), 1.0)
    # Midpoints at 50 and 30; as long beyond L3 and L5 as on the other side. Nothing follows below L5.
    expected = np.zeros(80, int)
    expected[10:30], expected[30:50], expected[50:70] = (level.rank + 1 for level in (Level.L5, Level.L4, Level.L3))
    expected[70:] = UNKNOWN
    np.testing.assert_array_equal(labels[:, 30, 30], expected)


def test_the_discs_have_the_radius_of_their_level():
    labels = densify((Level.L3, Level.L4, Level.L5), STRAIGHT, (80, 60, 60), 1.0)
    size = DIMENSIONS[Level.L4]
    radius = (size.width + size.depth) / 4
    y, x = np.mgrid[:60, :60]
    np.testing.assert_array_equal(labels[40] == Level.L4.rank + 1, (y - 30) ** 2 + (x - 30) ** 2 <= radius**2)
    coarse = densify((Level.L3, Level.L4, Level.L5), STRAIGHT / 2, (40, 30, 30), 2.0)
    assert (coarse > 0).sum() == pytest.approx((labels > 0).sum() / 8, rel=0.06)


def test_the_line_leans_with_the_column():
    leaning = STRAIGHT + [[0, 8, -4], [0, 0, 0], [0, -8, 4]]
    labels = densify((Level.L3, Level.L4, Level.L5), leaning, (80, 70, 70), 1.0)
    for row in (32, 40, 48):
        middle = np.argwhere(labels[row]).mean(0)
        np.testing.assert_allclose(middle, [30 + 8 * (row - 40) / 20, 30 - 4 * (row - 40) / 20], atol=0.3)


def test_vertebrae_that_were_left_out_are_unknown():
    places = np.array([[150.0, 30, 30], [10.0, 30, 30]])
    along = densify((Level.T12, Level.L4), places, (160, 60, 60), 1.0)[:, 30, 30]
    upper, lower = DISTANCE[Level.T12] / 2, DISTANCE[Level.L4] / 2
    rows = np.arange(160)
    np.testing.assert_array_equal(along == Level.T12.rank + 1, (rows >= 150 - upper) & (rows < 150 + upper))
    np.testing.assert_array_equal(along == Level.L4.rank + 1, rows < 10 + lower)
    gap = ((rows >= 150 - 3 * upper) & (rows < 150 - upper)) | ((rows >= 10 + lower) & (rows < 10 + 3 * lower))
    np.testing.assert_array_equal(along == UNKNOWN, gap)


def test_the_atlas_has_nothing_above():
    labels = densify((Level.C1, Level.C2), np.array([[20.0, 20, 20], [4.0, 20, 20]]), (60, 40, 40), 1.0)
    assert labels[:28].any(axis=(1, 2)).all()
    assert not labels[29:].any()


def test_labels_are_in_the_order_of_the_column_and_t13_has_no_whole_number():
    assert NUMBER[Level.C1.rank + 1] == 1
    assert NUMBER[Level.L5.rank + 1] == 24
    assert NUMBER[Level.L6.rank + 1] == 25
    assert NUMBER[Level.T13.rank + 1] == 19.5
    assert (np.diff(NUMBER) > 0).all()
    for level in (*STANDARD, Level.L6):
        number = NUMBER[level.rank + 1]
        labels = nearest_labels(np.array([number - 0.4, number, number + 0.4]))
        assert (labels == level.rank + 1).all()
    assert nearest_labels(np.array([-3.0, 19.5, 99.0])).tolist() == [1, Level.L1.rank + 1, Level.L6.rank + 1]


def test_the_least_votes_by_hand():
    assert least_votes(Level.T5) == 3000
    # Half of a C4 with its disc: a cylinder of radius (17.6 + 15.7) / 4 = 8.325 mm and height 16.4 mm.
    assert least_votes(Level.C4) == pytest.approx(np.pi * 8.325**2 * 16.4 / 2)  # 1785 mm^3
    assert RADIUS[Level.L4] == pytest.approx((48.2 + 35.0) / 4)
    assert least_votes(Level.L4) == pytest.approx(0.4 * 20.8**3)  # 3600 mm^3


def test_the_median_and_the_threshold_by_hand():
    labels = np.zeros((40, 40, 40), np.uint8)
    code = Level.T5.rank + 1
    labels[10:26, 4:19, 5:18] = code  # 16 * 15 * 13 = 3120 voxels: medians 17.5, 11, 11
    labels[30:33, 30:33, 30:33] = code  # few stray votes do not move the median
    labels[0:3, 0:30, 0:30] = Level.T6.rank + 1  # 2700 votes are too few
    found = sparsify(labels, 1.0)
    assert list(found) == [Level.T5]
    np.testing.assert_allclose(found[Level.T5], [17.5, 11, 11], atol=0.51)
    assert sparsify(labels, 0.98) == {}  # the threshold is a volume: 3147 voxels of 0.94 mm^3
    assert set(sparsify(labels, 1.1)) == {Level.T5, Level.T6}


@st.composite
def columns(draw):
    """A run of levels, curved, in voxels of 2 mm, each vertebra of 0.9 to 1.15 of the mean person's height."""
    ordinary = [level for level in COLUMN if level != Level.T13]
    first = draw(st.integers(1, len(ordinary) - 3))
    levels = ordinary[first : first + draw(st.integers(2, 9))]
    size = draw(st.floats(0.9, 1.15))
    sway = draw(st.floats(-6, 6)), draw(st.floats(-6, 6)), draw(st.floats(0, 6))
    below = [DISTANCE[level] * size / 2 for level in levels[:-1]]
    z = 20 + np.append(np.cumsum(below[::-1])[::-1], 0)
    return tuple(levels), np.stack([z, 30 + sway[0] * np.sin(z / 40 + sway[2]), 30 + sway[1] * np.cos(z / 40)], 1)


@given(columns())
@settings(max_examples=40, deadline=None)
def test_dense_labels_give_their_centroids_back(generated):
    levels, positions = generated
    labels = densify(levels, positions, (int(positions[0, 0]) + 20, 60, 60), 2.0)
    labels[labels == UNKNOWN] = 0
    found = sparsify(labels, 2.0)
    assert tuple(found) == levels
    for level, place in found.items():
        assert np.linalg.norm(place - positions[levels.index(level)]) < 1.5  # voxels of 2 mm


def test_votes_that_disagree_lower_the_confidence():
    numbers = np.zeros((20, 20, 20), np.float32)
    numbers[:, :, :] = 12.0
    place = np.array([10.0, 10.0, 10.0])
    level = COLUMN[11]
    sure = labelling.agreement(numbers, place, level, 2.0)
    share = labelling.PRIOR * np.exp(-0.5 * ((12.0 - NUMBER[1:]) / labelling.DOUBT) ** 2)
    np.testing.assert_allclose(sure, share / share.sum(), atol=1e-6)
    numbers[::2] = 13.0
    doubtful = labelling.agreement(numbers, place, level, 2.0)
    assert doubtful[11] < 0.8 * sure[11]
    np.testing.assert_allclose(labelling.agreement(numbers * 0, place, level, 2.0), 1 / 26)
