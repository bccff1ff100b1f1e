"""How good a mask says it is: by hand, in the segmenter, in warnings, in the measures, and in the run file."""

from dataclasses import replace

import numpy as np
import pytest
from grids import blank

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.measures.column import measure
from SpineSegmentationLib.measures.table import vertebra_rows
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.anduin import CALIBRATION, AnduinSegmenter
from SpineSegmentationLib.segmentation.confidence import FAILED, confidence, expected_dice
from SpineSegmentationLib.segmentation.mask import VertebraMask
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.spine import Centroid, Centroids


def test_the_expected_dice_by_hand():
    # Mask: 0.9 and 0.6. Expected overlap 1.5, expected truth 0.9 + 0.6 + 0.4 + 0.1: 2 * 1.5 / (2 + 2).
    assert expected_dice(np.array([0.9, 0.6, 0.4, 0.1])) == pytest.approx(0.75)
    assert expected_dice(np.array([1.0, 1.0, 0.0])) == 1.0
    assert expected_dice(np.array([0.4, 0.1])) == 0.0


def test_the_confidence_is_what_was_measured_there():
    steps = ((0.7, 0.4), (0.8, 0.6))
    assert confidence(np.array([0.9, 0.6, 0.4, 0.1]), steps) == pytest.approx(0.5)
    assert confidence(np.array([1.0]), steps) == 0.6
    assert confidence(np.array([0.5, 0.5, 0.49, 0.49, 0.49]), steps) == 0.4
    assert confidence(np.array([0.2]), steps) == 0.0


def test_the_calibration_rises():
    assert (np.diff(CALIBRATION, axis=0) > 0).all()


class Blurred:
    """Stands in for a network: a ball at the centroid whose border is as sharp as ``slope`` says."""

    warnings = ()

    def __init__(self, slope):
        self.slope = slope

    def __call__(self, compute, image, gaussian):
        return (gaussian - 0.5) * self.slope


class Segmenter(AnduinSegmenter):
    """Anduin's with another network, which is sure of the upper vertebra and not of the lower one."""

    def __init__(self, device):
        self.weights, self.runners = (), ()

    def __call__(self, ct, position, column=None):
        self.runner = Blurred(400 if position[2] > 60 else 12)
        return super().__call__(ct, position, column)


@pytest.fixture
def road(monkeypatch):
    monkeypatch.setitem(pipeline.SEGMENTERS, "test", Segmenter)
    return Pipeline("anduin", "cpu", segmenter="test")


SURE, UNSURE = Centroid(Level.L1, (60.0, 60.0, 85.0)), Centroid(Level.L2, (60.0, 60.0, 45.0))


def test_a_mask_that_is_not_sure_of_itself_is_a_warning(road):
    result = road.run(blank((120, 130, 140), 1.0, (0, 0, 0)), centroids=Centroids((SURE, UNSURE)))
    assert result.mask_confidence[Level.L1] > 0.9 > FAILED > result.mask_confidence[Level.L2]
    assert [line for line in result.warnings if "mask may have failed" in line] == [
        f"L2: its mask may have failed (confidence {result.mask_confidence[Level.L2]:.2f}); look at it"
    ]


def test_a_session_says_the_same(road):
    ct = blank((120, 130, 140), 1.0, (0, 0, 0))
    session = Session(ct, road)
    session.run(centroids=Centroids((SURE,)))
    session.add(Level.L2, UNSURE.position)
    assert session.mask_confidence == road.run(ct, centroids=Centroids((SURE, UNSURE))).mask_confidence


def test_the_table_holds_it_beside_the_confidence_of_the_name():
    spec = PhantomSpec(seed=1, first=Level.L2, last=Level.L3, field=(100, 110), margin=15.0, noise=0.0)
    phantom = make_phantom(spec, (2.0, 2.0, 2.0))
    names, *rows = vertebra_rows(
        measure(phantom.ct, phantom.label_map, phantom.centroids, mask_confidence={Level.L2: 0.87})
    )
    assert names.index("mask_confidence") == names.index("confidence") + 1
    said = {row[0]: row[names.index("mask_confidence")] for row in rows}
    assert said["L2"] == "0.87" and said["L3"] == ""


def test_a_mask_keeps_its_word_when_it_changes():
    mask = VertebraMask(np.zeros((1, 1, 1), np.uint8), (0, 0, 0), confidence=0.5)
    assert replace(mask, complete=True).confidence == 0.5
