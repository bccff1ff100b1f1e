"""The finer detector's box, where the coarse one agrees."""

from SpineSegmentationLib.detection.combined import agreed
from SpineSegmentationLib.spine import SpineBox


def test_the_fine_box_counts_near_the_coarse_one():
    coarse = SpineBox((0.0, 0.0, 0.0), (100.0, 100.0, 300.0))
    inside = SpineBox((20.0, -20.0, -50.0), (90.0, 110.0, 310.0))
    assert agreed(coarse, inside) == inside
    with_a_hot_chest = SpineBox((-200.0, 0.0, 0.0), (90.0, 100.0, 500.0))
    assert agreed(coarse, with_a_hot_chest) == SpineBox((-30.0, 0.0, 0.0), (90.0, 100.0, 360.0))
    assert agreed(coarse, None) == coarse
    assert agreed(coarse, SpineBox((500.0, 0.0, 0.0), (600.0, 100.0, 300.0))) == coarse
