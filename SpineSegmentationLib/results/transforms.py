"""Frames of vertebrae as transform files that Slicer and ITK read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from ..io.formats import named_for_itk
from ..io.values import replacing


def write_transform(to_lps: np.ndarray, path: Path) -> None:
    """Writes a frame (4 x 4, to LPS mm) as an ITK transform file (``.tfm``), whole or not at all.

    Slicer, which reads it as a linear transform, then moves what lies under it from the frame to the patient. The file
    holds the inverse, as ITK's transforms lead from the resampled space to the source.

    Raises:
        SpineError: the file cannot be written.
    """
    inverse = np.linalg.inv(to_lps)
    transform = sitk.AffineTransform(inverse[:3, :3].ravel().tolist(), inverse[:3, 3].tolist())
    with replacing(path) as temporary:
        try:
            with named_for_itk(temporary) as name:
                sitk.WriteTransform(transform, name)
        except RuntimeError as error:
            raise SpineError(f"{path} cannot be written; check the folder, its rights and the free space") from error
