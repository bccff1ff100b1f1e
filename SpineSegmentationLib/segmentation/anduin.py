"""Anduin's segmenter: a U-Net on a 1 mm patch round each centroid (VerSe paper, B.4 and Algorithm 1)."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from .. import weights
from ..device import Runner
from ..networks.blocks import normalise_hu
from ..networks.heatmap import gaussians
from ..networks.unet import VertebraUNet
from ..resampling import resample
from ..spine import Point, SpineBox
from .mask import VertebraMask

SPACING = 1.0  # mm
SIGMA = 8.0  # mm
SIZE = (88, 104, 112)  # voxels z,y,x
CENTRE = (48, 36, 56)  # where the centroid lies in it: processes reach back and down


class AnduinSegmenter:
    """Segments one vertebra: the one whose centroid it is given."""

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load("anduin-segmentation", VertebraUNet, device)
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def __call__(self, ct: sitk.Image, position: Point) -> VertebraMask:
        """The probability of the vertebra with its centroid at ``position`` (LPS mm); nothing else decides it."""
        first = np.floor(np.asarray(position) / SPACING + 0.5) - CENTRE[::-1]
        box = SpineBox(first * SPACING, (first + SIZE[::-1] - 1) * SPACING)
        image = resample(ct, SPACING, box)
        hint = (np.asarray(position) / SPACING - first)[::-1]
        probability = self.probability(torch.from_numpy(sitk.GetArrayFromImage(image)), hint)
        return VertebraMask.of(probability.numpy(), image)

    def probability(self, hu: torch.Tensor, hint: np.ndarray) -> torch.Tensor:
        """Probability (z, y, x) for a patch in HU at 1 mm and the centroid's voxel position in it, z,y,x."""
        gaussian = gaussians(hint[None], tuple(hu.shape), SIGMA / SPACING)
        logits = self.runner(
            lambda network, image, point: network(image, point), normalise_hu(hu)[None, None], gaussian[None, None]
        )
        return logits.float().sigmoid()[0, 0].cpu()
