"""Several labellers' candidates become one list: who means the same vertebra, and what is left of their doubt."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.labelling.consensus import meet
from SpineSegmentationLib.labelling.sequence import Candidate, best_sequence


def candidate(position, probability=0.8, **levels):
    shares = np.full(len(COLUMN), 1e-6)
    for name, share in levels.items():
        shares[Level[name].rank] = share
    return Candidate(position, probability, shares / shares.sum())


def test_agreement_sharpens_and_position_is_averaged():
    a, b = candidate((0, 0, 0), 0.9, T5=0.6, T6=0.4), candidate((3, 0, 0), 0.3, T5=0.5, T6=0.5)
    (both,) = meet([[a], [b]])
    assert both.position == pytest.approx((0.75, 0, 0), abs=1e-4)  # (0.9 * 0 + 0.3 * 3) / 1.2
    assert both.probability == pytest.approx(0.6)
    assert both.levels[Level.T5.rank] == pytest.approx(0.6, abs=1e-3)  # 0.30 / (0.30 + 0.20)


def test_what_one_alone_sees_is_half_as_probable():
    (alone,) = meet([[candidate((0, 0, 0), 0.8, L1=1.0)], []])
    assert alone.probability == pytest.approx(0.4)
    assert alone.levels.argmax() == Level.L1.rank


def test_sideways_the_first_labeller_decides():
    right, in_vessel = candidate((0, 0, 0), 0.5, T7=1.0), candidate((-20, 2, 1), 0.9, T7=1.0)
    (one,) = meet([[right], [in_vessel]])
    assert one.position == pytest.approx((0, 0, 0))
    assert one.probability == pytest.approx(0.7)


def test_neighbouring_vertebrae_stay_apart():
    first = [candidate((0, 0, -16.0 * k), 0.8) for k in range(4)]
    second = [candidate((1, 0, 2 - 16.0 * k), 0.8) for k in range(4)]
    met = sorted(meet([first, second]), key=lambda c: -c.position[2])
    assert [c.position[2] for c in met] == pytest.approx([1.0, -15.0, -31.0, -47.0])


def test_two_of_one_labeller_never_join_one_place():
    met = meet([[candidate((0, 0, 0))], [candidate((0, 0, 3)), candidate((0, 0, -5))]])
    assert len(met) == 2


def test_disagreement_lowers_confidence():
    names = ["L1", "L2", "L3", "L4"]
    lower = ["L2", "L3", "L4", "L5"]
    place = [(0.0, 0.0, -35.0 * k) for k in range(4)]
    one = [candidate(p, 0.9, **{n: 1.0}) for p, n in zip(place, names, strict=True)]
    other = [candidate(p, 0.9, **{n: 1.0}) for p, n in zip(place, lower, strict=True)]
    agreed, split = best_sequence(meet([one, one])), best_sequence(meet([one, other]))
    assert agreed.levels == tuple(Level[n] for n in names)
    assert max(c.confidence for c in split) < min(c.confidence for c in agreed)
