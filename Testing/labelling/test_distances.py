"""How likely a distance between neighbours is, by hand, and which ones neighbours cannot have."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import STANDARD, Level
from SpineSegmentationLib.labelling.distances import DISTANCE, PLACED, WITHIN_PERSON, misfits, score

L = Level
CHEST = STANDARD[STANDARD.index(L.T2) : STANDARD.index(L.T9)]


def places(levels, **changed):
    """Places of a column in which the distance below some levels is multiplied."""
    steps = [DISTANCE[level] * changed.get(level.name, 1.0) for level in levels[:-1]]
    z = np.cumsum([0.0, *steps])
    return np.stack([0 * z, 0 * z, -z], 1)


def told(levels, **changed):
    return misfits(levels, places(levels, **changed), 1.0, WITHIN_PERSON)


def test_a_long_distance_by_hand():
    # 30 mm where 20 are expected: within a person 5 %, and 2 mm of 20 by how the ends are found.
    width = np.hypot(0.05, 2.0 / 20)
    assert PLACED == 2.0
    assert score(30.0, np.array([20.0]), 0.05) == pytest.approx(-0.5 * (np.log(1.5) / width) ** 2)


def test_a_short_distance_by_hand():
    # Vertebrae collapse, none stretches.
    width = np.hypot(0.05, 0.16)
    assert score(14.0, np.array([20.0]), 0.05) == pytest.approx(-0.5 * (np.log(0.7) / width) ** 2)
    assert score(20.0 / 1.4, np.array([20.0]), 0.05) > score(20.0 * 1.4, np.array([20.0]), 0.05)
    assert score(20.0, np.array([20.0]), 0.05) == 0.0


def test_a_column_as_people_have_it_fits():
    assert told(STANDARD) == []
    assert misfits(CHEST, 1.2 * places(CHEST), 1.2, WITHIN_PERSON) == []
    assert misfits(CHEST[:1], places(CHEST[:1]), 1.0, WITHIN_PERSON) == []


def test_a_step_with_room_for_a_collapsed_vertebra_is_told():
    assert told(CHEST, T3=1.4) == ["T3 and T4 lie as far apart as if a vertebra were missing between them"]
    assert told(CHEST, T3=1.2) == []


def test_a_neck_is_not_as_exact_as_a_loin():
    assert told(STANDARD, C4=1.3) == []
    assert len(told(STANDARD, L3=1.3)) == 1


def test_c1_is_hard_to_place():
    assert told(STANDARD, C1=1.5) == []


def test_a_vertebra_taken_twice_is_told():
    assert told(CHEST, T4=0.5, T5=0.5) == ["T4, T5 and T6 lie as close as if one had been taken twice"]


def test_a_collapsed_vertebra_is_none_taken_twice():
    assert told(CHEST, T4=0.75, T5=0.75) == []
