"""The verdict on the names: probabilities by hand, variants, what one vertebra too few to tell costs."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import S1, STANDARD, Level
from SpineSegmentationLib.labelling import verdict as module
from SpineSegmentationLib.labelling.distances import DISTANCE
from SpineSegmentationLib.labelling.readings import SEEN_OFF, VARIANT
from SpineSegmentationLib.labelling.verdict import UNANCHORED, against, beside, unanchored, verdict
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.spine import Centroid, Centroids

L = Level
UNUSUAL = 1e4


@pytest.fixture(autouse=True)
def no_temperature(monkeypatch):
    monkeypatch.setattr(module, "TEMPERATURE", 1.0)
    monkeypatch.setattr(module, "OFF_BY_ONE", 0.0)


def says(**nats):
    """What speaks for the levels: nothing but what is given."""
    row = np.zeros(S1 + 1)
    row[S1] = nats.pop("S1", -UNUSUAL)
    for name, value in nats.items():
        row[Level[name].rank] = value
    return row


def line(*levels):
    """Positions as far from each other as these levels are."""
    z = np.cumsum([0.0] + [DISTANCE[level] for level in levels[:-1]])
    return np.stack([0 * z, 0 * z, -z], 1)


def test_one_vertebra_by_hand():
    # Usual: e^3 for L3, e^2 for L2, 1 for the 22 others. In other kinds some may look like another level and have both:
    # seen high L3 (like L2) and 11 more; seen low L2 (like L3), L1 (like L2) and 10 more; with six lumbar ones L4 (like
    # L3), with four L2 (like L3) and L3 (like L4); and 21 more of unusual columns.
    a, b, rare, off = np.exp(3.0), np.exp(2.0), np.exp(-VARIANT), np.exp(-SEEN_OFF)
    l3 = a + off * (a + b) + off * (a + 1) + rare * (a + 1)
    l2 = b + off * (b + 1) + off * (b + a) + rare * (b + a)
    others = 22 + off * (2 * 10 + (1 + b) + 2 * 9) + rare * ((1 + a) + 2 * 21)
    total = l3 + l2 + others
    numbering, shares = verdict([says(L3=3.0, L2=2.0)], np.zeros((1, 3)), 1.0, 0.17)
    assert numbering.readings[0].levels == (L.L3,) and numbering.second.levels == (L.L2,)
    assert numbering.readings[0].probability == pytest.approx(l3 / total)
    assert numbering.second.probability == pytest.approx(l2 / total)
    assert shares == [pytest.approx(l3 / total)]


def test_what_looks_like_another_level_by_hand():
    assert module.mixed(np.array([0.0, 1.0, 2.0]), [0, 1], [0, 2]) == pytest.approx(
        [0.0, np.log(np.exp(1) + np.exp(2))]
    )


def test_what_speaks_for_a_name_is_not_lent_to_a_likeness():
    row = np.array([[0.0, 1.0, 2.0], [-0.5, 0.0, -3.0]])
    assert module.mixed(row, [0, 1], [0, 2]) == pytest.approx([-0.5, np.log(np.exp(1) + np.exp(2))])
    assert module.mixed(row, [2], [1]) == pytest.approx([np.log(np.exp(1) + np.exp(2)) - 3.0])


def test_l5_and_s1_by_hand():
    rows = [says(L5=2.0), says(S1=3.0)]
    numbering, shares = verdict(rows, np.zeros((2, 3)), 1.0, 1e9)
    assert numbering.readings[0].levels == (L.L5,)
    # L5 above S1, L6 above S1 (looks like L5), L4 above S1 (looks like L5), L5 above L6; all others e^0 at each place.
    rare = np.exp(-VARIANT)
    found = module.ways(2, usual=False)
    weight = dict(zip(map(tuple, found.ranks.tolist()), np.exp(-found.cost), strict=False))
    assert weight[L.L5.rank, S1] == 1.0 and weight[L.L4.rank, S1] == pytest.approx(rare)
    above = np.exp(5) + rare * np.exp(2)
    others = rare * 2 * (np.exp(2) + 1) * np.exp(3)
    assert shares[0] < above / (above + others) and shares[0] > 0.8


def test_evidence_of_one_vertebra_names_its_neighbours():
    levels = (L.T11, L.T12, L.L1, L.L2)
    numbering, shares = verdict([says(), says(T12=9.0), says(), says()], line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels
    assert min(shares) > 0.7 and numbering.certainty is not Certainty.UNKNOWN


def test_without_evidence_nothing_can_be_known():
    levels = (L.T6, L.T7, L.T8)
    numbering, _ = verdict([says()] * 3, line(*levels), 1.0, 0.17)
    assert numbering.certainty is Certainty.UNKNOWN
    assert numbering.readings[0].probability < 0.3


def test_an_overlooked_vertebra_is_named_by_its_neighbours():
    levels = (L.L1, L.L2, L.L3)
    numbering, shares = verdict([says(L1=6.0), None, says(L3=6.0)], line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels and len(shares) == 3


def test_a_thirteenth_rib_makes_a_t13_unless_the_person_is_usual():
    rows = [says(T11=3.0), says(T12=5.0), says(T13=9.0), says(L1=5.0)]
    positions = line(L.T11, L.T12, L.T13, L.L1)
    assert verdict(rows, positions, 1.0, 0.17)[0].readings[0].levels == (L.T11, L.T12, L.T13, L.L1)
    usual = verdict(rows, positions, 1.0, 0.17, usual=True)[0]
    assert not any(level.is_transitional for reading in usual.readings for level in reading.levels)


def test_distances_tell_a_neck_from_a_loin():
    numbering, _ = verdict([says()] * 4, line(L.L1, L.L2, L.L3, L.L4), 1.0, 0.17)
    assert all(level.region == "lumbar" or level in (L.T11, L.T12) for level in numbering.readings[0].levels)


def test_the_probabilities_of_all_readings_sum_to_one():
    rng = np.random.default_rng(0)
    rows = [rng.normal(0, 2, S1 + 1) for _ in range(3)]
    _, shares = verdict(rows, line(L.T3, L.T4, L.T5), 1.0, 0.17)
    found = module.ways(3, False)
    plain = found.ranks[found.cost == 0].tolist()
    assert len({tuple(way) for way in plain}) == len(plain)
    assert all(0 < share <= 1 for share in shares)


def test_the_second_reading_of_a_sure_column_is_one_level_off(monkeypatch):
    monkeypatch.setattr(module, "OFF_BY_ONE", 0.05)
    levels = (L.T10, L.T11, L.T12, L.L1)
    rows = [
        says(**{level.name: 30.0, other: 1.0}) for level, other in zip(levels, ("T11", "T12", "L1", "L2"), strict=True)
    ]
    numbering, _ = verdict(rows, line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels
    # That the last rib is the 11th or the 13th, or all look one level off, takes a little of it.
    assert 0.85 < numbering.readings[0].probability < 0.95
    assert numbering.second.levels in {(L.T11, L.T12, L.L1, L.L2), (L.T9, L.T10, L.T11, L.T12)}
    assert 0.03 < numbering.second.probability < 0.1


def test_the_neighbours_of_a_reading():
    found = module.ways(3, False).ranks
    of_t12 = found[module._one_off(found, np.array([L.T11.rank, L.T12.rank, L.L1.rank]))]
    assert {tuple(way) for way in of_t12.tolist()} == {
        (L.T10.rank, L.T11.rank, L.T12.rank),
        (L.T12.rank, L.L1.rank, L.L2.rank),
    }
    assert not module._one_off(found, np.array([L.T12.rank, L.T13.rank, L.L1.rank])).any()


def test_a_column_elsewhere_is_weighed_as_another_reading_by_hand(monkeypatch):
    monkeypatch.setattr(module, "TEMPERATURE", 2.0)
    sure = Numbering(Certainty.CERTAIN, (Reading((L.L1,), 0.95), Reading((L.T12,), 0.05)))
    weighed = beside(sure, -2.0)
    share = 1 / (1 + 0.95 * np.exp(-1.0))
    assert [one.probability for one in weighed.readings] == pytest.approx([0.95 * share, 0.05 * share])
    assert weighed.certainty is Certainty.DOUBTFUL
    assert weighed.evidence == ("but with a vertebra more or less among these, other names would fit nearly as well",)


def test_a_distant_rival_changes_nothing():
    sure = Numbering(Certainty.CERTAIN, (Reading((L.L1,), 0.95),))
    assert beside(sure, -np.inf) == sure
    weighed = beside(sure, -20.0)
    assert weighed.certainty is Certainty.CERTAIN and weighed.evidence == ()


def test_a_better_rival_leaves_nothing_known():
    sure = Numbering(Certainty.CERTAIN, (Reading((L.L1,), 0.95),))
    assert beside(sure, 1e6).certainty is Certainty.UNKNOWN


def test_what_speaks_against_a_verdict_takes_its_certainty_and_no_rival_gives_it_back():
    sure = Numbering(Certainty.CERTAIN, (Reading((L.L1,), 0.95),))
    doubted = against(sure, ["L1 and L2 lie far apart"])
    assert doubted.certainty is Certainty.DOUBTFUL and doubted.evidence == ("but L1 and L2 lie far apart",)
    assert beside(doubted, -np.inf).certainty is Certainty.DOUBTFUL
    assert against(sure, []) is sure


@pytest.mark.parametrize(("step", "where"), [(1, "lower"), (-1, "higher")])
def test_a_chest_that_looks_one_level_off_is_never_certain(step, where):
    """The ends of the column decide, and seven in a row disagree: so do they when one above was passed over."""
    levels = STANDARD[STANDARD.index(L.C5) : STANDARD.index(L.T12)]
    looks = [STANDARD[STANDARD.index(level) + step * (level.rank >= L.T4.rank)] for level in levels]
    rows = [says(**{look.name: 4.0 if look.rank >= L.T4.rank else 30.0}) for look in looks]
    rows[levels.index(L.T3)] = says(T3=30.0)
    numbering, _ = verdict(rows, line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels and numbering.readings[0].probability > module.CERTAIN
    assert numbering.certainty is Certainty.DOUBTFUL
    assert numbering.evidence == (f"but most of the column looks one level {where} than it is named",)


def test_names_without_a_landmark_are_never_certain():
    points = (Centroid(L.T12, (0, 0, 20), 0.9), Centroid(L.L1, (0, 0, 0), 0.7))
    sure = Numbering(Certainty.CERTAIN, (Reading((L.T12, L.L1), 0.95),), ("ribs",))
    found = unanchored(Centroids(points, sure))
    assert found.numbering.certainty is Certainty.DOUBTFUL
    assert found.numbering.readings == sure.readings
    assert found.numbering.evidence == ("ribs", UNANCHORED)
    unknown = unanchored(Centroids(points, Numbering(Certainty.UNKNOWN, sure.readings)))
    assert unknown.numbering.certainty is Certainty.UNKNOWN
    alone = unanchored(Centroids(points))
    assert alone.numbering.certainty is Certainty.DOUBTFUL
    assert alone.numbering.readings[0].probability == pytest.approx(0.8)
    assert unanchored(Centroids()).numbering is None
