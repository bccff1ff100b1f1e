"""RAS of the scene and LPS of the values; matrices of VTK and arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import vtk

from ...errors import SpineError
from ...spine import Point

if TYPE_CHECKING:
    import slicer

NEAR = 1e-3
"""mm; nodes keep what they are given no better than this, so nearer values are the same."""

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS to LPS, and back."""


@contextmanager
def modifying(node: slicer.vtkMRMLNode) -> Iterator[None]:
    """Observers of a node are told once, at the end."""
    before = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(before)


def flipped(point: Iterable[float]) -> Point:
    """RAS to LPS, and back."""
    x, y, z = (float(value) for value in point)
    return (-x, -y, z)


def array_of(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A matrix of VTK as a 4 x 4 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrix_of(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """A 4 x 4 array as a matrix of VTK."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row, column]))
    return matrix


def to_world(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """4 x 4 from the node's own RAS coordinates to those of the world.

    Raises:
        SpineError: the node is warped.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise SpineError(f"{node.GetName()} is under a warping transform; harden the transform or take it out of it")
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return array_of(matrix)
