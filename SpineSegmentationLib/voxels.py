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


@dataclass(frozen=True)
class Grid:
    """Where the voxels of an image lie: size x,y,z, spacing in mm, origin in LPS mm, direction row by row."""

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Grid:
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @classmethod
    def of_matrix(cls, size: tuple[int, int, int], to_lps: np.ndarray) -> Grid:
        """From the size and a 4 x 4 matrix, voxel index x,y,z to LPS mm."""
        spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
        direction = (to_lps[:3, :3] / spacing).ravel()
        return cls(size, tuple(spacing.tolist()), tuple(to_lps[:3, 3].tolist()), tuple(direction.tolist()))

    @property
    def to_lps(self) -> np.ndarray:
        """4 x 4, voxel index x,y,z to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    def image(self) -> sitk.Image:
        """An empty uint8 image on the grid."""
        image = sitk.Image(self.size, sitk.sitkUInt8)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image

    def same_as(self, other: Grid, tolerance: float = 0.05) -> bool:
        """Whether the voxels of both lie at the same places, within a part of a voxel."""
        return self.size == other.size and self.is_identity(np.linalg.inv(self.to_lps) @ other.to_lps, tolerance)

    def is_identity(self, matrix: np.ndarray, tolerance: float = 0.05) -> bool:
        """Whether a 4 x 4 matrix moves no voxel (index x,y,z) of this grid by more than a part of a voxel."""
        return bool(np.allclose((matrix - np.eye(4)) * [*self.size, 1], 0, atol=tolerance))


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
