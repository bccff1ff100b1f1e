"""Volume files, written whole or not at all."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from ..parts import planes_of
from .formats import extension, named_for_itk, unpacked_size
from .text_headers import check_intact
from .values import replacing

LEVEL = 6
"""Of compression: zlib's own, and ITK's."""

SIZES, VOXELS = 42, 352
"""Bytes of a NIfTI file at which the size x,y,z and the voxels begin."""


def write_image(image: sitk.Image, path: str | Path) -> None:
    """Write a compressed volume file (.nii.gz, .nrrd or .mha), whole or not at all.

    Raises:
        SpineError: another extension, or it cannot be written (no such folder, no right, disk full).
    """
    path = Path(path)
    if extension(path) not in (".nii.gz", ".nrrd", ".mha"):
        raise SpineError(f"{path} must end in .nii.gz, .nrrd or .mha")
    with replacing(path) as temporary:
        try:
            temporary.touch()
            with named_for_itk(temporary) as name:
                sitk.WriteImage(image, name, useCompression=True)
            _check_written(temporary, image)
        except (RuntimeError, SpineError, EOFError, zlib.error) as error:
            raise OSError(0, "incomplete, perhaps the disk is full") from error


def write_part(part: sitk.Image, grid: sitk.Image, path: str | Path) -> None:
    """Write an image of which all but a part is 0, plane by plane, whole or not at all.

    The file is that of :func:`write_image`, byte for byte once unpacked, but the whole image is never in memory.

    Args:
        part: see :mod:`parts`.
        grid: of the image; its voxels do not count.
        path: ends in .nii.gz.

    Raises:
        SpineError: it cannot be written (no such folder, no right, disk full).
    """
    with replacing(path) as temporary:
        try:
            header = _header(part, grid, temporary)
            with temporary.open("wb") as file, gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
                packed.write(header)
                for plane in planes_of(part, grid):
                    packed.write(plane.data)
        except RuntimeError as error:
            raise OSError(0, "incomplete, perhaps the disk is full") from error


def _header(part: sitk.Image, grid: sitk.Image, path: Path) -> bytes:
    """The NIfTI header that ITK writes for an image on the grid with the pixel type of the part.

    It is that of its first voxel alone, which is written to ``path`` for it, with another size.
    """
    voxel = sitk.Image([1, 1, 1], part.GetPixelID())
    voxel.SetSpacing(grid.GetSpacing())
    voxel.SetOrigin(grid.GetOrigin())
    voxel.SetDirection(grid.GetDirection())
    path.touch()
    with named_for_itk(path) as name:
        sitk.WriteImage(voxel, name, useCompression=True)
    with gzip.open(path) as file:
        header = bytearray(file.read(VOXELS))
    struct.pack_into("=3h", header, SIZES, *grid.GetSize())
    return bytes(header)


def _check_written(path: Path, image: sitk.Image) -> None:
    """ITK does not always notice a full disk."""
    if extension(path) != ".nii.gz":
        check_intact(path)
    elif unpacked_size(path) < np.prod(image.GetSize(), dtype=float) * image.GetSizeOfPixelComponent() + 348:
        raise EOFError
