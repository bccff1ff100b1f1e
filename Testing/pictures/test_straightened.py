"""The column made straight, and points both ways."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.pictures.straightened import Straightening

UPRIGHT = np.array([[5.0, 10.0, z] for z in (0, -30, -60, -90, -120)])
S_SHAPED = np.array([[20 * np.sin(z / 60), 25 * np.cos(z / 70), -float(z)] for z in range(0, 421, 28)])


def test_an_upright_column_stays_as_it_is():
    straight = Straightening.of(UPRIGHT)
    points = np.array([[5, 10, -60], [25, -20, 10], [-40, 60, -150.25]])
    np.testing.assert_allclose(straight.to_straight(points), points, atol=1e-6)
    np.testing.assert_allclose(straight.to_world(points), points, atol=1e-6)
    assert straight.ends == pytest.approx((-120, 0))


def test_the_centroids_lie_on_the_axis_and_keep_their_distances():
    straight = Straightening.of(S_SHAPED)
    places = straight.to_straight(S_SHAPED)
    np.testing.assert_allclose(places[:, :2], np.tile(S_SHAPED[:, :2].mean(0), (len(places), 1)), atol=0.05)
    chords = np.linalg.norm(np.diff(S_SHAPED, axis=0), axis=1)
    # Along a curve it is a little farther than along its chord.
    assert np.all(-np.diff(places[:, 2]) >= chords - 0.05) and np.all(-np.diff(places[:, 2]) < 1.02 * chords)
    assert places[len(places) // 2, 2] == pytest.approx(S_SHAPED[len(places) // 2, 2], abs=0.5)


def test_a_quarter_of_a_circle_is_as_long_as_its_arc():
    angles = np.linspace(0, np.pi / 2, 12)
    arc = np.stack([np.zeros(12), 100 * np.cos(angles), -100 * np.sin(angles)], axis=1)
    places = Straightening.of(arc).to_straight(arc)
    assert places[0, 2] - places[-1, 2] == pytest.approx(100 * np.pi / 2, rel=2e-3)


near = st.floats(-30, 30)


@settings(max_examples=60, deadline=None)
@given(near, near, st.floats(-440, 20))
def test_law_there_and_back(left, back, z):
    straight = Straightening.of(S_SHAPED)
    point = np.array([[left, back, z]]) + [*S_SHAPED[:, :2].mean(0), 0]
    np.testing.assert_allclose(straight.to_straight(straight.to_world(point)), point, atol=1e-6)


def test_a_bent_rod_becomes_straight():
    """Bright within 6 mm of the line: then bright in the middle of every slice, dark round it."""
    grid = np.moveaxis(np.indices((120, 60, 60))[::-1], 0, -1) * 4.0 + [-120, -120, -440]
    line = Straightening.of(S_SHAPED).line
    away = cKDTree(line).query(grid)[0]
    image = sitk.GetImageFromArray(np.where(away < 8, 1000, 0).astype(np.int16))
    image.SetSpacing((4, 4, 4))
    image.SetOrigin((-120, -120, -440))
    straight = Straightening.of(S_SHAPED)
    result = straight.image(image, 2.0)
    assert result.GetPixelID() == sitk.sitkInt16
    place = result.TransformPhysicalPointToIndex([*straight.axis, sum(straight.ends) / 2])
    column = sitk.GetArrayFromImage(result)[20:-20, place[1], place[0]]
    beside = sitk.GetArrayFromImage(result)[20:-20, place[1], place[0] + 10]
    assert column.min() > 700 and beside.max() < 200


def test_one_vertebra_has_no_line():
    for points in (UPRIGHT[:1], UPRIGHT[[0, 0]], np.zeros((0, 3))):
        with pytest.raises(SpineError, match="two vertebrae"):
            Straightening.of(points)
