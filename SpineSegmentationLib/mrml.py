"""Values to MRML nodes and back. The only room that knows MRML, and the only one in which points are RAS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .anatomy import SNOMED_CATEGORY, SNOMED_VERTEBRA, Level
from .errors import SpineError
from .files import CONFIDENCE
from .segmentation.mask import Piece
from .spine import Centroid, Centroids, Point, SpineBox
from .state import State
from .voxels import Grid, Voxels, image_of

NEAR = 1e-3
"""mm; nodes keep what they are given no better than this, so nearer values are the same."""

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS to LPS, and back."""

UNNAMED = "?"
"""What a point is called that a person has just placed; its neighbours tell its name."""

TERMINOLOGY = "Segmentation category and type - Spine Segmentation"
LABEL_MAP = "Binary labelmap"

VOLUME = "SpineSegmentation.volume"
"""The reference by which a node of a result knows its volume."""

LEVEL, DIGEST, POSITION, KEEP = (f"SpineSegmentation.{name}" for name in ("level", "digest", "position", "keep"))
"""Tags of a segment: its vertebra, what was last written into it, from which centroid, whether a person keeps it."""


@contextmanager
def modifying(node) -> Iterator[None]:
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


def _array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def _matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row, column]))
    return matrix


def _to_world(node) -> np.ndarray:
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
    return _array(matrix)


# Volume -----------------------------------------------------------------------------------------------------------


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
    return Voxels(array, FLIP @ _to_world(volume) @ _array(matrix), volume.GetName())


def ct_of(volume) -> sitk.Image:
    """The CT of a volume node: int16 HU, in LPS of the world; a sheared one is resampled.

    Raises:
        SpineError: as :func:`voxels_of`, or the values cannot be Hounsfield units.
    """
    return image_of(voxels_of(volume), [])


# Spine box --------------------------------------------------------------------------------------------------------


def box_of(roi) -> SpineBox | None:
    """The box along the axes of the world that holds a ROI, turned or transformed as it may be; None for an empty one.

    Raises:
        SpineError: it is under a warping transform.
    """
    half = np.array(roi.GetSize()) / 2
    if not np.all(half > 0):
        return None
    _to_world(roi)
    matrix = _array(roi.GetObjectToWorldMatrix())
    signs = np.array([[(-1, 1)[bit >> axis & 1] for axis in range(3)] for bit in range(8)])
    corners = (signs * half) @ matrix[:3, :3].T + matrix[:3, 3]
    return SpineBox.around(corners * (-1, -1, 1), (0, 0, 0), (0, 0, 0))


def show_box(roi, box: SpineBox) -> None:
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


# Centroids --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NamedPoint:
    """A control point: its name, its place in LPS mm of the world, its id, and what else it tells."""

    name: str
    position: Point
    id: str
    confidence: float = 1.0
    locked: bool = False


def points_of(node) -> list[NamedPoint]:
    """The control points that have a place, in their order."""
    points = []
    for number in range(node.GetNumberOfControlPoints()):
        if node.GetNthControlPointPositionStatus(number) != node.PositionDefined:
            continue
        place = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(number, place)
        text = node.GetNthControlPointDescription(number) or ""
        try:
            confidence = min(max(float(text.removeprefix(CONFIDENCE)), 0.0), 1.0)
        except ValueError:
            confidence = 1.0
        points.append(
            NamedPoint(
                node.GetNthControlPointLabel(number),
                flipped(place),
                node.GetNthControlPointID(number),
                confidence,
                node.GetNthControlPointLocked(number),
            )
        )
    return points


def centroids_of(points: Sequence[NamedPoint]) -> tuple[Centroids, frozenset[Level]]:
    """The centroids that points name, and those that are locked.

    Raises:
        SpineError: a name is no vertebra, or two points have one name; it says which.
    """
    named: dict[Level, NamedPoint] = {}
    for point in points:
        try:
            level = Level.parse(point.name)
        except ValueError:
            raise SpineError(
                f"the point {point.name!r} names no vertebra; call it C1 ... C7, T1 ... T13 or L1 ... L6, or delete it"
            ) from None
        if level in named:
            raise SpineError(f"two points are called {level.name}; rename or delete one of them")
        named[level] = point
    centroids = (Centroid(level, point.position, point.confidence) for level, point in named.items())
    return Centroids(tuple(centroids)), frozenset(level for level, point in named.items() if point.locked)


def named_by_neighbours(points: Sequence[NamedPoint]) -> list[NamedPoint]:
    """The points, with names for those that have none yet and lie where one is free."""
    named = [point for point in points if point.name != UNNAMED]
    try:
        state = State(None, centroids_of(named)[0])
    except SpineError:
        # What is wrong with the others is told first.
        return list(points)
    result = []
    for point in points:
        level = state.free_level(point.position) if point.name == UNNAMED else None
        if level is not None:
            state, point = state.added(level, point.position), replace(point, name=level.name)
        result.append(point)
    return result


def show_centroids(node, centroids: Centroids, locked: Iterable[Level] = ()) -> None:
    """Makes the points those centroids. A point that stays a vertebra's keeps its id, and is touched where it differs.

    A point belongs to the centroid at its place, or else to that of its name; others are removed.
    """
    locked = set(locked)
    with modifying(node):
        wanted = list(centroids)
        taken: dict[str, Centroid] = {}
        for fits in (
            lambda point, centroid: np.allclose(point.position, centroid.position, rtol=0, atol=NEAR),
            lambda point, centroid: point.name == centroid.level.name,
        ):
            for point in points_of(node):
                centroid = next((c for c in wanted if fits(point, c)), None)
                if point.id not in taken and centroid is not None:
                    taken[point.id] = centroid
                    wanted.remove(centroid)
        for number in reversed(range(node.GetNumberOfControlPoints())):
            if node.GetNthControlPointID(number) not in taken:
                node.RemoveNthControlPoint(number)
        for centroid in wanted:
            number = node.AddControlPointWorld(vtk.vtkVector3d(*flipped(centroid.position)), centroid.level.name)
            taken[node.GetNthControlPointID(number)] = centroid
        for point in points_of(node):
            _show_point(node, point, taken[point.id], taken[point.id].level in locked)


def _show_point(node, point: NamedPoint, centroid: Centroid, locked: bool) -> None:
    number = node.GetNthControlPointIndexByID(point.id)
    if not np.allclose(point.position, centroid.position, rtol=0, atol=NEAR):
        node.SetNthControlPointPositionWorld(number, flipped(centroid.position))
    if point.name != centroid.level.name:
        node.SetNthControlPointLabel(number, centroid.level.name)
    text = "" if centroid.confidence == 1 else f"{CONFIDENCE}{centroid.confidence!r}"
    if node.GetNthControlPointDescription(number) != text:
        node.SetNthControlPointDescription(number, text)
    if point.locked != locked:
        node.SetNthControlPointLocked(number, locked)


# Segments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShownSegment:
    """A segment of ours: its id and its tags; the digest is of what was last written into it."""

    id: str
    level: Level
    digest: str
    position: str
    kept: bool


def terminology(level: Level) -> str:
    """The segment's entry in Slicer's notation: the level as a SNOMED CT body structure; T13 and L6 as a vertebra."""
    code, meaning = (level.snomed, f"{level.name} vertebra") if level.snomed else SNOMED_VERTEBRA
    category = "^".join(("SCT", *SNOMED_CATEGORY))
    return f"{TERMINOLOGY}~{category}~SCT^{code}^{meaning}~^^~~^^~^^"


def _tag(segment, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def segments_of(node) -> list[ShownSegment]:
    """The segments that were made by :func:`show_segments`, in their order; those of others are left out."""
    found = []
    for name in node.GetSegmentation().GetSegmentIDs():
        segment = node.GetSegmentation().GetSegment(name)
        level = _tag(segment, LEVEL)
        if level in Level.__members__:
            tags = _tag(segment, DIGEST), _tag(segment, POSITION), bool(_tag(segment, KEEP))
            found.append(ShownSegment(name, Level[level], *tags))
    return found


def piece_of(node, segment_id: str, grid: Grid) -> Piece | None:
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
    to_grid = np.linalg.inv(grid.to_lps) @ FLIP @ _array(matrix)
    offset = np.rint(to_grid[:3, 3])
    to_grid[:3, 3] -= offset
    if not grid.is_identity(to_grid):
        return None
    extent = image.GetExtent()
    array = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]) == segment.GetLabelValue()
    return Piece.of(array, tuple(int(o + e) for o, e in zip(offset, extent[::2], strict=True)))


def painted(node, shown: ShownSegment, grid: Grid) -> bool:
    """Whether somebody changed the segment since it was last written."""
    piece = piece_of(node, shown.id, grid)
    return piece is None or piece.digest != shown.digest


def set_kept(node, segment_id: str, kept: bool) -> None:
    """Marks a segment as a person's own, or as one to be computed."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    if kept:
        segment.SetTag(KEEP, "1")
    else:
        segment.RemoveTag(KEEP)


def show_segments(
    node, pieces: Mapping[Level, Piece], centroids: Centroids, grid: Grid, volume, complete: bool = True
) -> None:
    """Makes the segments those vertebrae; only what differs is touched, and nothing that a person painted.

    A segment belongs to the vertebra whose centroid it was made from, or else to that with its voxels, or else to
    that of its level. A segment that was painted since it was last written is marked as kept, and stays.
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
        places = {point.level: repr(point.position) for point in centroids}
        left = segments_of(node)
        owner: dict[Level, ShownSegment] = {}
        for fits in (
            lambda shown, level: shown.position == places.get(level),
            lambda shown, level: shown.digest == pieces[level].digest,
            lambda shown, level: shown.level == level,
        ):
            for level in pieces:
                shown = next((shown for shown in left if level not in owner and fits(shown, level)), None)
                if shown is not None:
                    owner[level] = shown
                    left.remove(shown)
        for shown in left if complete else ():
            if not shown.kept and painted(node, shown, grid):
                set_kept(node, shown.id, True)
            elif not shown.kept:
                node.GetSegmentation().RemoveSegment(shown.id)
        for level, piece in pieces.items():
            _show_segment(node, owner.get(level), level, piece, places.get(level, ""), grid)
        _sort(node)


def _show_segment(node, shown: ShownSegment | None, level: Level, piece: Piece, place: str, grid: Grid) -> None:
    segmentation = node.GetSegmentation()
    if shown is None:
        segment = slicer.vtkSegment()
        segment.AddRepresentation(LABEL_MAP, _oriented(piece, grid))
        name = segmentation.GenerateUniqueSegmentID(f"vertebra_{len(segments_of(node)) + 1}")
        _name(segment, level)
        segment.SetTag(LEVEL, level.name)
        segment.SetTag(POSITION, place)
        segment.SetTag(DIGEST, piece.digest)
        segmentation.AddSegment(segment, name)
        if segmentation.ContainsRepresentation("Closed surface"):
            _write(node, name, piece, grid)
        return
    segment = segmentation.GetSegment(shown.id)
    if shown.level != level:
        segment.SetTag(LEVEL, level.name)
        _name(segment, level)
    if shown.position != place:
        segment.SetTag(POSITION, place)
    if shown.digest == piece.digest or shown.kept:
        return
    if painted(node, shown, grid):
        set_kept(node, shown.id, True)
        return
    _write(node, shown.id, piece, grid)
    segment.SetTag(DIGEST, piece.digest)


def restore_segment(node, shown: ShownSegment, piece: Piece, grid: Grid) -> None:
    """Writes a computed piece over whatever the segment holds; it is not kept any more."""
    set_kept(node, shown.id, False)
    _write(node, shown.id, piece, grid)
    node.GetSegmentation().GetSegment(shown.id).SetTag(DIGEST, piece.digest)


def _name(segment, level: Level) -> None:
    segment.SetName(level.name)
    segment.SetColor(*level.color)
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology(level))


def _oriented(piece: Piece, grid: Grid):
    """The piece as Slicer's image, at least one voxel large."""
    voxels = piece.voxels.view(np.uint8) if piece.voxels.size else np.zeros((1, 1, 1), np.uint8)
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(v for c, n in zip(piece.corner, voxels.shape[::-1], strict=True) for v in (c, c + n - 1)))
    image.SetGeometryFromImageToWorldMatrix(_matrix(FLIP @ grid.to_lps))
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    return image


def _write(node, segment_id: str, piece: Piece, grid: Grid) -> None:
    segmentation, logic = node.GetSegmentation(), slicer.vtkSlicerSegmentationsModuleLogic
    # Segments of a loaded scene share one image, in which they could not overlap.
    segmentation.SeparateSegmentLabelmap(segment_id)
    if not logic.SetBinaryLabelmapToSegment(_oriented(piece, grid), node, segment_id, logic.MODE_REPLACE):
        raise SpineError(f"{node.GetName()} cannot be written; is its source representation the binary labelmap?")


def _set_geometry(node, grid: Grid, volume) -> None:
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    image = vtk.vtkImageData()
    image.SetDimensions(*grid.size)
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(_matrix(FLIP @ grid.to_lps), image)
    if node.GetSegmentation().GetConversionParameter(name) != text:
        node.GetSegmentation().SetConversionParameter(name, text)
    role = node.GetReferenceImageGeometryReferenceRole()
    if node.GetNodeReferenceID(role) != volume.GetID():
        node.SetNodeReferenceID(role, volume.GetID())


def grid_of(node) -> Grid | None:
    """The grid that :func:`show_segments` gave a segmentation; None for one that has none."""
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    image = slicer.vtkOrientedImageData()
    text = node.GetSegmentation().GetConversionParameter(name)
    if not text or not slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False):
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_lps = FLIP @ _array(matrix)
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    extent = np.reshape(image.GetExtent(), (3, 2))
    return Grid(
        tuple(int(v) for v in extent[:, 1] - extent[:, 0] + 1),
        tuple(spacing.tolist()),
        tuple(to_lps[:3, 3].tolist()),
        tuple((to_lps[:3, :3] / spacing).ravel().tolist()),
    )


def resampled_piece_of(node, segment_id: str, grid: Grid) -> Piece:
    """The voxels of a segment whose geometry somebody changed, brought to the grid (nearest voxel)."""
    segment = node.GetSegmentation().GetSegment(segment_id)
    wanted, result = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    wanted.SetExtent(*(v for n in grid.size for v in (0, n - 1)))
    wanted.SetGeometryFromImageToWorldMatrix(_matrix(FLIP @ grid.to_lps))
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        segment.GetRepresentation(LABEL_MAP), wanted, result
    )
    array = vtk_to_numpy(result.GetPointData().GetScalars()).reshape(result.GetDimensions()[::-1])
    return Piece.of(array == segment.GetLabelValue(), result.GetExtent()[::2])


def _sort(node) -> None:
    """From the head down; segments of others come after ours."""
    shown = segments_of(node)
    ordered = [segment.id for segment in sorted(shown, key=lambda segment: segment.level.rank)]
    others = [name for name in node.GetSegmentation().GetSegmentIDs() if name not in ordered]
    if list(node.GetSegmentation().GetSegmentIDs()) != ordered + others:
        node.GetSegmentation().ReorderSegments(ordered + others)


# Table ------------------------------------------------------------------------------------------------------------


def show_table(node, rows: Sequence[Sequence[str]]) -> None:
    """Makes the table those rows, the first of which names the columns. Columns of numbers hold numbers (NaN: none)."""
    with modifying(node):
        node.RemoveAllColumns()
        for name, *cells in zip(*rows, strict=True):
            try:
                numbers = [float(cell) if cell else float("nan") for cell in cells]
            except ValueError:
                column = vtk.vtkStringArray()
                values: Sequence = cells
            else:
                column = vtk.vtkDoubleArray()
                values = numbers
            column.SetName(name)
            for value in values:
                column.InsertNextValue(value)
            node.AddColumn(column)


def rows_of(node) -> list[list[str]]:
    """The rows of a table made by :func:`show_table`; numbers as short as they can be, "" for NaN."""
    table = node.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]

    def text(column, row: int) -> str:
        value = column.GetValue(row)
        return value if isinstance(value, str) else "" if np.isnan(value) else f"{value:g}"

    rows = [[text(column, row) for column in columns] for row in range(table.GetNumberOfRows())]
    return [[column.GetName() for column in columns], *rows]
