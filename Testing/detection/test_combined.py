"""The finer detector's box, where the coarse one agrees."""

from SpineSegmentationLib.detection.combined import agreed, seen_round
from SpineSegmentationLib.spine import SpineBox


def test_the_fine_box_counts_near_the_coarse_one():
    coarse = SpineBox((0.0, 0.0, 0.0), (100.0, 100.0, 300.0))
    inside = SpineBox((20.0, -20.0, -50.0), (90.0, 110.0, 310.0))
    assert agreed(coarse, inside) == inside
    with_a_hot_chest = SpineBox((-200.0, 0.0, 0.0), (90.0, 100.0, 500.0))
    assert agreed(coarse, with_a_hot_chest) == SpineBox((-30.0, 0.0, 0.0), (90.0, 100.0, 360.0))
    assert agreed(coarse, None) == coarse
    assert agreed(coarse, SpineBox((500.0, 0.0, 0.0), (600.0, 100.0, 300.0))) == coarse


def test_of_a_very_large_scan_the_fine_detector_sees_the_surroundings_of_the_coarse_box():
    coarse = SpineBox((180.0, 150.0, 1000.0), (280.0, 300.0, 1600.0))
    # A trunk of half a metre by half a metre by one metre: 3.9 million voxels.
    assert seen_round(coarse, SpineBox((0.0, 0.0, 900.0), (500.0, 500.0, 1900.0))) is None
    body = SpineBox((0.0, 0.0, 0.0), (460.0, 460.0, 1925.0))
    assert seen_round(coarse, body) == SpineBox((100.0, 70.0, 890.0), (360.0, 380.0, 1710.0))
