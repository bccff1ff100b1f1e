"""Sekuboyina's attention map without trained weights: slices, regions, box, diffusion."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SpineSegmentationLib.detection.attention import CERTAIN, AttentionDetector, diffused, smoothed, spine
from SpineSegmentationLib.spine import SpineBox


class Bright:
    """Stands in for the network: the share of pixels brighter than 500 HU in every region."""

    warnings = ()

    def __init__(self):
        self.shapes = []

    def __call__(self, compute, image):
        self.shapes.append(tuple(image.shape))
        share = torch.nn.functional.avg_pool2d((image > 0.5).float(), 8)
        return torch.logit(share, 1e-6)


@pytest.fixture
def detector() -> AttentionDetector:
    detector = AttentionDetector.__new__(AttentionDetector)
    detector.spacing, detector.cell, detector.runner = 2.0, 8, Bright()
    return detector


def ct(size=(48, 60, 100), origin=(-50.0, 20.0, -300.0)) -> sitk.Image:
    """A bright column of 24 x 32 mm in the middle of soft tissue, 2 mm."""
    array = np.zeros(size[::-1], np.int16)
    array[:, 26:42, 18:30] = 1000
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((2.0,) * 3)
    image.SetOrigin(origin)
    return image


def test_slices_lie_at_whole_multiples_of_eight_mm(detector):
    attention = detector.attention(ct())
    assert attention.GetSpacing() == (8.0, 16.0, 16.0)
    assert attention.GetOrigin()[0] % 8 == 0
    assert attention.GetOrigin()[0] == -48.0 - 8.0  # the first slice at -48, and one more beside it
    assert len(detector.runner.shapes) == 12
    assert set(detector.runner.shapes) == {(1, 1, 104, 64)}  # 100 x 60 pixels filled up to whole regions
    other = detector.attention(ct(origin=(-54.0, 20.0, -300.0)))
    assert other.GetOrigin()[0] == -48.0 - 8.0


def test_a_region_lies_where_its_pixels_lie(detector):
    attention = detector.attention(ct())
    # The column's middle: x -50 + 2 * 23.5 = -3, y 20 + 2 * 33.5 = 87.
    values = sitk.GetArrayFromImage(attention)
    z, y, x = np.unravel_index(values.argmax(), values.shape)
    place = np.array(attention.TransformIndexToPhysicalPoint((int(x), int(y), int(z))))
    assert abs(place[0] + 3) <= 8 and abs(place[1] - 87) <= 16
    assert values.max() > 0.5


def test_the_box_holds_the_column(detector):
    image = ct()
    box = detector(image)
    inside = box.contains(np.array([[-3.0, 87.0, -299.0], [-3.0, 87.0, -103.0], [-13.0, 73.0, -200.0]]))
    assert inside.all()
    assert box.intersection(SpineBox.of_image(image)) == box
    assert detector(image * 0) is None


def test_lukewarm_and_small_islands_are_no_spine():
    heat = np.zeros((10, 10, 10))
    heat[2:8, 4:6, 4:6] = 0.4
    heat[0, 9, 9] = 0.4
    found = spine(heat)
    assert found.sum() == 24 and not found[0, 9, 9]
    assert not spine(heat / 0.4 * (CERTAIN - 0.01)).any()


def test_smoothing_keeps_the_mass():
    shares = np.zeros((9, 9, 9))
    shares[4, 4, 4] = 1
    assert smoothed(shares).sum() == pytest.approx(1, abs=1e-4)


def test_diffusion_calms_noise_and_keeps_edges():
    rng = np.random.default_rng(0)
    hu = np.where(np.arange(40) < 20, 0.0, 1000.0) + rng.normal(0, 20, (30, 40))
    calm = diffused(hu)
    assert calm[:, :16].std() < 0.6 * hu[:, :16].std()
    assert calm[:, 24:].mean() - calm[:, :16].mean() == pytest.approx(1000, abs=15)
    assert (calm[:, 20] - calm[:, 19]).mean() > 800
    block = diffused(rng.normal(0, 20, (12, 12, 12)))
    assert block.shape == (12, 12, 12) and block.std() < 15


def test_a_scan_smaller_than_a_region(detector):
    assert detector(sitk.Image([3, 3, 3], sitk.sitkInt16) + 40) is None
