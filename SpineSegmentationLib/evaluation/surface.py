"""Distances between the surfaces of two voxel masks, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class SurfaceDistances:
    """How far the surfaces of two masks are apart.

    Attributes:
        hausdorff: the largest distance from a point of one surface to the other surface, in mm
            (Sekuboyina et al. 2021, section 2.3).
        assd: average absolute symmetric surface distance, in mm: the mean over the points of both surfaces of the
            distance to the other surface (Lessmann et al. 2019, section 4.2).
    """

    hausdorff: float
    assd: float


def surface_points(mask: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The centres of a mask's surface voxels.

    A surface voxel is a voxel of the mask with at least one of its six face neighbours outside the mask. What lies
    beyond the array counts as outside, so a mask cut by the border of the volume has a surface there.

    Args:
        mask: boolean, z, y, x.
        spacing: voxel size in mm in the order of the array, z, y, x.

    Returns:
        (N, 3) float64, z, y, x in mm from the centre of the first voxel.
    """
    inside = np.pad(mask, 1)
    core = inside[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            part = [slice(1, -1)] * 3
            part[axis] = slice(start, start + mask.shape[axis])
            core &= inside[tuple(part)]
    return np.argwhere(mask & ~core) * np.asarray(spacing, float)


def surface_distances(first: np.ndarray, second: np.ndarray) -> SurfaceDistances:
    """The distances between two surfaces given by their points.

    Nearest neighbours come from a k-d tree: exact for every spacing, and its cost depends on the surfaces alone, so
    a stray voxel at the far end of a large scan costs nothing.

    Args:
        first, second: (N, 3) and (M, 3) in mm, in one frame; not empty.
    """
    there = np.asarray(cKDTree(second, balanced_tree=False, compact_nodes=False).query(first)[0])
    back = np.asarray(cKDTree(first, balanced_tree=False, compact_nodes=False).query(second)[0])
    return SurfaceDistances(
        hausdorff=float(max(there.max(), back.max())),
        assd=float((there.sum() + back.sum()) / (len(there) + len(back))),
    )
