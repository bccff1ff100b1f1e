"""McCouat and Glocker's detector: a U-Net that marks vertebral bodies, applied patch by patch (2019, section 2.1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from .. import weights
from ..device import Runner
from ..networks.blocks import normalise_hu
from ..networks.mccouat_glocker import DenseDetectionUNet
from ..resampling import AIR, resample
from ..spine import SpineBox
from .anduin import box_round

PATCH = (80, 64, 64)  # voxels z,y,x of a patch that training sees
BORDER = (20, 16, 16)  # voxels discarded on every side of a patch's result
LARGEST = (160, 128, 128)  # of a patch that is looked at: of the paper's patches seven voxels in eight are discarded
MULTIPLE = 16
LEAST = 3000.0  # mm^3: the smallest vertebra (equation 3)
SHARE = 0.2  # least volume of a part of the column, relative to the largest part


class McCouatGlockerDetector:
    """Finds the vertebral bodies and the spine box round them."""

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load("mccouat-glocker-detection", DenseDetectionUNet, device)
        self.spacing = network.spacing
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        """The box of the spine in LPS mm, within the scan; None when there is no spine."""
        image = resample(ct, self.spacing)
        bodies = column(self.probability(torch.from_numpy(sitk.GetArrayFromImage(image))).numpy(), self.spacing)
        return box_round(bodies, image, SpineBox.of_image(ct)) if bodies.any() else None

    def probability(self, hu: Tensor) -> Tensor:
        """Probability of a vertebral body (z, y, x) for HU at ``spacing`` (z, y, x)."""

        def compute(patch: Tensor) -> Tensor:
            logits = self.runner(lambda network, image: network(image), normalise_hu(patch)[None, None])
            return logits.float().softmax(1)[0, 1].cpu()

        return by_patches(compute, hu, patch_size(tuple(hu.shape)), BORDER, AIR)


def patch_size(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The patch that covers an image in the fewest parts of about ``LARGEST``, borders included."""
    sizes = []
    for length, border, largest in zip(shape, BORDER, LARGEST, strict=True):
        count = -(-length // (largest - 2 * border))
        sizes.append(-(-(-(-length // count) + 2 * border) // MULTIPLE) * MULTIPLE)
    return tuple(sizes)


def by_patches(
    compute: Callable[[Tensor], Tensor],
    image: Tensor,
    patch: tuple[int, ...],
    border: tuple[int, ...],
    fill: float,
) -> Tensor:
    """What ``compute`` says of an image (z, y, x), asked about overlapping patches of which the borders are discarded.

    Args:
        compute: a patch (z, y, x) to values of the same size.
        patch: size of a patch; ``border``: what is discarded of its result on every side; both z,y,x.
        fill: what lies round the image.
    """
    step = [length - 2 * margin for length, margin in zip(patch, border, strict=True)]
    pads = [(margin, margin + -n % s) for margin, n, s in zip(border, image.shape, step, strict=True)]
    padded = functional.pad(image, [width for pad in reversed(pads) for width in pad], value=fill)
    result = torch.empty([n + -n % s for n, s in zip(image.shape, step, strict=True)])
    inner = tuple(slice(margin, margin + s) for margin, s in zip(border, step, strict=True))
    for corner in itertools.product(*(range(0, n, s) for n, s in zip(image.shape, step, strict=True))):
        part = padded[tuple(slice(c, c + length) for c, length in zip(corner, patch, strict=True))]
        result[tuple(slice(c, c + s) for c, s in zip(corner, step, strict=True))] = compute(part)[inner]
    return result[tuple(slice(n) for n in image.shape)]


def column(probability: np.ndarray, spacing: float) -> np.ndarray:
    """Which voxels (z, y, x) are of vertebral bodies: more likely than not, and in one of the largest islands.

    Nothing when the largest island is smaller than a vertebra. The paper keeps the largest one alone; a vertebra that
    the network overlooks would cost the column's shorter half.
    """
    islands, count = ndimage.label(probability > 0.5, np.ones((3, 3, 3)))
    volumes = np.bincount(islands.ravel(), minlength=count + 1)[1:] * spacing**3
    if count == 0 or volumes.max() < LEAST:
        return np.zeros(probability.shape, bool)
    return np.isin(islands, np.flatnonzero(volumes >= SHARE * volumes.max()) + 1)
