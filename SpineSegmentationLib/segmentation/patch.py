"""What segmenters of one vertebra have in common: a patch on the 1 mm lattice and a Gaussian at the centroid in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor, nn

from .. import weights
from ..device import Runner
from ..networks.heatmap import gaussians
from ..resampling import resample
from ..spine import Point, SpineBox, rounded
from .column import Column
from .confidence import Calibration, confidence
from .mask import VertebraMask, whole

SPACING = 1.0  # mm
BORDER = 0.2
"""Probability at which a mask ends; its odds are moved so that this becomes one half. People's masks hold voxels that
bone fills in part (docs/results.md)."""

SIGMA = 8.0  # mm: of the Gaussian that points to the vertebra
FURTHER = 12  # voxels to the back, where the vertebra goes on behind its patch
ASIDE = 32  # voxels to the left and right of the centroid that are looked at there
AHEAD = 8  # and in front of it


def with_border(probability: np.ndarray, border: float) -> np.ndarray:
    """Probabilities whose odds are divided by those of ``border``, which becomes one half.

    >>> with_border(np.array([0.0, 0.3, 0.5, 1.0]), 0.3).round(2).tolist()
    [0.0, 0.5, 0.7, 1.0]
    """
    inside = probability * (1 - border)
    return inside / (inside + (1 - probability) * border)


class PatchSegmenter:
    """Segments one vertebra: the one whose centroid it is given.

    Attributes:
        name: of the weights.
        architecture: made with a width; image and gaussian (N, 1, z, y, x) to the logit of "this vertebra".
        size: of the patch in voxels z,y,x; ``centre``: where the centroid lies in it.
        intensity: HU at 1 mm (z, y, x) to what the network sees.
        calibration: how good masks are that look so sure; None where that was not measured.
    """

    name: str
    architecture: type[nn.Module]
    size: tuple[int, int, int]
    centre: tuple[int, int, int]
    intensity: Callable[[Tensor], Tensor]
    calibration: Calibration | None = None

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load(self.name, self.architecture, device)
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def context(self, position: Point, column: Column) -> Hashable:
        """Nothing: position and CT alone decide the mask."""
        return ()

    def __call__(self, ct: sitk.Image, position: Point, column: Column | None = None) -> VertebraMask:
        """The probability of the vertebra with its centroid at ``position`` (LPS mm); nothing else decides it.

        Where it goes on behind the patch, a second, narrower one shows its end.
        """
        first = np.floor(np.asarray(position) / SPACING + 0.5) - self.centre[::-1]
        image, probability = self._look(ct, position, first, self.size)
        if (probability[:, -1] >= BORDER).any():  # a long spinous process
            depth, rows, _ = self.size
            ahead, aside = self.centre[1] - AHEAD, self.centre[2] - ASIDE
            size = depth, rows + FURTHER - ahead, 2 * ASIDE
            _, narrow = self._look(ct, position, first + (aside, ahead, 0), size)
            behind = np.zeros((depth, FURTHER, self.size[2]), np.float32)
            behind[:, :, aside : aside + 2 * ASIDE] = narrow[:, -FURTHER:]
            probability = np.concatenate([probability, behind], axis=1)
        mask = VertebraMask.of(with_border(probability, BORDER), image)
        sure = None if self.calibration is None else confidence(probability, self.calibration)
        return replace(mask, confidence=sure, point=whole(np.rint(position)))

    def _look(
        self, ct: sitk.Image, position: Point, first: np.ndarray, size: tuple[int, int, int]
    ) -> tuple[sitk.Image, np.ndarray]:
        """The patch whose first voxel lies at ``first`` (lattice, x,y,z), and the probability (z, y, x) in it."""
        box = SpineBox(rounded(first * SPACING), rounded((first + size[::-1] - 1) * SPACING))
        image = resample(ct, SPACING, box)
        hint = (np.asarray(position) / SPACING - first)[::-1]
        return image, self.probability(torch.from_numpy(sitk.GetArrayFromImage(image)), hint).numpy()

    def probability(self, hu: Tensor, hint: np.ndarray) -> Tensor:
        """Probability (z, y, x) for a patch in HU at 1 mm and the centroid's voxel position in it, z,y,x."""
        gaussian = gaussians(hint[None], tuple(hu.shape), SIGMA / SPACING)
        logits = self.runner(
            lambda network, image, point: network(image, point), self.intensity(hu)[None, None], gaussian[None, None]
        )
        return logits.float().sigmoid()[0, 0].cpu()
