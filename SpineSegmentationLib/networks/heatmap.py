"""Gaussians at points: what networks regress, and what points them to a vertebra."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def gaussians(points: np.ndarray, size: tuple[int, ...], sigma: float) -> Tensor:
    """Maximum of Gaussians of height 1 at points (N, len(size)) in voxels, axis order of ``size``; zeros without."""
    axes = [torch.arange(n, dtype=torch.float32) for n in size]
    heat = torch.zeros(*size)
    for point in points:
        value = torch.ones(())
        for axis, (positions, centre) in enumerate(zip(axes, point, strict=True)):
            shape = [1] * len(size)
            shape[axis] = -1
            value = value * torch.exp(-0.5 * ((positions - float(centre)) / sigma).square()).reshape(shape)
        heat = torch.maximum(heat, value)
    return heat
