"""A segmentation of others on the grid of the scan."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from ..grid import Grid
from ..segmentation.mask import Piece
from .masks import ForeignMask


def fit(mask: ForeignMask, scan: sitk.Image) -> ForeignMask:
    """The same segments on the grid of a scan, each voxel taken from the nearest one.

    Where the voxels of both lie at the same places, in whatever order they are stored and of whatever part of the body,
    this is exact. A note tells of what was resampled or cut off.

    Raises:
        SpineError: no voxel of a vertebra lies in the scan.
    """
    grid = Grid.of(scan)
    if mask.grid.same_as(grid):
        return replace(mask, grid=grid)
    notes = list(mask.notes)
    exact = _same_lattice(mask.grid, grid)
    if not exact:
        spacings = (" x ".join(f"{edge:.3g}" for edge in one.spacing) for one in (mask.grid, grid))
        notes.append(
            "{} lies on another grid ({} mm, the scan has {} mm): nearest voxels taken".format(mask.source, *spacings)
        )
    segments = []
    for one in mask.segments:
        piece = _fitted(one.piece, mask.grid, grid)
        segments.append(replace(one, piece=piece))
        kept, whole = (
            np.count_nonzero(p.voxels) * np.prod(g.spacing) for p, g in ((piece, grid), (one.piece, mask.grid))
        )
        if kept < whole * (1 - 1e-6 if exact else 0.9):
            notes.append(f"{one.name}: {1 - kept / whole:.0%} of it lie outside the scan and are cut off")
    if not any(one.piece.voxels.size for one in segments):
        raise SpineError(f"{mask.source} does not overlap the scan anywhere; give the mask that was made of this scan")
    return replace(mask, grid=grid, segments=tuple(segments), notes=tuple(notes))


def _same_lattice(a: Grid, b: Grid) -> bool:
    """Whether the voxels of one grid lie where those of the other do or would, perhaps counted along other axes."""
    to_b = np.linalg.inv(b.to_lps) @ a.to_lps
    whole = np.rint(to_b)
    far = np.array([*a.size, 1])
    turned = np.abs(whole[:3, :3])
    return bool(
        np.allclose((to_b - whole) * far, 0, atol=0.05) and (turned.sum(0) == 1).all() and (turned.sum(1) == 1).all()
    )


def _fitted(piece: Piece, source: Grid, target: Grid) -> Piece:
    """The piece on another grid, nearest voxel."""
    image = sitk.GetImageFromArray(piece.voxels.view(np.uint8))
    image.SetSpacing(source.spacing)
    image.SetDirection(source.direction)
    image.SetOrigin((source.to_lps @ [*piece.corner, 1])[:3].tolist())
    ends = [(-0.5, length - 0.5) for length in image.GetSize()]
    corners = [image.TransformContinuousIndexToPhysicalPoint(corner) for corner in itertools.product(*ends)]
    indices = np.c_[corners, np.ones(8)] @ np.linalg.inv(target.to_lps).T[:, :3]
    start = np.clip(np.floor(indices.min(0)), 0, target.size).astype(int)
    stop = np.clip(np.ceil(indices.max(0)) + 1, 0, target.size).astype(int)
    if np.any(stop <= start):
        return Piece.of(np.zeros((0, 0, 0)), (0, 0, 0))
    part = sitk.Image((stop - start).tolist(), sitk.sitkUInt8)
    part.SetSpacing(target.spacing)
    part.SetDirection(target.direction)
    part.SetOrigin((target.to_lps @ [*start, 1])[:3].tolist())
    values = sitk.Resample(image, part, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return Piece.of(sitk.GetArrayFromImage(values), tuple(start.tolist()))
