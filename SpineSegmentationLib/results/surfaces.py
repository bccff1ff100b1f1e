"""Surfaces of vertebrae, for printing and planning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..errors import SpineError
from ..io.values import replacing
from ..segmentation.mask import Piece
from ..voxels import Grid

SMOOTHING = 20, 0.1
"""Steps and pass band of the windowed sinc filter: takes the stairs away, keeps processes."""


def surface_of(piece: Piece, grid: Grid) -> vtk.vtkPolyData:
    """The closed surface of a vertebra in LPS mm, its normals outwards; empty for a piece without voxels."""
    if not piece.voxels.size:
        return vtk.vtkPolyData()
    # Bone at the border of the scan is closed there.
    voxels = np.pad(piece.voxels.view(np.uint8), 1)
    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    border = vtk.vtkDiscreteFlyingEdges3D()
    border.SetInputData(image)
    border.SetValue(0, 1)
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(border.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING[0])
    smooth.SetPassBand(SMOOTHING[1])
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    shift = np.eye(4)
    shift[:3, 3] = np.array(piece.corner) - 1
    transform = vtk.vtkTransform()
    transform.SetMatrix((grid.to_lps @ shift).ravel().tolist())
    place = vtk.vtkTransformPolyDataFilter()
    place.SetInputConnection(smooth.GetOutputPort())
    place.SetTransform(transform)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(place.GetOutputPort())
    normals.AutoOrientNormalsOn()
    normals.ConsistencyOn()
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def write_stl(surface: vtk.vtkPolyData, path: str | Path) -> None:
    """Write a surface as binary STL in LPS mm, whole or not at all. Raises SpineError."""
    with replacing(path) as temporary:
        writer = vtk.vtkSTLWriter()
        writer.SetFileName(str(temporary))
        writer.SetFileTypeToBinary()
        # Slicer reads the coordinate system from here.
        writer.SetHeader("3D Slicer output. SPACE=LPS")
        writer.SetInputData(surface)
        temporary.touch()
        if not writer.Write() or writer.GetErrorCode():
            raise SpineError(f"{path} cannot be written; check the free space")
