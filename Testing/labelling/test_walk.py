"""Walking along the column."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import STANDARD, Level
from SpineSegmentationLib.labelling import walk
from SpineSegmentationLib.labelling.distances import DISTANCE

SPINE = np.stack([np.zeros(9), 3 * np.sin(np.arange(9) / 3), -25.0 * np.arange(9)], 1)


def beyond(column, ask):
    return walk.beyond(column, np.full(len(column), 24.0), ask)


def bodies(places):
    """Sure within 5 mm of a body of the spine."""
    away = np.linalg.norm(places[:, None] - SPINE[None], axis=2).min(1)
    return 6.0 - away


def test_both_ends_are_found_and_the_walk_ends_where_the_spine_does():
    found = beyond(SPINE[2:6], bodies)
    assert len(found) == 5
    expected = np.concatenate([SPINE[6:], SPINE[1::-1]])
    assert np.abs(found - expected).max() < 5


def test_a_gap_is_filled_and_a_whole_column_is_left_as_it_is():
    found = beyond(SPINE[[0, 1, 2, 4, 5, 6, 7, 8]], bodies)
    assert found == pytest.approx(SPINE[3:4], abs=4)
    assert len(beyond(SPINE, bodies)) == 0


def test_a_gap_is_one_for_vertebrae_of_that_place():
    """Two steps of the neck are no longer than one of the loin."""
    levels = [level for level in STANDARD if level.rank >= Level.C3.rank]
    expected = np.array([DISTANCE[level] for level in levels])
    spine = np.stack([0 * expected, 0 * expected, -np.cumsum(expected)], 1)
    asked = []

    def ask(places):
        asked.extend(places[:, 2])
        return 6.0 - np.linalg.norm(places[:, None] - spine[None], axis=2).min(1)

    kept = np.array([level is not Level.C5 for level in levels])
    found = walk.beyond(spine[kept], expected[kept], ask)
    assert np.linalg.norm(found - spine[~kept], axis=1).min() < 3
    within = [z for z in asked if spine[-1, 2] < z < spine[0, 2]]
    assert within and min(within) > spine[levels.index(Level.C6), 2]


def test_nothing_is_found_where_nothing_is_seen():
    assert len(beyond(SPINE[2:6], lambda places: np.full(len(places), -np.inf))) == 0


def test_a_few_vertebrae_show_no_way():
    assert len(beyond(SPINE[3:6], bodies)) == len(beyond(SPINE[:1], bodies)) == 0


def test_the_walk_ends_on_any_answer():
    assert len(beyond(SPINE[2:6], lambda places: np.full(len(places), 9.0))) <= 16
