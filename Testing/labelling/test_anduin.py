"""Anduin's labeller without trained networks: projections, the curve, candidates."""

import numpy as np
import pytest
import torch
from grids import blank

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.labelling.anduin import SLAB, candidates, found_curve, level_maps, middle_curve, project
from SpineSegmentationLib.labelling.distances import DISTANCE
from SpineSegmentationLib.labelling.sequence import best_sequence
from SpineSegmentationLib.training.anduin_labelling import level_distribution


def test_the_answers_of_a_committee_are_averaged():
    seen = []

    def member(answer):
        def run(compute, sagittal, coronal):
            seen.append((sagittal.shape, coronal.shape))
            return torch.full((1, 2, 4, 5), answer), torch.full((1, 2, 4, 6), 2 * answer)

        return run

    side, front = level_maps([member(0.1), member(0.4)], torch.zeros(3, 4, 5), torch.zeros(3, 4, 6))
    assert seen == [((1, 3, 4, 5), (1, 3, 4, 6))] * 2
    np.testing.assert_allclose(side, np.full((2, 4, 5), 0.25), atol=1e-6)
    np.testing.assert_allclose(front, np.full((2, 4, 6), 0.5), atol=1e-6)


def test_projections_by_hand():
    hu = torch.zeros(2, 3, 5)
    hu[0, 1, 2] = 100.0
    hu[0, 1, 4] = -50.0
    side, front = project(hu, torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
    assert side.shape == (3, 2, 3)
    assert front.shape == (3, 2, 5)
    assert side[0, 0, 1] == 100
    assert side[1, 0, 1] == pytest.approx((100 - 50) / 5)
    weight = np.exp(-0.5 * ((np.arange(5) - 2) * 2.0 / SLAB) ** 2) + 1e-6
    assert float(side[2, 0, 1]) == pytest.approx((100 * weight[2] - 50 * weight[4]) / weight.sum(), rel=1e-5)
    assert front[0, 0, 2] == 100
    assert front[0, 0, 4] == 0
    assert front[1, 0, 4] == pytest.approx(-50 / 3)


@pytest.fixture
def curved():
    """Ideal maps of T9 to L2 on a scoliotic, kyphotic column, and where its vertebrae are."""
    levels = [level for level in COLUMN if Level.T9.rank <= level.rank <= Level.L2.rank and level != Level.T13]
    z = 15 + np.concatenate([[0], np.cumsum([DISTANCE[level] / 2 for level in levels[:-1]][::-1])])[::-1]
    points = np.stack([z, 30 + 6 * np.sin(z / 30), 25 + 5 * np.cos(z / 25)], 1)
    ranks = np.array([level.rank for level in levels])
    size = (int(z.max()) + 16, 60, 50)
    side = level_distribution(ranks, points[:, [0, 1]], (size[0], size[1])).numpy()
    front = level_distribution(ranks, points[:, [0, 2]], (size[0], size[2])).numpy()
    return levels, points, size, side, front


def test_the_curve_follows_the_column(curved):
    _, points, size, side, front = curved
    curve = found_curve(side, front).numpy()
    assert curve.shape == (size[0], 2)
    inner = points[1:-1]
    rows = np.rint(inner[:, 0]).astype(int)
    np.testing.assert_allclose(curve[rows], inner[:, 1:], atol=2.5)


def test_without_any_vertebra_the_curve_is_still_a_number():
    empty = np.zeros((1 + len(COLUMN), 20, 10), np.float32)
    empty[0] = 1
    assert np.isfinite(found_curve(empty, empty).numpy()).all()
    assert middle_curve((20, 11, 11)).shape == (20, 2)


def test_ideal_maps_give_the_vertebrae_back(curved):
    levels, points, size, side, front = curved
    image = blank(size, 2.0, (-40.0, 10.0, -300.0))
    found = best_sequence(candidates(side, front, image))
    assert found.levels == tuple(levels)
    truth = [image.TransformContinuousIndexToPhysicalPoint([float(v) for v in p[::-1]]) for p in points]
    assert np.linalg.norm(found.positions - truth, axis=1).max() < 2.5


def test_empty_maps_give_no_candidates():
    empty = np.zeros((1 + len(COLUMN), 20, 10), np.float32)
    empty[0] = 1
    assert candidates(empty, empty, blank((20, 10, 10), 2.0)) == []
