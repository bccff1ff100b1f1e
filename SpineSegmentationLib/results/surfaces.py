"""Surfaces of vertebrae, for printing and planning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..errors import SpineError
from ..grid import Grid
from ..io.formats import named_for_itk
from ..io.values import replacing
from ..segmentation.mask import Piece

SMOOTHING = 20, 0.1
"""Steps and pass band of the windowed sinc filter: takes the stairs away, keeps processes."""

FARTHEST = 0.5
"""Voxels by which smoothing may move a point of the surface."""

FORMATS = ("stl", "ply", "obj", "vtp")
"""The kinds of files for surfaces, by their extension."""


def surface_of(piece: Piece, grid: Grid) -> vtk.vtkPolyData:
    """The closed surface of a vertebra in LPS mm, its normals outwards; empty for a piece without voxels.

    Smooth, and nowhere farther than half a voxel from the border of the mask.
    """
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
    smooth.Update()
    near = _kept_near(border.GetOutput(), smooth.GetOutput())
    shift = np.eye(4)
    shift[:3, 3] = np.array(piece.corner) - 1
    transform = vtk.vtkTransform()
    transform.SetMatrix((grid.to_lps @ shift).ravel().tolist())
    place = vtk.vtkTransformPolyDataFilter()
    place.SetInputData(near)
    place.SetTransform(transform)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(place.GetOutputPort())
    normals.AutoOrientNormalsOn()
    normals.ConsistencyOn()
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _kept_near(border: vtk.vtkPolyData, smooth: vtk.vtkPolyData) -> vtk.vtkPolyData:
    """The smooth surface, its points no farther from where they came from than ``FARTHEST``; in voxels."""
    before, after = (vtk_to_numpy(one.GetPoints().GetData()).astype(float) for one in (border, smooth))
    moved = after - before
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(before + moved * np.minimum(1, FARTHEST / np.maximum(length, 1e-9)), deep=True))
    result = vtk.vtkPolyData()
    result.ShallowCopy(smooth)
    result.SetPoints(points)
    return result


def write_surface(surface: vtk.vtkPolyData, path: str | Path) -> None:
    """Write a surface in LPS mm, whole or not at all, in the format of the path's extension (``FORMATS``).

    Raises:
        SpineError: another extension, or it cannot be written.
    """
    writer = _writer(Path(path))
    with replacing(path) as temporary, named_for_itk(temporary) as name:
        writer.SetFileName(name)
        writer.SetInputData(surface)
        temporary.touch()
        if not writer.Write() or writer.GetErrorCode():
            raise SpineError(f"{path} cannot be written; check the free space")


def _writer(path: Path) -> vtk.vtkWriter:
    """The writer for a path; Slicer reads from STL, PLY and VTP that the points are LPS, and takes it for OBJ."""
    kind = path.suffix.lower().removeprefix(".")
    if kind == "stl":
        writer = vtk.vtkSTLWriter()
        writer.SetFileTypeToBinary()
        writer.SetHeader("3D Slicer output. SPACE=LPS")
    elif kind == "ply":
        writer = vtk.vtkPLYWriter()
        writer.SetFileTypeToBinary()
        writer.AddComment("SPACE=LPS")
    elif kind == "obj":
        writer = vtk.vtkOBJWriter()
    elif kind == "vtp":
        writer = vtk.vtkXMLPolyDataWriter()
    else:
        raise SpineError(f"{path} must end in {', '.join('.' + kind for kind in FORMATS)}")
    return writer
