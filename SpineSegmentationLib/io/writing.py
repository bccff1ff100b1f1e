"""Volume files, written whole or not at all."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .formats import extension, named_for_itk, unpacked_size
from .text_headers import check_intact
from .values import replacing


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


def _check_written(path: Path, image: sitk.Image) -> None:
    """ITK does not always notice a full disk."""
    if extension(path) != ".nii.gz":
        check_intact(path)
    elif unpacked_size(path) < np.prod(image.GetSize(), dtype=float) * image.GetSizeOfPixelComponent() + 348:
        raise EOFError
