"""A random smooth map from a training sample back into its source: rotation, scale, mirror image, bending."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

REACH = 3.0
"""A source crop is taken this many voxels larger than the sample needs."""


class Deformation:
    """Sample voxel to source voxel, both z,y,x: ``source = centre + A (sample - middle) + bend(sample)``.

    Args:
        generator: draws everything.
        size: sample size in voxels z,y,x.
        centre: the source voxel that lies in the middle of the sample, z,y,x.
        rotation: largest rotation about each axis, degrees.
        scale: largest relative change of size, common and per axis together.
        bend: standard deviation of the smooth displacement in voxels.
        wavelength: distance of its control points in voxels.
    """

    def __init__(
        self,
        generator: np.random.Generator,
        size: tuple[int, ...],
        centre: np.ndarray,
        *,
        rotation: float,
        scale: float,
        bend: float,
        wavelength: float,
    ) -> None:
        self.size = tuple(int(s) for s in size)
        self.middle = (np.array(size) - 1) / 2
        self.centre = np.asarray(centre, float)
        a, b, c = np.deg2rad(generator.uniform(-rotation, rotation, 3))
        sagittal = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        coronal = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
        axial = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
        factors = generator.uniform(1 - scale, 1 + scale) * generator.uniform(1 - scale / 3, 1 + scale / 3, 3)
        if generator.random() < 0.5:
            factors[2] = -factors[2]
        self.matrix = sagittal @ coronal @ axial @ np.diag(factors)
        control = [max(int(np.ceil(s / wavelength)) + 2, 4) for s in size]
        field = torch.from_numpy(generator.normal(0, bend, (1, 3, *control)).astype(np.float32))
        self.bend = functional.interpolate(field, size=self.size, mode="trilinear", align_corners=True)[0]

    def grid(self) -> Tensor:
        """Source positions (z, y, x, 3) in voxels, last axis z,y,x, float32."""
        axes = [torch.arange(s, dtype=torch.float32) - float(m) for s, m in zip(self.size, self.middle, strict=True)]
        points = torch.zeros(*self.size, 3)
        for column, axis in enumerate(axes):
            shape = [1, 1, 1, 1]
            shape[column] = -1
            points += axis.reshape(shape) * torch.tensor(self.matrix[:, column], dtype=torch.float32)
        points += torch.tensor(self.centre, dtype=torch.float32)
        return points + self.bend.permute(1, 2, 3, 0)

    def to_sample(self, points: np.ndarray) -> np.ndarray:
        """Source positions (N, 3) to sample positions (N, 3), z,y,x; fixed-point iteration over the bend."""
        inverse = np.linalg.inv(self.matrix)
        points = np.asarray(points, float).reshape(-1, 3)
        sample = (points - self.centre) @ inverse.T + self.middle
        for _ in range(4):
            index = np.clip(np.rint(sample).astype(int), 0, np.array(self.size) - 1)
            bend = self.bend[:, index[:, 0], index[:, 1], index[:, 2]].numpy().T
            sample = (points - self.centre - bend) @ inverse.T + self.middle
        return sample


def sample(volume: np.ndarray, grid: Tensor, fill: float, *, nearest: bool = False) -> Tensor:
    """Values of a z,y,x array at source positions (z, y, x, 3); ``fill`` outside. Float32 of the grid's size."""
    lower = np.floor(grid.amin((0, 1, 2)).numpy() - REACH).astype(int).clip(0, np.array(volume.shape) - 1)
    upper = np.ceil(grid.amax((0, 1, 2)).numpy() + REACH).astype(int).clip(lower + 1, volume.shape)
    crop = volume[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
    source = torch.from_numpy(np.ascontiguousarray(crop).astype(np.float32) - fill)[None, None]
    extent = torch.tensor(crop.shape, dtype=torch.float32)
    normal = (grid - torch.from_numpy(lower).float() + 0.5) / extent * 2 - 1
    values = functional.grid_sample(
        source,
        normal.flip(-1)[None],
        mode="nearest" if nearest else "bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    return values[0, 0] + fill
