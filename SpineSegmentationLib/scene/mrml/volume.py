"""The voxels of a volume node."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...errors import SpineError
from ...resampling import AIR
from ...voxels import Voxels, image_of
from .coordinates import FLIP, array_of, to_world


def voxels_of(volume: slicer.vtkMRMLScalarVolumeNode) -> Voxels:
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


def is_warped(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume is under a transform that is not linear, such as one that mends a gantry tilt."""
    transform = volume.GetParentTransformNode()
    return transform is not None and not transform.IsTransformToWorldLinear()


def hardened_copy(volume: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLScalarVolumeNode:
    """A new volume node with the voxels where the transforms of another show them; that one stays as it is.

    What the scan does not show becomes air.
    """
    copy = slicer.vtkMRMLScalarVolumeNode()
    copy.CopyContent(volume)
    copy.SetName(volume.GetScene().GetUniqueNameByString(f"{volume.GetName()} hardened"))
    volume.GetScene().AddNode(copy)
    copy.CreateDefaultDisplayNodes()
    copy.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    # Resampling fills with 0, which is water.
    low = int(np.floor(min(AIR, copy.GetImageData().GetScalarRange()[0])))
    copy.SetAndObserveImageData(_raised(copy.GetImageData(), -low))
    copy.HardenTransform()
    copy.SetAndObserveImageData(_raised(copy.GetImageData(), low))
    return copy


def _raised(image: vtk.vtkImageData, by: int) -> vtk.vtkImageData:
    """The image with all its values raised."""
    adding = vtk.vtkImageMathematics()
    adding.SetInputData(image)
    adding.SetOperationToAddConstant()
    adding.SetConstantC(by)
    adding.Update()
    return adding.GetOutput()


def ct_of(volume: slicer.vtkMRMLScalarVolumeNode) -> sitk.Image:
    """The CT of a volume node: int16 HU, in LPS of the world; a sheared one is resampled.

    Raises:
        SpineError: as :func:`voxels_of`, or the values cannot be Hounsfield units.
    """
    return image_of(voxels_of(volume), [])
