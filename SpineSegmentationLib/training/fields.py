"""What other scans might show of the same people: thicker slices, narrower fields of view."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional


def thick(hu: NDArray[np.float32], rows: float) -> NDArray[np.float32]:
    """A volume (z, y, x) as slices of that many voxels show it."""
    size = hu.shape
    slices = (max(round(size[0] / rows), 2), *size[1:])
    coarse = functional.interpolate(torch.from_numpy(hu)[None, None], size=slices, mode="area")
    return functional.interpolate(coarse, size=size, mode="trilinear", align_corners=False)[0, 0].numpy()


def field_of_view(
    centres: NDArray, shape: tuple[int, ...], spacing: float, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """A field of view that holds the centres (voxels z,y,x; mm a voxel) and often ends near them.

    Returns:
        Its first voxel and the one after its last, z,y,x.
    """
    low, high = np.zeros(3, int), np.array(shape)
    if not len(centres):
        return low, high

    def away(least: float, most: float) -> float:
        return rng.uniform(least, most) / spacing

    if rng.random() < 0.4:
        low[0] = max(centres[:, 0].min() - away(3, 42), 0)
    if rng.random() < 0.4:
        high[0] = min(centres[:, 0].max() + away(6, 42), shape[0])
    if rng.random() < 0.3:
        low[1] = max(centres[:, 1].min() - away(21, 60), 0)
    if rng.random() < 0.3:
        high[1] = min(centres[:, 1].max() + away(12, 60), shape[1])
    if rng.random() < 0.3:
        low[2] = max(centres[:, 2].min() - away(27, 66), 0)
        high[2] = min(centres[:, 2].max() + away(27, 66), shape[2])
    return low, np.maximum(high, low + 1)
