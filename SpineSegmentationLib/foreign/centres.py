"""The centre of the vertebral body, from a mask alone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..anatomy import Level
from ..grid import Grid
from ..segmentation.mask import Piece
from ..spine import Point

BEYOND = 8.0
"""mm by which a mask is thought to go on beyond the border of the scan."""


def body_centre(voxels: np.ndarray, spacing: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """The index z,y,x of the centre of the vertebral body in a mask.

    The body is thick, and in front of all other thick parts, of which in the neck some are as thick: the centre is the
    mean of the places that lie at least 90 % as deep as the deepest one of that part.

    Args:
        voxels: boolean (z, y, x), at least one of them true.
        spacing: mm along z, y, x.
        behind: mm towards the patient's back for every step along z, y, x.
    """
    # Steps of about 1 mm are fine enough for a centre and keep the distance transform cheap.
    step = np.maximum(np.floor(1.0 / spacing + 1e-6), 1).astype(int)
    inside = voxels[tuple(slice(s // 2, None, s) for s in step)]
    first = step // 2
    if not inside.any():
        inside, first, step = voxels, np.zeros(3), np.ones(3)
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing * step)[1:-1, 1:-1, 1:-1]
    parts, count = ndimage.label(depth >= 0.6 * depth.max())
    thick = np.flatnonzero(ndimage.maximum(depth, parts, range(1, count + 1)) >= 0.75 * depth.max()) + 1
    middles = np.array(ndimage.center_of_mass(parts > 0, parts, thick)) * step
    core = np.where(parts == thick[(middles @ behind).argmin()], depth, 0)
    return first + np.argwhere(core >= 0.9 * core.max()).mean(axis=0) * step


def centre_of(piece: Piece, level: Level, grid: Grid) -> Point:
    """The centroid of a vertebra, LPS mm: the centre of its body; of C1, which has none, the mean of its voxels."""
    voxels = piece.voxels
    if level is Level.C1:
        middle = np.argwhere(voxels).mean(axis=0)
    else:
        spacing, corner = np.array(grid.spacing[::-1]), np.array(piece.corner[::-1])
        # A body that the border of the scan cuts goes on behind it, or a process would be thicker.
        beyond = np.ceil(BEYOND / spacing).astype(int)
        lower, upper = beyond * (corner == 0), beyond * (corner + voxels.shape == grid.size[::-1])
        longer = np.pad(voxels, np.stack([lower, upper], axis=1), mode="edge")
        middle = body_centre(longer, spacing, grid.to_lps[1, 2::-1]) - lower
        middle = np.clip(middle, 0, np.array(voxels.shape) - 1)
    x, y, z = (grid.to_lps @ [*(middle[::-1] + piece.corner), 1])[:3].tolist()
    return (x, y, z)
