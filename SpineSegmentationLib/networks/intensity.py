"""From Hounsfield units to the numbers that Payer's networks see, and the Gaussian filter it needs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

NOISE_FILTER = 0.75  # mm: standard deviation of the Gaussian of Payer et al. 2020, sec. 3.1


def smooth(volume: Tensor, sigma: tuple[float, float, float]) -> Tensor:
    """Gaussian filter with a standard deviation per axis in voxels, borders replicated."""
    result = volume[None, None]
    for axis, width in enumerate(sigma):
        if width < 0.2:
            continue
        radius = max(int(np.ceil(2.5 * width)), 1)
        kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / width).square())
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = -1
        padding = [0] * 6
        padding[4 - 2 * axis] = padding[5 - 2 * axis] = radius
        result = functional.conv3d(
            functional.pad(result, padding, mode="replicate"), (kernel / kernel.sum()).reshape(shape)
        )
    return result[0, 0]


def payer_intensity(hu: Tensor, spacing: float) -> Tensor:
    """Smoothed by 0.75 mm, divided by 2048 and clamped to [-1, 1] (Payer et al. 2020, sec. 3.1).

    The paper smooths the scan and then resamples it; smoothing what was resampled is nearly the same and costs only
    the part that is looked at. At 8 mm the average over a voxel has already done more.

    Args:
        hu: (z, y, x) in Hounsfield units; ``spacing`` in mm per voxel.
    """
    return (smooth(hu.float(), (NOISE_FILTER / spacing,) * 3) / 2048).clamp(-1, 1)
