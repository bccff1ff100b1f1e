"""From the heat of the spine to its box."""

import numpy as np
import pytest
from grids import blank

from SpineSegmentationLib.detection.anduin import LOWER_MARGIN, UPPER_MARGIN, spine_box
from SpineSegmentationLib.spine import SpineBox


def test_the_box_is_the_hot_voxels_and_the_margins():
    image = blank((50, 60, 70), 4.0, (-100.0, 0.0, 8.0))
    heat = np.zeros((50, 60, 70), np.float32)
    heat[20:30, 25:27, 35] = 0.9
    box = spine_box(heat, image, SpineBox.of_image(image))
    lower = np.array([-100 + 35 * 4, 25 * 4, 8 + 20 * 4]) - LOWER_MARGIN
    upper = np.array([-100 + 35 * 4, 26 * 4, 8 + 29 * 4]) + UPPER_MARGIN
    np.testing.assert_allclose(box.lower, lower)
    np.testing.assert_allclose(box.upper, upper)


def test_the_box_ends_with_the_scan():
    image = blank((10, 10, 10), 4.0)
    box = spine_box(np.full((10, 10, 10), 0.9), image, SpineBox.of_image(image))
    assert box == SpineBox.of_image(image)


def test_small_warm_islands_are_no_spine():
    image = blank((40, 40, 40), 4.0)
    heat = np.zeros((40, 40, 40), np.float32)
    heat[10:30, 10:13, 10:13] = 0.9
    heat[5, 35, 35] = 0.9
    box = spine_box(heat, image, SpineBox.of_image(image))
    assert not box.contains(np.array([35 * 4.0, 35 * 4.0, 20.0]))[0]


@pytest.mark.parametrize("hottest", [0.0, 0.2, 0.45])
def test_lukewarm_is_no_spine(hottest):
    image = blank((10, 10, 10), 4.0)
    heat = np.zeros((10, 10, 10), np.float32)
    heat[5, 5, 5] = hottest
    assert spine_box(heat, image, SpineBox.of_image(image)) is None
