"""Anduin's segmenter: a U-Net on a 1 mm patch round each centroid (VerSe paper, B.4 and Algorithm 1)."""

from __future__ import annotations

from ..networks.anduin_unet import VertebraUNet
from ..networks.blocks import normalise_hu
from .patch import PatchSegmenter

SIZE = (88, 104, 112)  # voxels z,y,x
CENTRE = (48, 36, 56)  # where the centroid lies in it: processes reach back and down


class AnduinSegmenter(PatchSegmenter):
    """Segments one vertebra: the one whose centroid it is given."""

    name = "anduin-segmentation"
    architecture = VertebraUNet
    size, centre = SIZE, CENTRE
    intensity = staticmethod(normalise_hu)
