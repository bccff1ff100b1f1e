"""The centre of the vertebral body, from a mask alone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..anatomy import Level
from ..grid import Grid
from ..segmentation.mask import Piece
from ..spine import Point


def body_centre(voxels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The index z,y,x of the centre of the vertebral body in a mask.

    The body is where the mask is thickest: the centre is the mean of the places that lie at least 90 % as deep as the
    deepest one, in the part of the mask that is round that one.

    Args:
        voxels: boolean (z, y, x), at least one of them true.
        spacing: mm along z, y, x.
    """
    # Steps of about 1 mm are fine enough for a centre and keep the distance transform cheap.
    step = np.maximum(np.floor(1.0 / spacing + 1e-6), 1).astype(int)
    inside = voxels[tuple(slice(s // 2, None, s) for s in step)]
    first = step // 2
    if not inside.any():
        inside, first, step = voxels, np.zeros(3), np.ones(3)
    depth = ndimage.distance_transform_edt(np.pad(inside, 1), sampling=spacing * step)[1:-1, 1:-1, 1:-1]
    parts, _ = ndimage.label(depth >= 0.6 * depth.max())
    body = (parts == parts.flat[depth.argmax()]) & (depth >= 0.9 * depth.max())
    return first + np.argwhere(body).mean(axis=0) * step


def centre_of(piece: Piece, level: Level, grid: Grid) -> Point:
    """The centroid of a vertebra, LPS mm: the centre of its body; of C1, which has none, the mean of its voxels."""
    voxels = piece.voxels
    middle = (
        np.argwhere(voxels).mean(axis=0) if level is Level.C1 else body_centre(voxels, np.array(grid.spacing[::-1]))
    )
    x, y, z = (grid.to_lps @ [*(middle[::-1] + piece.corner), 1])[:3].tolist()
    return (x, y, z)
