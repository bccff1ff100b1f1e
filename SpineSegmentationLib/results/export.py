"""Label map, centroids and surfaces of pieces of bone, as files for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..anatomy import BONES, Bone
from ..grid import Grid
from ..io.values import write_centroids
from ..io.writing import write_part
from ..segmentation.mask import Piece, paint_part
from ..spine import Centroids
from .surfaces import surface_of, write_surface


def write_verse(
    pieces: Mapping[Bone, Piece], grid: Grid, centroids: Centroids, folder: str | Path, name: str
) -> list[Path]:
    """Writes the label map (NIfTI) and the centroids (VerSe JSON); returns their paths.

    Raises:
        SpineError: a file cannot be written.
    """
    image = grid.image()
    paths = [Path(folder) / f"{name}_seg-vert_msk.nii.gz", Path(folder) / f"{name}_seg-subreg_ctd.json"]
    write_part(paint_part(pieces, image), image, paths[0])
    write_centroids(centroids, image, paths[1])
    return paths


def write_surfaces(
    pieces: Mapping[Bone, Piece], grid: Grid, folder: str | Path, name: str, kind: str = "stl"
) -> list[Path]:
    """Writes a surface in LPS mm for each vertebra that has voxels, removes those of others; returns the paths.

    Args:
        kind: the format, one of ``surfaces.FORMATS``.

    Raises:
        SpineError: a file cannot be written.
    """
    paths = []
    for level, piece in sorted(pieces.items(), key=lambda item: item[0].rank):
        if piece.voxels.size:
            paths.append(Path(folder) / f"{name}_{level.name}.{kind}")
            write_surface(surface_of(piece, grid), paths[-1])
    for old in {Path(folder) / f"{name}_{bone}.{kind}" for bone in BONES} - set(paths):
        old.unlink(missing_ok=True)
    return paths
