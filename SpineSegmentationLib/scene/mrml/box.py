"""The spine box as a ROI node."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import vtk

from ...errors import SpineError
from ...spine import SpineBox
from .coordinates import NEAR, array_of, flipped, modifying, to_world

if TYPE_CHECKING:
    import slicer


def box_of(roi: slicer.vtkMRMLMarkupsROINode) -> SpineBox | None:
    """The box along the axes of the world that holds a ROI, turned or transformed as it may be; None for an empty one.

    Raises:
        SpineError: it is under a warping transform.
    """
    half = np.array(roi.GetSize()) / 2
    if not np.all(half > 0):
        return None
    to_world(roi)
    matrix = array_of(roi.GetObjectToWorldMatrix())
    signs = np.array([[(-1, 1)[bit >> axis & 1] for axis in range(3)] for bit in range(8)])
    corners = (signs * half) @ matrix[:3, :3].T + matrix[:3, 3]
    return SpineBox.around(corners * (-1, -1, 1), (0, 0, 0), (0, 0, 0))


def show_box(roi: slicer.vtkMRMLMarkupsROINode, box: SpineBox) -> None:
    """Makes the ROI that box, upright and under no transform; one round which that box lies already stays as it is."""
    with suppress(SpineError):
        if same_box(box_of(roi), box):
            return
    with modifying(roi):
        roi.SetAndObserveTransformNodeID(None)
        roi.SetAndObserveObjectToNodeMatrix(vtk.vtkMatrix4x4())
        roi.SetCenterWorld(*flipped(np.add(box.lower, box.upper) / 2))
        roi.SetSizeWorld(*(float(value) for value in box.size))


def same_box(a: SpineBox | None, b: SpineBox | None) -> bool:
    """Whether two boxes are equal as far as a node can tell."""
    if a is None or b is None:
        return a is b
    return bool(np.allclose([a.lower, a.upper], [b.lower, b.upper], rtol=0, atol=NEAR))
