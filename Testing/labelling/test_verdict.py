"""The verdict on the names: probabilities by hand, variants, what one vertebra too few to tell costs."""

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.labelling import verdict as module
from SpineSegmentationLib.labelling.distances import DISTANCE, VARIANT
from SpineSegmentationLib.labelling.verdict import verdict
from SpineSegmentationLib.numbering import Certainty

L = Level


@pytest.fixture(autouse=True)
def no_temperature(monkeypatch):
    monkeypatch.setattr(module, "TEMPERATURE", 1.0)
    monkeypatch.setattr(module, "OFF_BY_ONE", 0.0)


def says(**nats):
    """What speaks for the levels: nothing but what is given."""
    row = np.zeros(len(COLUMN))
    for name, value in nats.items():
        row[Level[name].rank] = value
    return row


def line(*levels):
    """Positions as far from each other as these levels are."""
    z = np.cumsum([0.0] + [DISTANCE[level] for level in levels[:-1]])
    return np.stack([0 * z, 0 * z, -z], 1)


def test_one_vertebra_by_hand():
    # 24 usual levels and T13, L6 at a cost of 4 nats: e^3 of e^3 + e^2 + 22 + 2 e^-4.
    numbering, confidences = verdict([says(L3=3.0, L2=2.0)], np.zeros((1, 3)), 1.0, 0.17)
    total = np.exp(3) + np.exp(2) + 22 + 2 * np.exp(-VARIANT)
    assert numbering.readings[0].levels == (L.L3,) and numbering.second.levels == (L.L2,)
    assert numbering.readings[0].probability == pytest.approx(np.exp(3) / total)
    assert numbering.second.probability == pytest.approx(np.exp(2) / total)
    assert confidences == [pytest.approx(np.exp(3) / total)]


def test_evidence_of_one_vertebra_names_its_neighbours():
    levels = (L.T11, L.T12, L.L1, L.L2)
    numbering, confidences = verdict([says(), says(T12=9.0), says(), says()], line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels
    assert min(confidences) > 0.9 and numbering.certainty is Certainty.CERTAIN


def test_without_evidence_nothing_can_be_known():
    levels = (L.T6, L.T7, L.T8)
    numbering, _ = verdict([says()] * 3, line(*levels), 1.0, 0.17)
    assert numbering.certainty is Certainty.UNKNOWN
    assert numbering.readings[0].probability < 0.3


def test_an_overlooked_vertebra_is_named_by_its_neighbours():
    levels = (L.L1, L.L2, L.L3)
    numbering, confidences = verdict([says(L1=6.0), None, says(L3=6.0)], line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels and len(confidences) == 3


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
    rows = [rng.normal(0, 2, len(COLUMN)) for _ in range(3)]
    _, confidences = verdict(rows, line(L.T3, L.T4, L.T5), 1.0, 0.17)
    found, _ = module.ways(3, False)
    assert len({tuple(way) for way in found.tolist()}) == len(found)
    assert all(0 < confidence <= 1 for confidence in confidences)


def test_the_second_reading_of_a_sure_column_is_one_level_off(monkeypatch):
    monkeypatch.setattr(module, "OFF_BY_ONE", 0.05)
    levels = (L.T10, L.T11, L.T12, L.L1)
    rows = [
        says(**{level.name: 30.0, other: 1.0}) for level, other in zip(levels, ("T11", "T12", "L1", "L2"), strict=True)
    ]
    numbering, _ = verdict(rows, line(*levels), 1.0, 0.17)
    assert numbering.readings[0].levels == levels
    assert numbering.readings[0].probability == pytest.approx(0.95, abs=1e-6)
    assert numbering.second.levels == (L.T11, L.T12, L.L1, L.L2)
    assert 0.03 < numbering.second.probability < 0.05


def test_the_neighbours_of_a_reading():
    found, _ = module.ways(3, False)
    of_t12 = found[module._one_off(found, np.array([L.T11.rank, L.T12.rank, L.L1.rank]))]
    assert {tuple(way) for way in of_t12.tolist()} == {
        (L.T10.rank, L.T11.rank, L.T12.rank),
        (L.T12.rank, L.L1.rank, L.L2.rank),
    }
    assert not module._one_off(found, np.array([L.T12.rank, L.T13.rank, L.L1.rank])).any()
