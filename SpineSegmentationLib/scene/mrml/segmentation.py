"""The pieces of a label map as the segments of a segmentation node."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import slicer
import vtk

from ...anatomy import Bone
from ...grid import Grid
from ...segmentation.mask import Piece, whole
from ...spine import Centroid, Centroids
from .coordinates import FLIP, array_of, matrix_of, modifying
from .segment import (
    DIGEST,
    LABEL_MAP,
    LEVEL,
    POSITION,
    ShownSegment,
    name_as,
    oriented,
    painted,
    piece_of,
    segments_of,
    set_kept,
    write_voxels,
)


def show_segments(
    node: slicer.vtkMRMLSegmentationNode,
    pieces: Mapping[Bone, Piece],
    centroids: Centroids,
    grid: Grid,
    volume: slicer.vtkMRMLScalarVolumeNode,
    complete: bool = True,
) -> None:
    """Makes the segments those vertebrae; only what differs is touched, and nothing that a person painted.

    A segment belongs to the vertebra whose centroid it was made from, or else to that with its voxels, or else, if it
    is kept, to that whose centroid lies in it, or else to that of its level. A segment that was painted since it was
    last written is marked as kept, and stays.
    The node comes out of its transform, as pieces lie in the world.

    Args:
        volume: the node that gives the segmentation its geometry.
        complete: whether segments of other vertebrae are removed (unless they are kept).
    """
    with modifying(node):
        before = grid_of(node)
        transformed = node.GetParentTransformNode() is not None
        if before is not None and (transformed or not before.same_as(grid)):
            # They lie elsewhere, on another grid: made anew, unless they are a person's.
            for shown in segments_of(node):
                if not shown.kept and painted(node, shown, before):
                    set_kept(node, shown.id, True)
                elif not shown.kept:
                    node.GetSegmentation().RemoveSegment(shown.id)
        if transformed:
            node.HardenTransform()
        _set_geometry(node, grid, volume)
        # repr tells floats apart exactly.
        places: dict[Bone, str] = {point.level: repr(point.position) for point in centroids}
        left = segments_of(node)
        owner: dict[Bone, ShownSegment] = {}
        for fits in (
            lambda shown, level: shown.position == places.get(level),
            lambda shown, level: shown.digest == pieces[level].digest,
            lambda shown, level: (
                level in centroids
                and (shown.kept or painted(node, shown, grid))
                and _holds(node, shown, grid, centroids[level])
            ),
            lambda shown, level: shown.level == level,
        ):
            for level in pieces:
                fitting = next((shown for shown in left if level not in owner and fits(shown, level)), None)
                if fitting is not None:
                    owner[level] = fitting
                    left.remove(fitting)
        for shown in left if complete else ():
            if not shown.kept and painted(node, shown, grid):
                set_kept(node, shown.id, True)
            elif not shown.kept:
                node.GetSegmentation().RemoveSegment(shown.id)
        for shown in left if complete else ():
            if shown.kept and shown.level in owner:
                _give_away(node, shown)
        for level, piece in pieces.items():
            _show_segment(node, owner.get(level), level, piece, places.get(level, ""), grid)
        _sort(node)


def _holds(node: slicer.vtkMRMLSegmentationNode, shown: ShownSegment, grid: Grid, centroid: Centroid) -> bool:
    """Whether a centroid lies in the voxels of a segment."""
    piece = piece_of(node, shown.id, grid)
    if piece is None:
        return False
    index = np.linalg.inv(grid.to_lps) @ [*centroid.position, 1.0]
    at = np.rint(index[:3]).astype(int) - piece.corner
    return bool(np.all((at >= 0) & (at < piece.shape[::-1])) and piece.voxels[tuple(at[::-1])])


def _give_away(node: slicer.vtkMRMLSegmentationNode, shown: ShownSegment) -> None:
    """A kept segment whose vertebra has another one stays in the scene, as nobody's."""
    segment = node.GetSegmentation().GetSegment(shown.id)
    segment.RemoveTag(LEVEL)
    segment.SetName(f"{segment.GetName()} (kept)")


def remove_segment(node: slicer.vtkMRMLSegmentationNode, level: Bone) -> None:
    """Takes a vertebra's segment away, whoever painted it."""
    for shown in segments_of(node):
        if shown.level == level:
            node.GetSegmentation().RemoveSegment(shown.id)


def _show_segment(
    node: slicer.vtkMRMLSegmentationNode, shown: ShownSegment | None, level: Bone, piece: Piece, place: str, grid: Grid
) -> None:
    segmentation = node.GetSegmentation()
    if shown is None:
        segment = slicer.vtkSegment()
        segment.AddRepresentation(LABEL_MAP, oriented(piece, grid))
        name = segmentation.GenerateUniqueSegmentID(f"vertebra_{len(segments_of(node)) + 1}")
        name_as(segment, level)
        segment.SetTag(LEVEL, level.name)
        segment.SetTag(POSITION, place)
        segment.SetTag(DIGEST, piece.digest)
        segmentation.AddSegment(segment, name)
        if segmentation.ContainsRepresentation("Closed surface"):
            write_voxels(node, name, piece, grid)
        return
    segment = segmentation.GetSegment(shown.id)
    # Scenes of the first version call segments by the short name.
    if shown.level != level or shown.misnamed or segment.GetName() == level.name:
        segment.SetTag(LEVEL, level.name)
        name_as(segment, level)
    if shown.position != place:
        segment.SetTag(POSITION, place)
    if shown.digest == piece.digest or shown.kept:
        return
    if painted(node, shown, grid):
        set_kept(node, shown.id, True)
        return
    write_voxels(node, shown.id, piece, grid)
    segment.SetTag(DIGEST, piece.digest)


def restore_segment(node: slicer.vtkMRMLSegmentationNode, shown: ShownSegment, piece: Piece, grid: Grid) -> None:
    """Writes a computed piece over whatever the segment holds; it is not kept any more."""
    set_kept(node, shown.id, False)
    write_voxels(node, shown.id, piece, grid)
    node.GetSegmentation().GetSegment(shown.id).SetTag(DIGEST, piece.digest)


def _sort(node: slicer.vtkMRMLSegmentationNode) -> None:
    """From the head down; segments of others come after ours."""
    shown = segments_of(node)
    ordered = [segment.id for segment in sorted(shown, key=lambda segment: segment.level.rank)]
    others = [name for name in node.GetSegmentation().GetSegmentIDs() if name not in ordered]
    if list(node.GetSegmentation().GetSegmentIDs()) != ordered + others:
        node.GetSegmentation().ReorderSegments(ordered + others)


def _set_geometry(node: slicer.vtkMRMLSegmentationNode, grid: Grid, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    image = vtk.vtkImageData()
    image.SetDimensions(*grid.size)
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(matrix_of(FLIP @ grid.to_lps), image)
    if node.GetSegmentation().GetConversionParameter(name) != text:
        node.GetSegmentation().SetConversionParameter(name, text)
    role = node.GetReferenceImageGeometryReferenceRole()
    if node.GetNodeReferenceID(role) != volume.GetID():
        node.SetNodeReferenceID(role, volume.GetID())


def grid_of(node: slicer.vtkMRMLSegmentationNode) -> Grid | None:
    """The grid that :func:`show_segments` gave a segmentation; None for one that has none."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    image = slicer.vtkOrientedImageData()
    text = node.GetSegmentation().GetConversionParameter(name)
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False):
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    extent = np.reshape(image.GetExtent(), (3, 2))
    return Grid.of_matrix(whole(extent[:, 1] - extent[:, 0] + 1), FLIP @ array_of(matrix))
