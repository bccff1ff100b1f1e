"""The voxels of a volume node."""

from __future__ import annotations

import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...errors import SpineError
from ...voxels import Voxels, image_of
from .coordinates import FLIP, array_of, to_world


def voxels_of(volume) -> Voxels:
    """The voxels of a volume node, not copied, and where they lie in the world.

    Raises:
        SpineError: no volume, it is empty, has several components, or is under a warping transform.
    """
    if volume is None:
        raise SpineError("no volume is chosen; choose a CT")
    image = volume.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or not image.GetNumberOfPoints():
        raise SpineError(f"{volume.GetName()} has no voxels; load it again or choose a CT")
    if scalars.GetNumberOfComponents() != 1:
        raise SpineError(f"{volume.GetName()} has {scalars.GetNumberOfComponents()} values per voxel; choose a CT")
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    array = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
    return Voxels(array, FLIP @ to_world(volume) @ array_of(matrix), volume.GetName())


def ct_of(volume) -> sitk.Image:
    """The CT of a volume node: int16 HU, in LPS of the world; a sheared one is resampled.

    Raises:
        SpineError: as :func:`voxels_of`, or the values cannot be Hounsfield units.
    """
    return image_of(voxels_of(volume), [])
