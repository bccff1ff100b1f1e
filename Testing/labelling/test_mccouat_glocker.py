"""McCouat and Glocker's labeller without trained networks."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.spine import SpineBox

LEVELS = (Level.T11, Level.T12, Level.L1, Level.L2)


def test_votes_become_centroids(mccouat_glocker, coded_ct):
    image, points = coded_ct
    _, labeller = mccouat_glocker
    found = labeller(image, SpineBox.of_image(image))
    assert found.levels == LEVELS
    assert np.linalg.norm(found.positions - points, axis=1).max() < 2.5
    assert all(0.4 < centroid.confidence <= 1 for centroid in found)
    assert len(labeller(image * 0, SpineBox.of_image(image))) == 0


def test_candidates_are_told_with_their_levels(mccouat_glocker, coded_ct):
    image, points = coded_ct
    _, labeller = mccouat_glocker
    found = sorted(labeller.candidates(image, SpineBox.of_image(image)), key=lambda c: -c.position[2])
    assert [COLUMN[int(c.levels.argmax())] for c in found] == list(LEVELS)
    assert np.linalg.norm([c.position for c in found] - points, axis=1).max() < 2.5
    for candidate in found:
        assert candidate.levels.sum() == pytest.approx(1)
        assert 0.9 < candidate.probability <= 1


def test_a_box_round_one_vertebra_shows_that_one_alone(mccouat_glocker, coded_ct):
    image, points = coded_ct
    _, labeller = mccouat_glocker
    assert labeller(image, SpineBox(points[1] - [30, 30, 14], points[1] + [30, 30, 14])).levels == (Level.T12,)
