"""Anduin's segmenter: a U-Net on a 1 mm patch round each centroid (VerSe paper, B.4 and Algorithm 1)."""

from __future__ import annotations

from ..networks.anduin_unet import VertebraUNet
from ..networks.blocks import normalise_hu
from .patch import PatchSegmenter

SIZE = (88, 104, 112)  # voxels z,y,x
CENTRE = (48, 36, 56)  # where the centroid lies in it: processes reach back and down

BORDER = 0.3
"""Probability at which a mask ends: people's masks hold voxels that bone fills in part (docs/results.md)."""

CALIBRATION = (
    (0.940, 0.475), (0.951, 0.77), (0.960, 0.80), (0.964, 0.865), (0.970, 0.875), (0.974, 0.915), (0.978, 0.94),
    (0.982, 0.96),
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
    border = BORDER
