"""Categories, agreement, significance and the ranking, on values known from elsewhere."""

import math

import numpy as np
import pytest
from spines import level_range

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.ranking import combine, p_value
from SpineSegmentationLib.evaluation.tables import anatomy, field_of_view, weighted_kappa


def test_field_of_view_categories():
    for first, last, expected in (
        ("C1", "T12", "C/T(+C1)"),
        ("C2", "T12", "C/T(-C1)"),
        ("T12", "L5", "T/L(+L5)"),
        ("T1", "L4", "T/L(-L5)"),
        ("C1", "L5", "C/T/L(+C1&L5)"),
        ("C2", "L5", "C/T/L(-C1/L5)"),
        ("C1", "L4", "C/T/L(-C1/L5)"),
        ("L1", "L5", "no junction"),
        ("T1", "T12", "no junction"),
    ):
        assert field_of_view(level_range(first, last)) == expected
    assert field_of_view([Level.T13, Level.L1, Level.L6]) == "T/L(+L5)"
    assert anatomy(level_range("T12", "L1")) == "rare"  # the range in the column holds T13
    assert anatomy([Level.T12, Level.L1, Level.L5]) == "normal"


def test_weighted_kappa_by_hand():
    l1, l2, l3 = Level.L1, Level.L2, Level.L3
    pairs = [(l1, l1), (l2, l2), (l3, l2)]
    # Observed disagreement 1/3. By chance: true L1 L2 L3, given L1 L2 L2, so (0+1+1 + 1+0+0 + 2+1+1) / 9 = 7/9.
    assert weighted_kappa(pairs) == pytest.approx(1 - (1 / 3) / (7 / 9))
    assert weighted_kappa([(l1, l1), (l2, l2)]) == 1.0
    assert math.isnan(weighted_kappa([])) and math.isnan(weighted_kappa([(l1, l1)]))
    # The place in the column counts, not the code: T13 (28) is next to L1 (20).
    assert weighted_kappa([(Level.T13, l1), (l1, l1), (l2, l2)]) > 0.5


def test_signed_rank_test_against_its_definition():
    better, worse = np.arange(1.0, 11.0), np.zeros(10)
    assert p_value(better, worse, True) == pytest.approx(2**-10)
    assert p_value(worse, better, False) == pytest.approx(2**-10)
    assert p_value(worse, better, True) == 1.0
    assert p_value(better, better, True) == 1.0
    # Undefined pairs are left out: with nine pairs left, the least p is 2**-9.
    better[3] = np.nan
    assert p_value(better, worse, True) == pytest.approx(2**-9)


# Sekuboyina et al. 2021, Table A.8a: points for (id.rate, d_mean, Dice, HD) on PUBLIC and HIDDEN, and the score.
TABLE_A8 = {
    "Payer C.": ((3, 7, 8, 8), (3, 5, 5, 5), 0.691),
    "Chen M.": ((5, 7, 10, 8), (2, 4, 3, 4), 0.597),
    "Hu Y.": ((None, None, 4, 4), (None, None, 3, 3), 0.279),
    "Dong Y.": ((1, 1, 2, 4), (1, 1, 2, 1), 0.216),
    "Jiang T.": ((3, 5, 4, 4), (None,) * 4, 0.140),
    "Wang X.": ((2, 3, 2, 3), (None,) * 4, 0.084),
    "Kirszenberg A.": ((0, 0, 0, 1), (0, 0, 0, 0), 0.007),
}
TEAMS = {("02_validation", "labelling"): 9, ("02_validation", "segmentation"): 11}
TEAMS |= {("03_test", "labelling"): 7, ("03_test", "segmentation"): 8}


def test_weights_reproduce_the_published_ranking():
    points: dict[tuple[str, str], dict[str, float]] = {}
    for team, (public, hidden, _) in TABLE_A8.items():
        for dataset, of_team in (("02_validation", public), ("03_test", hidden)):
            for measure, value in zip(("id_rate", "d_mean", "dice", "hd"), of_team, strict=True):
                task = "labelling" if measure in ("id_rate", "d_mean") else "segmentation"
                table = points.setdefault((dataset, measure), {})
                if value is not None:
                    table[team] = value / (TEAMS[dataset, task] - 1)
    scores = combine(points)
    assert list(scores) == list(TABLE_A8)
    for team, (_, _, published) in TABLE_A8.items():
        assert scores[team] == pytest.approx(published, abs=0.0006), team
