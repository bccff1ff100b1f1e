"""What of all that the traversal met is the column, and where a vertebra was passed over."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.labelling.lessmann_chain import column, steps
from SpineSegmentationLib.labelling.lessmann_sequence import readings


def test_the_column_is_the_chain_with_the_most_bone():
    # Met on the way up: sacrum and hips, L5 to L3, and a shoulder beside them.
    bodies = np.array([[60, 0, -80], [-60, 0, -90], [0, 0, 0], [2, 0, 35], [4, 0, 70], [70, 0, 75]], float)
    assert column(bodies, np.array([90, 90, 60, 58, 55, 20])) == [4, 3, 2]
    assert column(np.zeros((0, 3)), np.zeros(0)) == []
    assert column(np.zeros((1, 3)), np.ones(1)) == [0]


def test_a_chain_does_not_cross_what_is_too_wide():
    bodies = np.array([[0, 0, 0], [0, 0, 99], [0, 0, 200.5]])
    assert column(bodies, np.array([1, 1, 5])) == [2]
    assert column(bodies, np.array([3, 3, 5])) == [1, 0]


def test_what_was_met_twice_is_one_vertebra():
    bodies = np.array([[0, 0, 0], [0, 0, 30], [1, 0, 33], [0, 0, 30], [0, 0, 60]])
    assert column(bodies, np.array([5, 5, 4, 1, 5])) == [4, 1, 0]


def test_vertebrae_that_were_passed_over_leave_a_place():
    # From L1 (20) on 34.2, 35.4, 35.6 mm to the next: one is missing between the second and the third.
    bodies = np.array([[0, 0, 0], [0, 0, -34.2], [0, 0, -34.2 - 71], [0, 0, -34.2 - 71 - 35]])
    numbers = [20.0, 21.0, 23.0, 24.0]
    assert steps(bodies, numbers) == [0, 1, 3, 4]
    best = readings(np.eye(25)[[19, 20, 22, 23]], (), steps(bodies, numbers))[0]
    assert best.levels == (Level.L1, Level.L2, Level.L4, Level.L5)
    assert best.probability == pytest.approx(1.0)
    assert steps(bodies[:1], numbers[:1]) == [0]
    # More places than names: one after the other.
    assert len(readings(np.eye(25)[[19, 20]], (), [0, 40])[0].levels) == 2
