"""A voxel grid, poses in it and the coordinates of small parts of it: everything is drawn where it is, nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk

Window = tuple[slice, slice, slice]
"""Slices of a (z, y, x) array."""


@dataclass(frozen=True)
class Pose:
    """A frame in LPS mm: its origin and its x, y and z axes as columns (shear and scale are allowed)."""

    position: np.ndarray
    axes: np.ndarray

    def at(self, point: np.ndarray | tuple[float, float, float]) -> np.ndarray:
        """LPS mm of a point (3,) of this frame."""
        return self.position + self.axes @ np.asarray(point, float)

    def of(self, inner: Pose) -> Pose:
        """A pose given in this frame, in LPS."""
        return Pose(self.at(inner.position), self.axes @ inner.axes)


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """(3, 3): turns by degrees about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = (f(np.deg2rad([x, y, z])) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


UPRIGHT = Pose(np.zeros(3), np.eye(3))


@dataclass(frozen=True)
class Grid:
    """Where the voxels are: LPS mm of voxel (0, 0, 0), the step along each index (columns, x y z) and the size."""

    origin: np.ndarray
    steps: np.ndarray
    size: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.size[::-1]

    @property
    def spacing(self) -> np.ndarray:
        return np.linalg.norm(self.steps, axis=0)

    @property
    def edge(self) -> float:
        """The width in mm over which a surface is blurred by the voxels."""
        return float(np.prod(self.spacing) ** (1 / 3))

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.inv(self.steps)

    def window(self, pose: Pose, half: np.ndarray, margin: float) -> Window | None:
        """The voxels that hold the box ``pose`` +- ``half`` mm (in its axes), widened; None if it lies outside."""
        inverse = self._inverse
        centre = inverse @ (pose.position - self.origin)
        reach = np.abs(inverse @ pose.axes) @ np.asarray(half, float) + margin * np.linalg.norm(inverse, axis=1)
        start = np.maximum(np.ceil(centre - reach), 0).astype(int)
        stop = np.minimum(np.floor(centre + reach) + 1, self.size).astype(int)
        if np.any(start >= stop):
            return None
        return tuple(slice(int(a), int(b)) for a, b in zip(start[::-1], stop[::-1], strict=True))  # type: ignore[return-value]

    def coordinates(self, pose: Pose, window: Window | None = None) -> list[np.ndarray]:
        """x, y, z in the frame of ``pose`` of the voxels of a window, float32, each broadcastable to its shape."""
        if window is None:
            nz, ny, nx = self.shape
            window = slice(0, nz), slice(0, ny), slice(0, nx)
        inverse = np.linalg.inv(pose.axes)
        matrix, start = inverse @ self.steps, inverse @ (self.origin - pose.position)
        result = []
        for row, first in zip(matrix, start, strict=True):
            total = np.float32(first)
            for axis, step in enumerate(row):
                if abs(step) > 1e-9:
                    part = window[2 - axis]
                    line = np.arange(part.start, part.stop, dtype=np.float32) * np.float32(step)
                    total = total + line.reshape([-1 if dim == 2 - axis else 1 for dim in range(3)])
            result.append(np.asarray(total, np.float32))
        return result

    def refined(self, factors: tuple[int, int, int]) -> Grid:
        """Every voxel cut into odd numbers of pieces along x, y, z, so that its centre stays a centre."""
        f = np.array(factors)
        steps = self.steps / f
        return Grid(self.origin - steps @ ((f - 1) / 2), steps, tuple(int(n) for n in np.array(self.size) * f))  # type: ignore[arg-type]

    def coarse(self, step: float) -> Grid:
        """A grid with about ``step`` mm over the same ground, corner voxels on corner voxels."""
        n = np.array(self.size)
        m = np.minimum(np.ceil((n - 1) * self.spacing / step).astype(int) + 1, n)
        m = np.maximum(m, np.minimum(n, 2))
        nx, ny, nz = (int(i) for i in m)
        return Grid(self.origin, self.steps * np.where(n > 1, (n - 1) / np.maximum(m - 1, 1), 1), (nx, ny, nz))

    def enlarged(self, values: np.ndarray) -> np.ndarray:
        """Linear interpolation of an array on :meth:`coarse` to this grid."""
        for axis in range(3):
            count, length = self.shape[axis], values.shape[axis]
            if count == length:
                continue
            where = np.arange(count) * ((length - 1) / (count - 1))
            left = np.minimum(where.astype(int), length - 2)
            weights = np.zeros((count, length), np.float32)
            weights[np.arange(count), left] = 1 - (where - left)
            weights[np.arange(count), left + 1] += where - left
            if axis == 0:
                values = (weights @ values.reshape(length, -1)).reshape(count, *values.shape[1:])
            elif axis == 1:
                values = weights @ values
            else:
                values = values @ weights.T
        return np.ascontiguousarray(values, np.float32)

    def image(self, array: np.ndarray) -> sitk.Image:
        """The (z, y, x) array as an image on this grid."""
        image = sitk.GetImageFromArray(array)
        image.SetOrigin([float(v) for v in self.origin])
        image.SetSpacing([float(v) for v in self.spacing])
        image.SetDirection([float(v) for v in (self.steps / self.spacing).ravel()])
        return image
