"""The box from the heat of Payer's detector."""

import numpy as np
from grids import blank

from SpineSegmentationLib.detection import anduin, payer
from SpineSegmentationLib.detection.anduin import spine_box
from SpineSegmentationLib.networks.heatmap import gaussians
from SpineSegmentationLib.spine import SpineBox


def test_wide_and_narrow_heat_give_the_same_box():
    points = np.array([[z, 180.0, 140.0] for z in range(120, 300, 25)])  # mm z,y,x
    boxes = []
    for spacing, sigma in ((anduin.SPACING, anduin.SIGMA), (payer.SPACING, payer.SIGMA)):
        shape = tuple(int(length / spacing) for length in (420, 360, 280))
        image = blank(shape, spacing)
        heat = gaussians(points / spacing, shape, sigma / spacing).numpy()
        boxes.append(spine_box(heat, image, SpineBox.of_image(image), sigma))
    np.testing.assert_allclose(boxes[0].lower[:2], boxes[1].lower[:2], atol=8)
    np.testing.assert_allclose(boxes[0].upper[:2], boxes[1].upper[:2], atol=8)
    assert boxes[1].lower[2] <= 120 - 20 and boxes[1].upper[2] >= 295 + 20


def test_a_column_that_goes_on_is_followed_to_the_border_of_the_scan():
    image = blank((30, 40, 40), payer.SPACING)
    heat = np.zeros((30, 40, 40), np.float32)
    heat[:, 18:24, 18:24] = 0.9
    box = spine_box(heat, image, SpineBox.of_image(image), payer.SIGMA)
    scan = SpineBox.of_image(image)
    assert (box.lower[2], box.upper[2]) == (scan.lower[2], scan.upper[2])
