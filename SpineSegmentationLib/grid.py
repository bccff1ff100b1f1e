"""Where the voxels of an image lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


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
