"""Where the images and frames of DICOM objects lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Plane:
    """Where one image of the series lies.

    Attributes:
        position: the centre of the first pixel, LPS mm.
        orientation: the directions of a row and of a column, LPS, six numbers.
        pixel: mm between rows, between columns.
        size: columns, rows.
    """

    position: np.ndarray
    orientation: np.ndarray
    pixel: tuple[float, float]
    size: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.orientation[:3], self.orientation[3:])

    def image(self) -> sitk.Image:
        """An image of one slice, for its grid."""
        result = sitk.Image([*self.size, 1], sitk.sitkUInt8)
        direction = np.stack([self.orientation[:3], self.orientation[3:], self.normal], axis=1)
        result.SetDirection((direction / np.linalg.norm(direction, axis=0)).ravel().tolist())
        result.SetSpacing((self.pixel[1], self.pixel[0], 1.0))
        result.SetOrigin(self.position.tolist())
        return result


def frames_of(image: Dataset) -> list[Plane]:
    """Where the frames of a multi-frame image lie."""
    shared = image.SharedFunctionalGroupsSequence[0]
    planes = []
    for frame in image.PerFrameFunctionalGroupsSequence:

        def group(name: str, frame: Dataset = frame) -> Dataset:
            return (frame if name in frame else shared)[name][0]

        pixel = group("PixelMeasuresSequence").PixelSpacing
        planes.append(
            Plane(
                np.array(group("PlanePositionSequence").ImagePositionPatient, float),
                np.array(group("PlaneOrientationSequence").ImageOrientationPatient, float),
                (float(pixel[0]), float(pixel[1])),
                (int(image.Columns), int(image.Rows)),
            )
        )
    return planes
