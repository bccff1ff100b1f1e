"""Which predictions are judged right or wrong, and whether their confidence tells."""

from dataclasses import replace

import pytest

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.confidence import ALL, area_under_curve, confidence_table
from SpineSegmentationLib.evaluation.metrics import labelling_scores
from SpineSegmentationLib.evaluation.results import ScanResult
from SpineSegmentationLib.spine import Centroid, Centroids


def points(**at: tuple[float, float]) -> Centroids:
    """Centroids at (0, 0, height) with a confidence."""
    return Centroids(tuple(Centroid(Level[name], (0, 0, z), sure) for name, (z, sure) in at.items()))


TRUTH = points(L1=(0, 1), L2=(-30, 1), L3=(-60, 1))


def result(dataset: str, predicted: Centroids, method: str = "a") -> ScanResult:
    return ScanResult(method, dataset, "scan", TRUTH.levels, labelling_scores(TRUTH, predicted), None)


def test_what_is_right_wrong_and_not_judged():
    predicted = points(T12=(28, 0.9), L1=(3, 0.8), L2=(-61, 0.3), L4=(-66, 0.2), L5=(-90, 0.1))
    # T12 and L5 lie where nothing is annotated; L4 lies beyond L3, but so near that it can only mean L3.
    assert labelling_scores(TRUTH, predicted).right == {Level.L1: True, Level.L2: False, Level.L4: False}
    assert labelling_scores(TRUTH, points(T5=(-45, 0.5))).right == {Level.T5: False}


def test_area_by_hand():
    assert area_under_curve([0.9, 0.5], [0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert area_under_curve([0.1], [0.9]) == 0
    assert area_under_curve([0.5] * 3, [0.5] * 2) == 0.5
    assert area_under_curve([0.5], []) != area_under_curve([0.5], [])  # not defined


def test_one_row_per_data_set_and_one_for_all():
    first = result("real", points(L1=(0, 0.9), L2=(-60, 0.4), L3=(-60, 0.8)))
    second = result("phantom", points(L1=(0, 0.3), L2=(-30, 0.7), L3=(-30, 0.6)))
    rows = {row[1]: row[2:] for row in confidence_table([first, second]).rows}
    assert rows["real"] == pytest.approx((2, 1, 1.0, 0.85, 0.4))
    assert rows["phantom"] == pytest.approx((2, 1, 0.5, 0.5, 0.6))
    # Right 0.9, 0.8, 0.7, 0.3; wrong 0.6, 0.4: six of eight pairs are in order.
    assert rows[ALL] == pytest.approx((4, 2, 6 / 8, 0.75, 0.5))


def test_methods_that_state_no_confidence_are_left_out():
    stated, silent = result("real", points(L1=(0, 0.9))), result("real", points(L1=(0, 1.0)), "silent")
    unlabelled = replace(silent, method="masks", labelling=None)
    assert [row[0] for row in confidence_table([stated, silent, unlabelled]).rows] == ["a"]
