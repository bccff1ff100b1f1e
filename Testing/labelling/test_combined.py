"""The projections' candidates and a witness in three dimensions: who decides what."""

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.labelling.combined import Place, joined, near
from SpineSegmentationLib.labelling.sequence import Candidate, best_sequence


def candidate(position, probability=0.8, **levels):
    shares = np.full(len(COLUMN), 1e-6)
    for name, share in levels.items():
        shares[Level[name].rank] = share
    return Candidate(position, probability, shares / shares.sum())


def heat_at(points, size=(30, 25, 40), spacing=4.0, origin=(-50.0, -40.0, 100.0)):
    """Heatmaps with a Gaussian of 6 mm per (level, position, height) on a grid along the LPS axes."""
    image = sitk.Image(list(size), sitk.sitkFloat32)
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin(origin)
    z, y, x = np.indices(size[::-1]) * spacing
    place = np.stack([x, y, z], -1) + np.array(origin)
    maps = np.zeros((len(COLUMN), *size[::-1]))
    for level, position, height in points:
        distance = np.linalg.norm(place - np.array(position), axis=-1)
        maps[level.rank] += height * np.exp(-0.5 * (distance / 6.0) ** 2)
    return maps, image


def test_the_witness_is_found_between_the_voxels():
    maps, image = heat_at([(Level.T7, (5.3, 10.9, 160.6), 0.9), (Level.T8, (5.0, 11.0, 138.0), 1.0)])
    found = near(maps, image, (1.0, 8.0, 162.0))
    assert found.position == pytest.approx((5.3, 10.9, 160.6), abs=1.0)
    assert 0.8 < found.probability <= 0.95


def test_the_witness_looks_far_across_but_not_along():
    maps, image = heat_at([(Level.T7, (-22.0, 10.0, 160.0), 0.9)])
    assert near(maps, image, (0.0, 10.0, 160.0)).probability > 0.7
    assert near(maps, image, (0.0, 10.0, 185.0)).probability < 0.2
    assert near(maps, image, (0.0, 10.0, 900.0)) is None


def test_near_places_are_averaged_and_far_ones_are_the_witness_s():
    one = candidate((0, 3, 7), 0.6, T7=1.0)
    beside = joined(one, Place((4, 9, 9), 0.8))
    assert beside.position == pytest.approx((2, 3, 7)) and beside.probability == pytest.approx(0.7)
    in_a_vessel = joined(one, Place((-20, 9, 9), 0.8))
    assert in_a_vessel.position == pytest.approx((-20, 3, 7))


def test_a_witness_that_sees_nothing_moves_nothing():
    one = candidate((0, 3, 7), 0.6, T7=1.0)
    assert joined(one, None) is one
    assert joined(one, Place((-20, 9, 9), 0.1)).position == pytest.approx((0, 3, 7))


def test_the_name_is_left_to_the_projections():
    one = candidate((0, 0, 0), T5=0.5, T6=0.3)
    assert joined(one, Place((0, 0, 0), 0.9)).levels is one.levels


def test_what_the_witness_does_not_see_is_doubted():
    places = [(0.0, 0.0, -35.0 * k) for k in range(4)]
    own = [candidate(p, 0.2, **{n: 1.0}) for p, n in zip(places, ["L1", "L2", "L3", "L4"], strict=True)]
    seen = [joined(c, Place(c.position, 0.9)) for c in own]
    doubted = [joined(c, Place(c.position, 0.0)) for c in own]
    assert best_sequence(seen).levels == (Level.L1, Level.L2, Level.L3, Level.L4)
    assert [c.probability for c in doubted] == [0.1] * 4
