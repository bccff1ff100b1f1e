"""A CT that is already in memory: voxels and where they lie, as an application has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .errors import SpineError
from .io.hounsfield import in_hounsfield
from .resampling import shear, upright

DIGITS = 9
"""Decimals of a grid that count. A volume that was saved and loaded, or moved there and back, differs in later ones."""


@dataclass(frozen=True, eq=False)
class Voxels:
    """Voxels and their place.

    Attributes:
        array: (z, y, x), any real type.
        to_lps: 4 x 4, voxel index x,y,z to LPS mm.
        name: what people call it, for messages.
    """

    array: np.ndarray
    to_lps: np.ndarray
    name: str = "the volume"


def image_of(voxels: Voxels, warnings: list[str]) -> sitk.Image:
    """The image, int16 in Hounsfield units; a sheared one is resampled to perpendicular axes.

    Its spacing, origin and direction are rounded to ``DIGITS``.

    Args:
        warnings: gets a line for everything that was mended.

    Raises:
        SpineError: no 3D scalar volume, flat, or its values cannot be Hounsfield units.
    """
    array, axes = np.asarray(voxels.array), np.asarray(voxels.to_lps, float)[:3, :3]
    if array.ndim != 3 or array.dtype.kind not in "iufb" or min(array.shape) < 2:
        raise SpineError(f"{voxels.name} is not a 3D scalar volume; choose a CT")
    spacing = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(voxels.to_lps)) or min(spacing) <= 0 or abs(np.linalg.det(axes / spacing)) < 1e-3:
        raise SpineError(f"{voxels.name} is flattened by its geometry or transform; check the transform of the volume")
    if array.dtype.kind == "b" or array.dtype == np.float16:
        array = array.astype(np.int16 if array.dtype.kind == "b" else np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(np.round(spacing, DIGITS).tolist())
    image.SetOrigin(np.round(np.asarray(voxels.to_lps, float)[:3, 3], DIGITS).tolist())
    image.SetDirection(np.round((axes / spacing).ravel(), DIGITS).tolist())
    try:
        image = in_hounsfield(image, voxels.name, False, warnings)
    except SpineError as error:
        raise SpineError(f"the values of {voxels.name} cannot be Hounsfield units; choose a CT") from error
    if shear(image) > 0.05:
        warnings.append(f"{voxels.name} is sheared by {shear(image):.1f} degrees; resampled to an upright grid")
        image = upright(image)
    return image
