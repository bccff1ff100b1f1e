"""What of all that the traversal met is the column, and where a vertebra was passed over."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.labelling.lessmann_chain import column
from SpineSegmentationLib.labelling.lessmann_sequence import NAMES, readings


def looks(*levels, share=0.9):
    """Probabilities of names: each vertebra looks like one level, and a little like all."""
    chances = np.full((len(levels), len(NAMES)), (1 - share) / (len(NAMES) - 1))
    for row, level in zip(chances, levels, strict=True):
        row[NAMES.index(level)] = share
    return chances


def test_the_column_is_the_chain_whose_names_fit():
    # Met on the way up: hips, L5 to L3, and a shoulder beside them.
    bodies = np.array([[60, 0, -80], [-60, 0, -90], [0, 0, 0], [2, 0, 35], [4, 0, 70], [70, 0, 75]], float)
    seen = looks(Level.L4, Level.T9, Level.L5, Level.L4, Level.L3, Level.T1)
    assert column(bodies, seen) == ([4, 3, 2], [0, 1, 2])
    assert column(np.zeros((0, 3)), np.zeros((0, 25))) == ([], [])
    assert column(np.zeros((1, 3)), looks(Level.T4)) == ([0], [0])


def test_nothing_follows_above_the_first_or_below_the_last_name():
    # A skull above C1, as large as a vertebra and like C3; a piece of sacrum below L6.
    bodies = np.array([[0, 0, 40], [0, 0, 17], [0, 0, 0]], float)
    assert column(bodies, looks(Level.C3, Level.C1, Level.C2)).order == [1, 2]
    bodies = np.array([[0, 0, 35], [0, 0, 0], [0, 0, -35]], float)
    assert column(bodies, looks(Level.L5, Level.L6, Level.L5)).order == [0, 1]


def test_a_vertebra_that_looks_like_another_stays_between_its_neighbours():
    bodies = np.array([[0, 0, -35 * n] for n in range(4)], float)
    assert column(bodies, looks(Level.L1, Level.T6, Level.L3, Level.L4)) == ([0, 1, 2, 3], [0, 1, 2, 3])


def test_a_chain_does_not_cross_what_is_too_wide():
    bodies = np.array([[0, 0, 0], [0, 0, 99], [0, 0, 200.5]])
    assert column(bodies, looks(Level.L5, Level.L2, Level.T10)).order == [1, 0]


def test_what_was_met_twice_is_one_vertebra():
    bodies = np.array([[0, 0, 0], [0, 0, 30], [1, 0, 33], [0, 0, 30], [0, 0, 60]])
    seen = looks(Level.L2, Level.L1, Level.L1, Level.L1, Level.T12)
    seen[2] *= 0.9
    assert column(bodies, seen).order == [4, 1, 0]


def test_vertebrae_that_were_passed_over_leave_a_place():
    # From L1 on 34.2, 35.4, 35.6 mm to the next: one is missing between the second and the third.
    bodies = np.array([[0, 0, 0], [0, 0, -34.2], [0, 0, -34.2 - 71], [0, 0, -34.2 - 71 - 35]])
    seen = looks(Level.L1, Level.L2, Level.L4, Level.L5, share=1.0)
    order, places = column(bodies, seen)
    assert (order, places) == ([0, 1, 2, 3], [0, 1, 3, 4])
    best = readings(seen, (), places)[0]
    assert best.levels == (Level.L1, Level.L2, Level.L4, Level.L5)
    assert best.probability == pytest.approx(1.0)
    # More places than names: one after the other.
    assert len(readings(seen[:2], (), [0, 40])[0].levels) == 2


def test_names_that_leave_room_for_another_do_not_cost_a_vertebra():
    """C6 was missed and the middles beside it lie too near each other: all say what they are all the same."""
    bodies = np.array([[0, 0, 0], [0, 0, -16], [0, 0, -40], [0, 0, -60]], float)
    assert column(bodies, looks(Level.C4, Level.C5, Level.C7, Level.T1)) == ([0, 1, 2, 3], [0, 1, 3, 4])
    # Where only one says so it is mistaken: 17 mm are one step.
    bodies = np.array([[0, 0, -17 * n] for n in range(4)], float)
    assert column(bodies, looks(Level.C3, Level.C4, Level.C6, Level.C6)) == ([0, 1, 2, 3], [0, 1, 2, 3])


def test_distances_tell_where_a_vertebra_was_passed_over():
    """L2 looks like L1, as if it had been passed over below and not above."""
    bodies = np.array([[0, 0, 0], [0, 0, -70], [0, 0, -105]], float)
    assert column(bodies, looks(Level.T12, Level.L1, Level.L3)).places == [0, 2, 3]


def test_doubtful_names_leave_no_room_in_an_even_column():
    bodies = np.array([[0, 0, -25 * n] for n in range(6)], float)
    seen = looks(Level.T5, Level.T6, Level.T8, Level.T9, Level.T10, Level.T10, share=0.5)
    assert column(bodies, seen).places == [0, 1, 2, 3, 4, 5]


def test_twice_as_far_is_no_next_vertebra_whatever_the_names_say():
    """Else names of a column that are all one off would be paid for with a vertebra left out."""
    bodies = np.array([[0, 0, 0], [0, 0, -21], [0, 0, -42], [0, 0, -87], [0, 0, -109]], float)
    order, places = column(bodies, looks(Level.T1, Level.T2, Level.T3, Level.T4, Level.T5))
    assert not {2, 3} <= set(order) or places[order.index(3)] > places[order.index(2)] + 1
