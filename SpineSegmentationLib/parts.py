"""Parts of images as images of their own: a label map is empty but for the spine, and a scan may be a whole body."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from .grid import Grid

Corner = tuple[int, int, int]


def margin(grid: sitk.Image) -> np.ndarray:
    """Voxels x,y,z round a mask that what is measured on it looks at: at least two, and more than a millimetre."""
    return np.maximum(2, np.ceil(1 / np.array(grid.GetSpacing())).astype(int) + 1)


def with_margin(low: np.ndarray, high: np.ndarray, grid: sitk.Image) -> tuple[Corner, Corner]:
    """Where the part of a grid begins and ends that holds indices from ``low`` to before ``high``, and a margin; x,y,z.

    The part ends at the border of the grid where the margin would reach beyond it.
    """
    start = np.maximum(low - margin(grid), 0).tolist()
    stop = np.minimum(high + margin(grid), grid.GetSize()).tolist()
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def filled(image: sitk.Image) -> sitk.Image:
    """The part of an image that holds all voxels other than 0, and a margin; one voxel when all are 0."""
    voxels = sitk.GetArrayViewFromImage(image)
    along = np.flatnonzero([plane.any() for plane in voxels])
    if not len(along):
        return image[:1, :1, :1]
    seen = np.max(voxels[along[0] : along[-1] + 1], axis=0)
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    low, high = (np.array([columns[end], rows[end], along[end]]) for end in (0, -1))
    start, stop = with_margin(low, high + 1, image)
    return sitk.RegionOfInterest(image, np.subtract(stop, start).tolist(), start)


def start_of(part: sitk.Image, grid: sitk.Image) -> Corner:
    """The index x,y,z on the grid of the first voxel of a part of it."""
    return grid.TransformPhysicalPointToIndex(part.GetOrigin())


def whole_of(part: sitk.Image, grid: Grid) -> sitk.Image:
    """The uint8 image on the grid that holds a part of it, and is 0 elsewhere."""
    whole = grid.image()
    x, y, z = (slice(a, a + n) for a, n in zip(start_of(part, whole), part.GetSize(), strict=True))
    whole[x, y, z] = part
    return whole


def planes_of(part: sitk.Image, grid: sitk.Image) -> Iterator[np.ndarray]:
    """The planes (y, x) of the image on the grid that holds a part of it, and is 0 elsewhere."""
    voxels = sitk.GetArrayViewFromImage(part)
    columns, rows, count = grid.GetSize()
    x, y, z = start_of(part, grid)
    for number in range(count):
        plane = np.zeros((rows, columns), voxels.dtype)
        if z <= number < z + len(voxels):
            plane[y : y + voxels.shape[1], x : x + voxels.shape[2]] = voxels[number - z]
        yield plane
