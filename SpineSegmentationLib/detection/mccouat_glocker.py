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
SEEN = 0.1  # least probability of a voxel of the column,
ON_WAY = 0.04  # and of the mean round its way
ROUND = 6.0  # mm: standard deviation of that mean across the way, half of it along
REACH = 22.0  # mm from the way to the sides of a body
GAP = 8.0  # mm: of what is overlooked; hips and skulls lie farther from the column


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
    """Which voxels (z, y, x) are of vertebral bodies: at least ``SEEN`` likely, and near the likeliest way down.

    Where the way is lost for more than ``GAP`` the likelier part counts. Nothing where no body is more likely than not,
    or all is smaller than a vertebra. The paper keeps the largest island above one half: our network is seldom so sure
    of necks, and takes shoulders for vertebrae, which are larger.
    """
    way, likely = likeliest_way(probability, spacing)
    gap = round(GAP / spacing)
    rows, count = ndimage.label(ndimage.binary_closing(np.pad(likely >= ON_WAY, gap), np.ones(gap + 1, bool))[gap:-gap])
    if count == 0:
        return np.zeros(probability.shape, bool)
    longest = ndimage.sum_labels(likely, rows, np.arange(1, count + 1)).argmax() + 1
    y, x = np.indices(probability.shape[1:])
    found = probability >= SEEN
    for row, kept, middle in zip(found, rows == longest, way, strict=True):
        row &= kept & (np.hypot(y - middle[0], x - middle[1]) * spacing <= REACH)
    sure = found.sum() * spacing**3 >= LEAST and probability[found].max() > 0.5
    return found if sure else np.zeros_like(found)


def likeliest_way(probability: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """From slice to slice, at most 45 degrees aslant, where the mean probability round it is largest in all.

    Returns:
        The voxel (z, 2) y,x in every slice, and the mean probability (z,) round it.
    """
    width = ROUND / spacing
    heat = ndimage.gaussian_filter(probability, (width / 2, width, width), mode="constant")
    best = heat.copy()
    for row in range(1, len(heat)):
        best[row] += ndimage.maximum_filter(best[row - 1], 3)
    way = np.zeros((len(heat), 2), int)
    first = np.zeros(2, int)
    near = best[-1]
    for row in range(len(heat) - 1, -1, -1):
        way[row] = first + np.unravel_index(near.argmax(), near.shape)
        first = np.maximum(way[row] - 1, 0)
        near = best[row - 1][first[0] : way[row][0] + 2, first[1] : way[row][1] + 2]
    return way, heat[np.arange(len(heat)), way[:, 0], way[:, 1]]
