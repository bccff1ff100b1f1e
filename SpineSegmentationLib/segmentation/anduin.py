"""Anduin's segmenter: a U-Net on a 1 mm patch round each centroid (VerSe paper, B.4 and Algorithm 1)."""

from __future__ import annotations

from ..networks.anduin_unet import VertebraUNet
from ..networks.blocks import normalise_hu
from .patch import PatchSegmenter

SIZE = (88, 104, 112)  # voxels z,y,x
CENTRE = (48, 36, 56)  # where the centroid lies in it: processes reach back and down

BORDER = 0.2
"""Probability at which a mask ends: people's masks hold voxels that bone fills in part (docs/results.md)."""

CALIBRATION = (
    (0.917, 0.487), (0.939, 0.783), (0.946, 0.787), (0.954, 0.857), (0.961, 0.889), (0.967, 0.914), (0.972, 0.940),
    (0.976, 0.951),
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
    border = BORDER
