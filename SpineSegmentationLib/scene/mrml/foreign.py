"""Segmentations that others put into the scene, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ...errors import SpineError
from ...foreign.codes import CodeTable
from ...foreign.masks import ForeignMask, ForeignSegment, from_labels, level_of_segment
from ...foreign.names import level_of_terminology
from ...grid import Grid
from .coordinates import FLIP, array_of, to_world
from .segment import LABEL_MAP, piece_of, resampled_piece_of
from .volume import voxels_of

if TYPE_CHECKING:
    import slicer


def foreign_of(node: slicer.vtkMRMLNode, table: CodeTable | None = None) -> ForeignMask:
    """The vertebrae of a segmentation node, by name and terminology, or of a label map node, by its numbers.

    Args:
        node: a vtkMRMLSegmentationNode, or a volume node that holds whole numbers.
        table: what the numbers of a label map mean; None: told by its colours' names, or guessed from order and place.

    Raises:
        SpineError: no node, no vertebra in it, under a warping transform, no known numbers.
    """
    if node is None:
        raise SpineError("no segmentation is chosen; choose a segmentation or a label map")
    if node.IsA("vtkMRMLSegmentationNode"):
        return _of_segmentation(node)
    voxels = voxels_of(node)
    grid = _grid(voxels.to_lps, np.array(voxels.array.shape[::-1]))
    image = sitk.GetImageFromArray(voxels.array)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return from_labels(image, node.GetName(), table, _color_names(node))


def _of_segmentation(node: slicer.vtkMRMLSegmentationNode) -> ForeignMask:
    segmentation = node.GetSegmentation()
    if not segmentation.ContainsRepresentation(LABEL_MAP) and not node.CreateBinaryLabelmapRepresentation():
        raise SpineError(f"{node.GetName()} holds no label maps and cannot be made to; choose another segmentation")
    notes: list[str] = []
    others: list[str] = []
    segments: list[ForeignSegment] = []
    grid: Grid | None = None
    for name in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(name)
        entry = vtk.reference("")
        coded = str(entry) if segment.GetTag(segment.GetTerminologyEntryTagName(), entry) else ""
        level = level_of_segment(segment.GetName(), level_of_terminology(coded), notes)
        if level is None:
            others.append(segment.GetName())
            continue
        image = segment.GetRepresentation(LABEL_MAP)
        if image is None or image.IsEmpty():
            continue
        grid = grid or _grid_of_image(image)
        piece = piece_of(node, name, grid)
        if piece is None:
            notes.append(f"{segment.GetName()} lies on another grid than the first segment: nearest voxels taken")
            piece = resampled_piece_of(node, name, grid)
        segments.append(ForeignSegment(segment.GetName(), level, piece))
    if grid is not None:
        grid = _moved(grid, FLIP @ to_world(node) @ FLIP)
    empty = Grid((1, 1, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel().tolist()))
    return ForeignMask(grid or empty, tuple(segments), node.GetName(), tuple(others), tuple(notes))


def _grid_of_image(image: slicer.vtkOrientedImageData) -> Grid:
    """The lattice of a segment, as far as it reaches from its first index to its last."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = np.reshape(image.GetExtent(), (3, 2))
    return _grid(FLIP @ array_of(matrix), np.maximum(extent[:, 1] + 1, 1))


def _moved(grid: Grid, transform: np.ndarray) -> Grid:
    return _grid(transform @ grid.to_lps, np.array(grid.size))


def _grid(to_lps: np.ndarray, size: np.ndarray) -> Grid:
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    direction = tuple((to_lps[:3, :3] / spacing).ravel().tolist())
    return Grid(tuple(size.tolist()), tuple(spacing.tolist()), tuple(to_lps[:3, 3].tolist()), direction)


def _color_names(node: slicer.vtkMRMLVolumeNode) -> dict[int, str]:
    """What the colour table of a label map calls the numbers that it holds."""
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    if colors is None:
        return {}
    codes = np.unique(vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()))
    names = {int(code): colors.GetColorName(int(code)) for code in codes if 0 < code < colors.GetNumberOfColors()}
    return {code: name for code, name in names.items() if name}
