"""Payer's segmenter: a U-Net on a 1 mm patch with the centroid in its middle (Payer et al. 2020, sec. 2.3)."""

from __future__ import annotations

from functools import partial

from ..networks.intensity import payer_intensity
from ..networks.payer_unet import PointedUNet
from .patch import SPACING, PatchSegmenter

SIZE = (96, 128, 128)  # voxels z,y,x
CENTRE = (48, 64, 64)  # where the centroid lies in it


class PayerSegmenter(PatchSegmenter):
    """Segments one vertebra: the one whose centroid it is given."""

    name = "payer-segmentation"
    architecture = PointedUNet
    size, centre = SIZE, CENTRE
    intensity = staticmethod(partial(payer_intensity, spacing=SPACING))
