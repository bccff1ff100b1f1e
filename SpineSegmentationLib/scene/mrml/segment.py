"""One segment: its tags, and its voxels as a piece of the label map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...anatomy import BONES, SNOMED_CATEGORY, SNOMED_VERTEBRA, Bone
from ...errors import SpineError
from ...grid import Grid
from ...segmentation.mask import Piece, whole
from .coordinates import FLIP, array_of, matrix_of

TERMINOLOGY = "Segmentation category and type - Spine Segmentation"
LABEL_MAP = "Binary labelmap"

LEVEL, DIGEST, POSITION, KEEP = (f"SpineSegmentation.{name}" for name in ("level", "digest", "position", "keep"))
"""Tags of a segment: its bone, what was last written into it, from which centroid, whether a person keeps it."""

SHORT = "ShortName"
"""Tag of a segment: what its vertebra is called in short, \"L5\", for other programs."""


@dataclass(frozen=True)
class ShownSegment:
    """A segment of ours: its id and its tags; the digest is of what was last written into it.

    ``misnamed``: somebody gave it the name of another vertebra.
    """

    id: str
    misnamed: bool
    level: Bone
    digest: str
    position: str
    kept: bool


def terminology(level: Bone) -> str:
    """The segment's entry in Slicer's notation: the level as a SNOMED CT body structure; T13 and L6 as a vertebra."""
    code, meaning = (level.snomed, level.title) if level.snomed else SNOMED_VERTEBRA
    category = "^".join(("SCT", *SNOMED_CATEGORY))
    return f"{TERMINOLOGY}~{category}~SCT^{code}^{meaning}~^^~~^^~^^"


def _tag(segment: slicer.vtkSegment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def segments_of(node: slicer.vtkMRMLSegmentationNode) -> list[ShownSegment]:
    """The segments that ``show_segments`` made, in their order; those of others are left out."""
    found = []
    for name in node.GetSegmentation().GetSegmentIDs():
        segment = node.GetSegmentation().GetSegment(name)
        level = _tag(segment, LEVEL)
        if level in BONES:
            tags = _tag(segment, DIGEST), _tag(segment, POSITION), bool(_tag(segment, KEEP))
            own = BONES[level]
            others = {text for bone in BONES.values() if bone != own for text in (bone.title, bone.name)}
            found.append(ShownSegment(name, segment.GetName() in others, own, *tags))
    return found


def piece_of(node: slicer.vtkMRMLSegmentationNode, segment_id: str, grid: Grid) -> Piece | None:
    """The voxels of a segment; None when they do not lie on the grid (somebody changed the segment's geometry)."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    image = segment.GetRepresentation(LABEL_MAP)
    if image is None:
        return None
    scalars = image.GetPointData().GetScalars()
    if scalars is None or image.IsEmpty():
        return Piece.of(np.zeros((0, 0, 0)), (0, 0, 0))
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_grid = np.linalg.inv(grid.to_lps) @ FLIP @ array_of(matrix)
    offset = np.rint(to_grid[:3, 3])
    to_grid[:3, 3] -= offset
    if not grid.is_identity(to_grid):
        return None
    extent = image.GetExtent()
    array = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]) == segment.GetLabelValue()
    return Piece.of(array, whole(o + e for o, e in zip(offset, extent[::2], strict=True)))


def resampled_piece_of(node: slicer.vtkMRMLSegmentationNode, segment_id: str, grid: Grid) -> Piece:
    """The voxels of a segment whose geometry somebody changed, brought to the grid (nearest voxel)."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    wanted, result = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    wanted.SetExtent(*(v for n in grid.size for v in (0, n - 1)))
    wanted.SetGeometryFromImageToWorldMatrix(matrix_of(FLIP @ grid.to_lps))
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        segment.GetRepresentation(LABEL_MAP), wanted, result
    )
    array = vtk_to_numpy(result.GetPointData().GetScalars()).reshape(result.GetDimensions()[::-1])
    return Piece.of(array == segment.GetLabelValue(), result.GetExtent()[::2])


def painted(node: slicer.vtkMRMLSegmentationNode, shown: ShownSegment, grid: Grid) -> bool:
    """Whether somebody changed the segment since it was last written."""
    piece = piece_of(node, shown.id, grid)
    return piece is None or piece.digest != shown.digest


def set_kept(node: slicer.vtkMRMLSegmentationNode, segment_id: str, kept: bool) -> None:
    """Marks a segment as a person's own, or as one to be computed."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    if kept:
        segment.SetTag(KEEP, "1")
    else:
        segment.RemoveTag(KEEP)


def name_as(segment: slicer.vtkSegment, level: Bone) -> None:
    """Gives a segment the name that other programs know, the colour and the terminology of a vertebra."""
    segment.SetName(level.title)
    segment.SetTag(SHORT, level.name)
    segment.SetColor(*level.color)
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology(level))


def oriented(piece: Piece, grid: Grid) -> slicer.vtkOrientedImageData:
    """The piece as Slicer's image, at least one voxel large."""
    voxels = piece.voxels.view(np.uint8) if piece.voxels.size else np.zeros((1, 1, 1), np.uint8)
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(v for c, n in zip(piece.corner, voxels.shape[::-1], strict=True) for v in (c, c + n - 1)))
    image.SetGeometryFromImageToWorldMatrix(matrix_of(FLIP @ grid.to_lps))
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    return image


def write_voxels(node: slicer.vtkMRMLSegmentationNode, segment_id: str, piece: Piece, grid: Grid) -> None:
    """Makes the voxels of a segment those of the piece, whatever they were.

    Raises:
        SpineError: the segmentation holds no label maps.
    """
    segmentation, logic = node.GetSegmentation(), slicer.vtkSlicerSegmentationsModuleLogic
    # Segments of a loaded scene share one image, in which they could not overlap.
    segmentation.SeparateSegmentLabelmap(segment_id)
    if not logic.SetBinaryLabelmapToSegment(oriented(piece, grid), node, segment_id, logic.MODE_REPLACE):
        raise SpineError(f"{node.GetName()} cannot be written; is its source representation the binary labelmap?")
