"""The mask of one bone on a grid along the bone's own axes, its border between voxels."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .frame import Frame

Place = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class LocalMask:
    """A mask interpolated on a grid of cubes.

    Attributes:
        frame: of the grid.
        step: mm, the edge of a voxel.
        x, y, z: (n,) mm, where the voxels lie in the frame.
        occupancy: (z, y, x) float32, 0..1; one half is the border.
    """

    frame: Frame
    step: float
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    occupancy: np.ndarray


class SoftMask:
    """The mask of one label, softened so that its border lies between the voxels of finer grids, too.

    Args:
        label_map: codes.
        code: of the bone.
        place: slices (z, y, x) of the part that holds all its voxels.
        step: mm, of the grids on which it will be asked for.
    """

    def __init__(self, label_map: sitk.Image, code: int, place: Place, step: float) -> None:
        start = [max(axis.start - 2, 0) for axis in reversed(place)]
        stop = [min(axis.stop + 2, n) for axis, n in zip(reversed(place), label_map.GetSize(), strict=True)]
        crop = sitk.RegionOfInterest(label_map, [b - a for a, b in zip(start, stop, strict=True)], start)
        sigma = 0.6 * step / np.array(crop.GetSpacing()[::-1])
        self._voxels = sitk.GetArrayViewFromImage(crop) == code
        soft = ndimage.gaussian_filter(self._voxels.astype(np.float32), sigma, mode="nearest")
        self._image = sitk.GetImageFromArray(soft)
        self._image.CopyInformation(crop)
        self._step = step
        self.voxel = math.prod(crop.GetSpacing())
        """mm3, of a voxel of the label map."""

    def on(self, frame: Frame, lower: tuple[int, int, int], upper: tuple[int, int, int]) -> LocalMask:
        """The mask round a frame's origin, ``lower`` to ``upper`` voxels along its axes, both included."""
        first, size = np.array(lower), np.array(upper) - lower + 1
        image = sitk.Resample(
            self._image,
            [int(n) for n in size],
            sitk.Transform(),
            sitk.sitkLinear,
            frame.lps(first * self._step).tolist(),
            (self._step,) * 3,
            frame.axes.ravel().tolist(),
            0.0,
            sitk.sitkFloat32,
        )
        x, y, z = (self._step * np.arange(a, b + 1) for a, b in zip(lower, upper, strict=True))
        return LocalMask(frame, self._step, x, y, z, sitk.GetArrayFromImage(image))

    def voxels(self, frame: Frame, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The voxels as they are in a box of a frame, mm: their centres (n, 3) in the frame, and which are inside."""
        image = self._image
        matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        to_frame, start = frame.axes.T @ matrix, frame.local(np.array(image.GetOrigin()))
        corners = np.array(list(itertools.product(*zip(lower, upper, strict=True))))
        index = (corners - start) @ np.linalg.inv(to_frame).T
        first = np.clip(np.ceil(index.min(0)), 0, image.GetSize()).astype(int)
        last = np.clip(np.floor(index.max(0)) + 1, first, image.GetSize()).astype(int)
        here = tuple(slice(a, b) for a, b in zip(first[::-1], last[::-1], strict=True))
        k, j, i = np.meshgrid(*(np.arange(a.start, a.stop) for a in here), indexing="ij")
        places = np.stack([i, j, k], axis=-1).reshape(-1, 3) @ to_frame.T + start
        near = np.all((places >= lower) & (places <= upper), axis=1)
        return places[near], self._voxels[here].ravel()[near]


def crossing(line: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Where lines first reach one half, interpolated between the two places; NaN for lines that never do.

    Args:
        line: (n, ...) values, looked at from the first on.
        where: (n,) mm.
    """
    inside = line >= 0.5
    first = inside.argmax(0)
    before = np.maximum(first - 1, 0)
    b = np.take_along_axis(line, first[None], 0)[0]
    a = np.take_along_axis(line, before[None], 0)[0]
    share = np.where(first > 0, np.clip((b - 0.5) / np.maximum(b - a, 1e-6), 0, 1), 0.0)
    return np.where(inside.any(0), where[first] + share * (where[before] - where[first]), np.nan)
