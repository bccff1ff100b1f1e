"""Anduin's detector: a heatmap of the spine at 4 mm, thresholded to a box (VerSe paper, B.2 and Algorithm 1)."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch.nn import functional

from .. import weights
from ..device import Runner
from ..networks.anduin_fcn import SpineFCN
from ..networks.blocks import normalise_hu
from ..resampling import AIR, resample
from ..spine import SpineBox

SPACING = 4.0  # mm
SIGMA = 8.0  # mm
THRESHOLD = 0.3  # T_d: the heat 12 mm from a centroid
CERTAIN = 0.5  # a spine has at least one voxel as hot as this
LEAST = 8  # voxels along any axis: of a single one the network could not tell what is usual
LOWER_MARGIN = (55.0, 45.0, 18.0)  # mm from the hot voxels to the border of the box: right, front, below
UPPER_MARGIN = (55.0, 44.0, 18.0)  # left, behind (the processes), above; wide enough for the ribs, which tell the level


class AnduinDetector:
    """Finds the spine box."""

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load("anduin-detection", SpineFCN, device)
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def __call__(self, ct: sitk.Image, part: SpineBox | None = None) -> SpineBox | None:
        """The box of the spine in LPS mm, within the scan; None when there is no spine.

        Args:
            part: look at this part of the scan alone.
        """
        image = resample(ct, SPACING, part)
        hu = torch.from_numpy(sitk.GetArrayFromImage(image))
        return spine_box(self.heatmap(hu).numpy(), image, SpineBox.of_image(ct))

    def heatmap(self, hu: torch.Tensor) -> torch.Tensor:
        """Probability of spine (z, y, x) for HU at 4 mm (z, y, x)."""
        room = [width for length in reversed(hu.shape) for width in (0, max(LEAST - length, 0))]
        image = normalise_hu(functional.pad(hu, room, value=AIR))
        logits = self.runner(lambda network, image: network(image), image[None, None])
        return logits.float().softmax(1)[0, 1, : hu.shape[0], : hu.shape[1], : hu.shape[2]].cpu()


def spine_box(heat: np.ndarray, image: sitk.Image, scan: SpineBox, sigma: float = SIGMA) -> SpineBox | None:
    """The box round the hot voxels (z, y, x) of ``image``, cut at the border of the scan; None without any.

    Islands with less than a fifth of the heat of the hottest one are no part of the spine.

    Args:
        sigma: of the heat, in mm. A wider heat is hot farther from the spine, and gets narrower margins for it.
    """
    islands, count = ndimage.label(heat > THRESHOLD, np.ones((3, 3, 3)))
    if count == 0 or heat.max() < CERTAIN:
        return None
    mass = ndimage.sum_labels(heat, islands, np.arange(1, count + 1))
    kept = np.flatnonzero(mass >= 0.2 * mass.max()) + 1
    return box_round(np.isin(islands, kept), image, scan, (sigma - SIGMA) * np.sqrt(-2 * np.log(THRESHOLD)))


def box_round(spine: np.ndarray, image: sitk.Image, scan: SpineBox, shorter: float = 0.0) -> SpineBox | None:
    """The box round the voxels (z, y, x) of ``image`` that are not 0, with margins, cut at the border of the scan.

    The margins are ``shorter`` by that many mm, but never less than a voxel, so that the box reaches the scan's border.
    """
    index = np.argwhere(spine)[:, ::-1]
    corners = [image.TransformContinuousIndexToPhysicalPoint(v.astype(float)) for v in (index.min(0), index.max(0))]
    margins = (np.maximum(np.subtract(m, shorter), image.GetSpacing()) for m in (LOWER_MARGIN, UPPER_MARGIN))
    return SpineBox.around(corners, *margins).intersection(scan)
