"""The patch round a centroid."""

import numpy as np
import pytest
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
