"""A detected box that ended too early is made longer; one that holds the column is not."""

from dataclasses import replace

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import STANDARD, Level
from SpineSegmentationLib.labelling.further import AS_FAR, further, named_further
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox

SCAN = SpineBox((-100, -100, -500), (100, 100, 500))


def column(*places: tuple[Level, float], sacrum: float | None = None) -> Centroids:
    """Vertebrae at heights in mm."""
    levels = tuple(level for level, _ in places)
    below = None if sacrum is None else (0.0, 0.0, sacrum)
    verdict = Numbering(Certainty.DOUBTFUL, (Reading(levels, 0.9),), (), below)
    return Centroids(tuple(Centroid(level, (0, 0, z)) for level, z in places), verdict)


def box(bottom: float, top: float) -> SpineBox:
    return SpineBox((-50, -50, bottom), (50, 50, top))


LUMBAR = column((Level.L3, 40), (Level.L4, 5), (Level.L5, -30))


def test_a_box_is_longer_at_the_end_that_its_column_reaches():
    longer = further(box(-300, 60), LUMBAR, SCAN)  # L2 is expected at 40 + 35.4
    assert longer == box(-300, 60 + AS_FAR)


def test_a_box_that_leaves_room_for_the_next_vertebra_is_not():
    assert further(box(-300, 40 + 1.6 * 35.4 + 1), LUMBAR, SCAN) is None


def test_nothing_is_looked_for_where_the_scan_ends():
    scan = SpineBox(SCAN.lower, (100, 100, 40 + 1.4 * 35.4 - 1))
    assert further(box(-300, 60), LUMBAR, scan) is None


def test_a_longer_box_ends_with_the_scan():
    scan = SpineBox(SCAN.lower, (100, 100, 130))
    assert further(box(-300, 60), LUMBAR, scan) == box(-300, 130)


@pytest.mark.parametrize(
    ("ended", "bottom"), [(column((Level.C1, 90), (Level.C2, 75)), -300), (replace(LUMBAR, numbering=None), -40)]
)
def test_a_column_ends_with_the_atlas_and_goes_on_below_the_last_vertebra(ended, bottom):
    top = 100 if ended.points[0].level is Level.C1 else 300
    longer = further(box(bottom, top), ended, SCAN)
    assert longer == (None if bottom == -300 else box(bottom - AS_FAR, top))


def test_a_column_ends_with_the_sacrum():
    ended = column((Level.L4, 5), (Level.L5, -30), sacrum=-60)
    assert further(box(-70, 300), ended, SCAN) is None
    assert further(box(-70, 300), column((Level.L4, 5), (Level.L5, -30)), SCAN) == box(-70 - AS_FAR, 300)


def test_nothing_found_is_not_looked_for_elsewhere():
    assert further(box(-10, 10), Centroids(), SCAN) is None


@pytest.mark.parametrize(
    ("again", "taken"),
    [
        (column((Level.L2, 75), (Level.L3, 40), (Level.L4, 5), (Level.L5, -30)), True),
        (column((Level.L3, 40), (Level.L4, 5), (Level.L5, -30), sacrum=-60), True),
        (column((Level.L2, 40), (Level.L3, 5), (Level.L4, -30)), False),
        (column((Level.L4, 5), (Level.L5, -30), sacrum=-60), False),
    ],
)
def test_the_longer_box_counts_where_it_shows_more(again, taken):
    asked = []

    def label(longer: SpineBox) -> Centroids:
        asked.append(longer)
        return again

    seen, found = named_further(label, box(-300, 60), LUMBAR, SCAN)
    assert asked == [box(-300, 60 + AS_FAR)]
    assert (seen, found) == ((asked[0], again) if taken else (box(-300, 60), LUMBAR))


def test_a_column_is_followed_to_the_end_of_the_scan():
    asked = []

    def label(longer: SpineBox) -> Centroids:
        asked.append(longer)
        return chest.only([point.level for point in chest if longer.contains([point.position])[0]])

    heights = np.arange(280, -300, -30.0)
    chest = column(*zip(STANDARD[STANDARD.index(Level.C7) :], heights, strict=False))
    scan = box(-300, 300)
    begun = label(box(180, 300))
    asked.clear()
    seen, found = named_further(label, box(180, 300), begun, scan)
    assert [one.lower[2] for one in asked] == [60, -60, -180, -300]
    assert (seen, found) == (scan, chest)


class Short:
    """A detector that loses the column half-way."""

    def __init__(self, device):
        self.weights, self.runners = (), ()

    def __call__(self, ct):
        scan = SpineBox.of_image(ct)
        return replace(scan, lower=(*scan.lower[:2], scan.lower[2] + 60.0))


def test_the_pipeline_widens_what_was_detected_and_no_box_of_a_person(monkeypatch):
    from standins import install, spine_ct

    from SpineSegmentationLib import pipeline

    install()
    monkeypatch.setitem(pipeline.DETECTORS, "short", Short)
    road, ct = Pipeline("standin", "cpu", detector="short"), spine_ct(8)
    found = road.find(ct, until="labelling")
    assert len(found.centroids) == 8
    assert found.box == SpineBox.of_image(ct)
    given = Short(None)(ct)
    kept = road.find(ct, box=given, until="labelling")
    assert (kept.box, len(kept.centroids)) == (given, 4)
