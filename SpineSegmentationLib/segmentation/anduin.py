"""Anduin's segmenter: a U-Net on a 1 mm patch round each centroid (VerSe paper, B.4 and Algorithm 1)."""

from __future__ import annotations

from ..networks.anduin_unet import VertebraUNet
from ..networks.blocks import normalise_hu
from .patch import PatchSegmenter

SIZE = (88, 104, 112)  # voxels z,y,x
CENTRE = (48, 36, 56)  # where the centroid lies in it: processes reach back and down

CALIBRATION = (
    (0.940, 0.47), (0.951, 0.75), (0.960, 0.81), (0.964, 0.85), (0.970, 0.88), (0.974, 0.92), (0.978, 0.935),
    (0.982, 0.955),
)  # fmt: skip
"""Measured on masks that people drew, from right and from misplaced centroids, with noise, thick slices and cuts; see
docs/results.md. New weights want it measured again."""


class AnduinSegmenter(PatchSegmenter):
    """Segments one vertebra: the one whose centroid it is given."""

    name = "anduin-segmentation"
    architecture = VertebraUNet
    size, centre = SIZE, CENTRE
    intensity = staticmethod(normalise_hu)
    calibration = CALIBRATION
