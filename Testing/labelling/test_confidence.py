"""How sure single names are: what rivals of the column do to them."""

import numpy as np
import pytest

import SpineSegmentationLib.labelling.confidence as module
from SpineSegmentationLib.labelling.confidence import confidences
from SpineSegmentationLib.labelling.rivals import Rivals


def rivals(column, renamed, passed):
    return Rivals(column, np.array(renamed, float), np.array(passed, float))


NONE = rivals(-np.inf, [-np.inf] * 3, [-np.inf] * 3)


def test_by_hand(monkeypatch):
    monkeypatch.setattr(module, "TEMPERATURE", 2.0)
    monkeypatch.setattr(module, "OFFSET", 1.0)
    monkeypatch.setattr(module, "SLOPE", 3.0)
    monkeypatch.setattr(module, "OFF_BY_ONE", 0.1)
    monkeypatch.setattr(module, "FARTHEST", -6.0)
    (found,) = confidences([0.8], 0.7, rivals(-2.0, [-4.0], [-9.0]))
    score = 0.8 / (1 + 0.7 * (np.exp(-1) + np.exp(-2) + np.exp(-3)))
    odds = np.exp(1.0) * (score / (1 - score)) ** 3
    assert found == pytest.approx(0.9 * odds / (1 + odds))


def test_without_rivals_the_readings_decide():
    low, middle, high = (confidences([share], share, NONE)[0] for share in (0.3, 0.5, 0.9))
    assert low < 0.2 and 0.5 < middle < 0.8 and 0.9 < high < 1 - module.OFF_BY_ONE


def test_a_rival_of_the_column_doubts_all_and_those_most_that_it_changes():
    plain = confidences([0.9] * 3, 0.9, NONE)
    untouched, renamed, passed = confidences([0.9] * 3, 0.9, rivals(-3.0, [-14, -3, -14], [-14, -14, -3]))
    assert untouched < plain[0] and renamed == pytest.approx(passed) and renamed < untouched


def test_extremes_are_still_confidences():
    better = rivals(1e6, [1e6] * 3, [1e6] * 3)
    for found in (confidences([0.0, 1.0, 0.5], 1.0, each) for each in (NONE, better)):
        assert all(0 <= one < 1 for one in found)


def test_the_sacrum_below_has_no_confidence():
    assert len(confidences([0.9, 0.9], 0.9, NONE)) == 2
