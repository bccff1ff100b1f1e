"""The patch round a centroid."""

import numpy as np
import pytest
import SimpleITK as sitk
from grids import blank

from SpineSegmentationLib.segmentation import patch
from SpineSegmentationLib.segmentation.anduin import AnduinSegmenter
from SpineSegmentationLib.segmentation.payer import PayerSegmenter


class Echo:
    """Stands in for the segmenter's network: a ball at the centroid it is pointed to."""

    warnings = ()
    STEEP = 40

    def __call__(self, compute, image, gaussian):
        self.image = image
        return (gaussian - 0.5) * self.STEEP


@pytest.mark.parametrize("stage", [AnduinSegmenter, PayerSegmenter])
def test_the_patch_lies_on_the_lattice_and_points_at_the_centroid(stage):
    ct = blank((120, 130, 140), 1.0, (0.3, 0.6, 0.9))
    segmenter = stage.__new__(stage)
    segmenter.runner = Echo()
    position = (70.4, 60.2, 60.7)
    mask = segmenter(ct, position)
    assert tuple(segmenter.runner.image.shape[2:]) == stage.size
    where = np.argwhere(mask.probability >= 128)[:, ::-1] + mask.corner
    np.testing.assert_allclose(where.mean(0), position, atol=0.6)
    ended = 0.5 + np.log(patch.BORDER / (1 - patch.BORDER)) / Echo.STEEP  # of the Gaussian, where the mask ends
    radius = patch.SIGMA * np.sqrt(-2 * np.log(ended))
    assert len(where) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_a_long_spinous_process_is_drawn_to_its_tip():
    """Masks that people drew of L3 and L4 reach 70 to 78 mm behind the centroid (verse005, verse008)."""

    class Bone(Echo):
        def __call__(self, compute, image, gaussian):
            return (image - 0.3) * self.STEEP  # takes all bone for the vertebra

    bone = np.zeros((100, 130, 130), np.int16)
    bone[48:52, 40:119, 58:62] = 800
    ct = sitk.GetImageFromArray(bone)
    segmenter = AnduinSegmenter.__new__(AnduinSegmenter)
    segmenter.runner = Bone()
    mask = segmenter(ct, (60.0, 40.0, 50.0))
    assert mask.corner[1] + mask.probability.shape[1] - 1 >= 40 + 75
    where = np.argwhere(mask.probability >= 128) + mask.corner[::-1]
    np.testing.assert_allclose(where[where[:, 1] > 40 + 67].mean(0)[[0, 2]], (49.5, 59.5), atol=0.6)
