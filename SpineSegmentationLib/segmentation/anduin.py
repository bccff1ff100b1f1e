"""Anduin's segmenter: a U-Net on a 1 mm patch round each centroid (VerSe paper, B.4 and Algorithm 1)."""

from __future__ import annotations

from ..networks.anduin_unet import VertebraUNet
from ..networks.blocks import normalise_hu
from .patch import PatchSegmenter

SIZE = (88, 104, 112)  # voxels z,y,x
CENTRE = (48, 36, 56)  # where the centroid lies in it: processes reach back and down

CALIBRATION = (
    (0.915, 0.498), (0.950, 0.802), (0.954, 0.828), (0.960, 0.871), (0.965, 0.901), (0.970, 0.927), (0.975, 0.946),
    (0.979, 0.956),
)  # fmt: skip
"""Measured on masks that people drew, from right and from misplaced centroids, with noise, thick slices and cuts; see
docs/results.md. New weights want ``benchmarks/calibration.py`` again."""


class AnduinSegmenter(PatchSegmenter):
    """Segments one vertebra: the one whose centroid it is given."""

    name = "anduin-segmentation"
    architecture = VertebraUNet
    size, centre = SIZE, CENTRE
    intensity = staticmethod(normalise_hu)
    calibration = CALIBRATION
