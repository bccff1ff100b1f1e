"""Values to MRML nodes and back, on a real scene."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import slicer
import standins
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import add_transform, add_volume, add_warp, new_scene
from scipy.spatial.transform import Rotation
from vtk.util.numpy_support import vtk_to_numpy

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.results.surfaces import surface_of, write_stl
from SpineSegmentationLib.scene.mrml.box import box_of, same_box, show_box
from SpineSegmentationLib.scene.mrml.points import centroids_of, points_of, show_centroids
from SpineSegmentationLib.scene.mrml.segment import (
    TERMINOLOGY,
    ShownSegment,
    oriented,
    painted,
    piece_of,
    resampled_piece_of,
    segments_of,
    terminology,
)
from SpineSegmentationLib.scene.mrml.segmentation import grid_of, restore_segment, show_segments
from SpineSegmentationLib.scene.mrml.table import rows_of, show_table
from SpineSegmentationLib.scene.mrml.volume import ct_of
from SpineSegmentationLib.segmentation.mask import Piece
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox
from SpineSegmentationLib.voxels import Grid

TURNED = Rotation.from_euler("xyz", [10, 20, -30], degrees=True).as_matrix()
CT = standins.spine_ct(3, direction=TURNED)


@pytest.fixture
def scene():
    return new_scene()


def rigid(degrees, shift) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


# Volume


def test_an_oblique_anisotropic_volume_is_the_same_ct(scene):
    ct = ct_of(add_volume(scene, CT))
    assert np.array_equal(sitk.GetArrayFromImage(ct), sitk.GetArrayFromImage(CT))
    assert np.allclose(Grid.of(ct).to_lps, Grid.of(CT).to_lps, atol=1e-9)


@pytest.mark.parametrize("pixel", [sitk.sitkInt16, sitk.sitkInt32, sitk.sitkFloat32, sitk.sitkFloat64])
def test_scalar_types(scene, pixel):
    ct = ct_of(add_volume(scene, sitk.Cast(CT, pixel)))
    assert ct.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(sitk.GetArrayFromImage(ct), sitk.GetArrayFromImage(CT))


def test_a_volume_under_transforms_lies_where_it_is_shown(scene):
    volume = add_volume(scene, CT)
    outer, inner = (
        add_transform(scene, rigid([0, 0, 90], (100, 0, 0))),
        add_transform(scene, rigid([0, 0, 0], (0, 7, 0))),
    )
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    ct = ct_of(volume)
    x, y, z = CT.TransformIndexToPhysicalPoint((3, 4, 5))
    # RAS (-x, -y, z), 7 mm to the front, a quarter turn round the long axis, 100 mm to the right.
    expected = (-(y - 7 + 100), x, z)
    assert ct.TransformIndexToPhysicalPoint((3, 4, 5)) == pytest.approx(expected, abs=1e-6)


def test_a_shearing_transform_is_resampled_and_a_warp_is_refused(scene):
    volume = add_volume(scene, CT)
    matrix = np.eye(4)
    matrix[1, 2] = 0.2
    volume.SetAndObserveTransformNodeID(add_transform(scene, matrix).GetID())
    direction = np.reshape(ct_of(volume).GetDirection(), (3, 3))
    assert np.allclose(direction.T @ direction, np.eye(3), atol=1e-6)
    volume.SetAndObserveTransformNodeID(add_warp(scene).GetID())
    with pytest.raises(SpineError, match="CT is under a warping transform; harden"):
        ct_of(volume)


def test_volumes_that_are_none(scene):
    with pytest.raises(SpineError, match="choose a CT"):
        ct_of(None)
    with pytest.raises(SpineError, match="has no voxels"):
        ct_of(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    with pytest.raises(SpineError, match="cannot be Hounsfield"):
        ct_of(add_volume(scene, CT > 0))


# Spine box


@pytest.fixture
def roi(scene):
    return scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")


BOX = SpineBox((-10, 20, -300), (31.25, 60.5, -100))


def test_a_box_comes_back(roi):
    assert box_of(roi) is None
    show_box(roi, BOX)
    assert same_box(box_of(roi), BOX)
    assert tuple(roi.GetCenterWorld()) == pytest.approx((-10.625, -40.25, -200))


def test_showing_the_same_box_changes_nothing(roi):
    show_box(roi, BOX)
    before = roi.GetMTime()
    show_box(roi, BOX)
    assert roi.GetMTime() == before


def test_a_turned_and_transformed_roi_gives_the_box_round_it(scene, roi):
    roi.SetCenterWorld(0, 0, 0)
    roi.SetSizeWorld(20, 40, 60)
    roi.SetAndObserveTransformNodeID(add_transform(scene, rigid([0, 0, 90], (5, 6, 7))).GetID())
    box = box_of(roi)
    assert box.lower == pytest.approx((-25, -16, -23)) and box.upper == pytest.approx((15, 4, 37))
    roi.SetAndObserveTransformNodeID(None)
    roi.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(rigid([45, 0, 0], (0, 0, 0))))
    side = (40 + 60) / 2 / np.sqrt(2)
    assert box_of(roi).upper == pytest.approx((10, side, side))
    show_box(roi, BOX)
    assert same_box(box_of(roi), BOX) and np.allclose(roi.GetSize(), BOX.size)


def test_a_warped_roi_is_refused(scene, roi):
    show_box(roi, BOX)
    roi.SetAndObserveTransformNodeID(add_warp(scene).GetID())
    with pytest.raises(SpineError, match="warping"):
        box_of(roi)


# Centroids


@pytest.fixture
def points(scene):
    return scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")


def centroids(**values) -> Centroids:
    return Centroids(tuple(Centroid(Level[name], (1.0, 2.0, z), 0.5) for name, z in values.items()))


def ids(node) -> dict[str, str]:
    return {point.name: point.id for point in points_of(node)}


sure = st.floats(0, 1)
coordinate = st.floats(-2000, 2000)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from(Level), st.tuples(coordinate, coordinate, coordinate, sure), max_size=6),
    st.sets(st.sampled_from(Level)),
)
def test_centroids_come_back(values, locked):
    scene = new_scene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    wanted = Centroids(tuple(Centroid(level, value[:3], value[3]) for level, value in values.items()))
    show_centroids(node, centroids(T1=5.0, L1=-5.0))
    show_centroids(node, wanted, locked)
    assert centroids_of(points_of(node)) == (wanted, locked & set(values))


def test_points_keep_their_ids_and_what_is_the_same_is_not_touched(points):
    show_centroids(points, centroids(T12=0.0, L1=-20.0, L2=-40.0))
    before = ids(points)
    told = []
    events = (points.PointModifiedEvent, points.PointAddedEvent, points.PointRemovedEvent)
    for event in events:
        points.AddObserver(event, lambda *_, event=event: told.append(event))
    show_centroids(points, centroids(T12=0.0, L1=-20.0, L2=-40.0))
    assert not told
    show_centroids(points, centroids(T12=0.0, L1=-21.0, L2=-40.0))
    assert ids(points) == before
    show_centroids(points, centroids(L1=0.0, L2=-21.0, L3=-40.0))
    assert list(ids(points).values()) == list(before.values()) and list(ids(points)) == ["L1", "L2", "L3"]
    show_centroids(points, centroids(L1=0.0, L3=-40.0))
    assert list(ids(points)) == ["L1", "L3"]


def test_points_under_a_transform_are_where_they_are_shown(scene, points):
    points.SetAndObserveTransformNodeID(add_transform(scene, rigid([0, 0, 180], (10, 0, 0))).GetID())
    show_centroids(points, centroids(L1=-20.0))
    assert tuple(points.GetNthControlPointPosition(0)) == pytest.approx((11, 2, -20))
    assert points_of(points)[0].position == pytest.approx((1, 2, -20))


@pytest.mark.parametrize("names", [["L1", "L1"], ["L1", "l1 "], ["L1", "20"]])
def test_two_points_with_one_name(points, names):
    for name in names:
        points.AddControlPoint(vtk.vtkVector3d(0, 0, 0), name)
    with pytest.raises(SpineError, match="two points are called L1"):
        centroids_of(points_of(points))


@pytest.mark.parametrize("name", ["F-1", "", "S1", "L9", "26"])
def test_names_that_are_no_vertebra(points, name):
    points.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "L1")
    points.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "x")
    points.SetNthControlPointLabel(1, name)
    with pytest.raises(SpineError, match="names no vertebra") as caught:
        centroids_of(points_of(points))
    assert repr(name) in str(caught.value)


def test_points_without_a_place_do_not_count(points):
    points.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "L1")
    points.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "L2")
    points.UnsetNthControlPointPosition(0)
    assert [point.name for point in points_of(points)] == ["L2"]
    assert centroids_of([]) == (Centroids(), frozenset())


def test_a_description_that_a_person_wrote_is_no_confidence(points):
    points.AddControlPoint(vtk.vtkVector3d(0, 0, 0), "L1")
    points.SetNthControlPointDescription(0, "fractured, see report")
    assert points_of(points)[0].confidence == 1


# Segments

GRID = Grid.of(CT)


def cube(x, y, z, side=4) -> Piece:
    return Piece.of(np.ones((side, side, side)), (x, y, z))


PIECES = {Level.L2: cube(3, 3, 12), Level.L1: cube(3, 3, 8), Level.L3: cube(3, 3, 20)}
PLACES = centroids(L1=0.0, L2=-10.0, L3=-20.0)


@pytest.fixture
def volume(scene):
    return add_volume(scene, CT)


@pytest.fixture
def node(scene, volume):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "spine")
    show_segments(node, PIECES, PLACES, GRID, volume)
    return node


def names(node) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetSegment(name).GetName() for name in segmentation.GetSegmentIDs()]


def shown(node) -> dict[Level, ShownSegment]:
    return {segment.level: segment for segment in segments_of(node)}


def paint(node, level: Level, piece: Piece) -> None:
    """As Segment Editor does."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(oriented(piece, GRID), node, shown(node)[level].id, logic.MODE_MERGE_MAX)


def test_segments_come_back(node, volume):
    assert names(node) == ["L1", "L2", "L3"]
    for level, segment in shown(node).items():
        piece = piece_of(node, segment.id, GRID)
        assert piece.digest == PIECES[level].digest == segment.digest
        assert not painted(node, segment, GRID)
    assert np.allclose(grid_of(node).to_lps, GRID.to_lps) and grid_of(node).size == GRID.size
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume


def test_segments_are_where_the_volume_has_them(node, volume):
    """Slicer's own export to the volume's grid finds the voxels that were given."""
    logic, labels = slicer.vtkSlicerSegmentationsModuleLogic, vtk.vtkStringArray()
    labels.InsertNextValue(shown(node)[Level.L1].id)
    target = volume.GetScene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert logic.ExportSegmentsToLabelmapNode(node, labels, target, volume)
    array = slicer.util.arrayFromVolume(target)
    expected = np.zeros(array.shape, bool)
    expected[PIECES[Level.L1].place] = True
    assert array.shape == GRID.size[::-1] and np.array_equal(array != 0, expected)


def test_segments_are_coloured_and_coded(node):
    segment = node.GetSegmentation().GetSegment(shown(node)[Level.L3].id)
    assert segment.GetColor() == pytest.approx(Level.L3.color)
    tag = vtk.reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
    assert str(tag).startswith(f"{TERMINOLOGY}~SCT^123037004^Anatomical Structure~SCT^{Level.L3.snomed}^L3 vertebra~")
    assert "51282000^Vertebra" in terminology(Level.T13)
    entry = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    assert logic.DeserializeTerminologyEntry(str(tag), entry)
    assert entry.GetTypeObject().GetCodeValue() == Level.L3.snomed


def times(node) -> dict[Level, int]:
    segmentation = node.GetSegmentation()
    return {
        level: segmentation.GetSegment(segment.id).GetRepresentation("Binary labelmap").GetMTime()
        for level, segment in shown(node).items()
    }


def test_only_what_changed_is_written(node, volume):
    before, segments = times(node), shown(node)
    pieces = {**PIECES, Level.L2: cube(4, 3, 12)}
    show_segments(node, pieces, PLACES.moved(Level.L2, (5, 5, 5)), GRID, volume)
    after = times(node)
    assert [after[level] == before[level] for level in (Level.L1, Level.L2, Level.L3)] == [True, False, True]
    assert shown(node)[Level.L2].id == segments[Level.L2].id
    assert piece_of(node, segments[Level.L2].id, GRID).digest == pieces[Level.L2].digest


def test_a_rename_writes_no_voxel(node, volume):
    before, segments = times(node), shown(node)
    renamed = {Level.T12: PIECES[Level.L1], Level.L1: PIECES[Level.L2], Level.L4: PIECES[Level.L3]}
    show_segments(node, renamed, centroids(T12=0.0, L1=-10.0, L4=-20.0), GRID, volume)
    assert names(node) == ["T12", "L1", "L4"]
    assert times(node) == {Level.T12: before[Level.L1], Level.L1: before[Level.L2], Level.L4: before[Level.L3]}
    assert shown(node)[Level.L1].id == segments[Level.L2].id


def test_what_is_gone_is_removed_and_others_segments_stay(node, volume):
    node.GetSegmentation().AddEmptySegment("tumour", "tumour")
    part = {Level.L2: PIECES[Level.L2]}
    show_segments(node, part, PLACES.only(part), GRID, volume, complete=False)
    assert names(node) == ["L1", "L2", "L3", "tumour"]
    show_segments(node, part, PLACES.only(part), GRID, volume)
    assert names(node) == ["L2", "tumour"]
    show_segments(node, PIECES, PLACES, GRID, volume)
    assert names(node) == ["L1", "L2", "L3", "tumour"]


def test_what_a_person_painted_is_not_overwritten(node, volume):
    paint(node, Level.L2, cube(8, 8, 12))
    assert painted(node, shown(node)[Level.L2], GRID) and not shown(node)[Level.L2].kept
    assert not painted(node, shown(node)[Level.L1], GRID)
    mine = piece_of(node, shown(node)[Level.L2].id, GRID).digest
    pieces = {**PIECES, Level.L2: cube(4, 3, 12), Level.L1: cube(4, 3, 8)}
    show_segments(node, pieces, PLACES, GRID, volume)
    assert shown(node)[Level.L2].kept and not shown(node)[Level.L1].kept
    assert piece_of(node, shown(node)[Level.L2].id, GRID).digest == mine
    assert piece_of(node, shown(node)[Level.L1].id, GRID).digest == pieces[Level.L1].digest
    # It stays when its vertebra is renamed, and even when that is gone.
    show_segments(node, {Level.L4: pieces[Level.L2]}, centroids(L4=-10.0), GRID, volume)
    assert names(node) == ["L4"] and shown(node)[Level.L4].kept
    show_segments(node, {}, Centroids(), GRID, volume)
    assert names(node) == ["L4"]
    restore_segment(node, shown(node)[Level.L4], PIECES[Level.L2], GRID)
    assert piece_of(node, shown(node)[Level.L4].id, GRID).digest == PIECES[Level.L2].digest
    assert not shown(node)[Level.L4].kept and not painted(node, shown(node)[Level.L4], GRID)


def test_painting_and_erasing_again_is_no_edit(node):
    paint(node, Level.L2, PIECES[Level.L2])
    assert not painted(node, shown(node)[Level.L2], GRID)


def test_a_vertebra_without_voxels_has_an_empty_segment(node, volume):
    empty = Piece.of(np.zeros((1, 1, 1)), (0, 0, 0))
    pieces = {**PIECES, Level.L2: empty, Level.L5: empty}
    show_segments(node, pieces, PLACES, GRID, volume)
    assert names(node) == ["L1", "L2", "L3", "L5"]
    for level in (Level.L2, Level.L5):
        assert not painted(node, shown(node)[level], GRID)
        assert piece_of(node, shown(node)[level].id, GRID).digest == empty.digest


def test_surfaces_in_3d_follow(node, volume):
    assert node.CreateClosedSurfaceRepresentation()

    def bounds(level):
        return node.GetSegmentation().GetSegment(shown(node)[level].id).GetRepresentation("Closed surface").GetBounds()

    before = {level: bounds(level) for level in PIECES}
    pieces = {**PIECES, Level.L2: cube(6, 3, 12), Level.L4: cube(3, 3, 26)}
    show_segments(node, pieces, PLACES, GRID, volume)
    assert bounds(Level.L2) != before[Level.L2] and bounds(Level.L1) == before[Level.L1]
    assert bounds(Level.L4)[0] < bounds(Level.L4)[1]


def test_a_segment_on_another_geometry_counts_as_painted(node):
    other = Grid(GRID.size, tuple(s / 2 for s in GRID.spacing), GRID.origin, GRID.direction)
    segment = shown(node)[Level.L1]
    image = oriented(cube(6, 6, 16, side=8), other)
    node.GetSegmentation().GetSegment(segment.id).AddRepresentation("Binary labelmap", image)
    assert piece_of(node, segment.id, GRID) is None and painted(node, segment, GRID)
    place = resampled_piece_of(node, segment.id, GRID).place
    assert all(2 <= side.stop - side.start <= 5 for side in place)


# Table, surfaces


def test_segments_move_with_the_volume_but_painted_ones_stay(node, volume):
    paint(node, Level.L2, cube(8, 8, 12))
    mine = node.GetSegmentation().GetSegment(shown(node)[Level.L2].id).GetRepresentation("Binary labelmap")
    before = mine.GetMTime(), mine.GetOrigin()
    moved = Grid(GRID.size, GRID.spacing, tuple(np.add(GRID.origin, (5, 5, 5.3))), GRID.direction)
    show_segments(node, PIECES, PLACES, moved, volume)
    assert grid_of(node).same_as(moved) and not grid_of(node).same_as(GRID)
    assert [segment.kept for segment in segments_of(node)] == [False, True, False]
    assert piece_of(node, shown(node)[Level.L1].id, moved).digest == PIECES[Level.L1].digest
    assert (mine.GetMTime(), mine.GetOrigin()) == before


def test_a_table_comes_back(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    rows = [["label", "volume_mm3", "completeness"], ["L1", "1234.5", "complete"], ["L2", "", "incomplete"]]
    show_table(table, rows)
    show_table(table, rows)
    assert rows_of(table) == rows
    assert isinstance(table.GetTable().GetColumn(1), vtk.vtkDoubleArray)
    assert np.isnan(vtk_to_numpy(table.GetTable().GetColumn(1))[1])


def test_the_surface_of_a_ball_is_closed_and_lies_where_it_should(tmp_path):
    z, y, x = np.indices((25, 25, 25)) - 12
    grid = Grid((100, 100, 100), (0.5, 0.5, 0.5), (10.0, 20.0, -30.0), tuple(TURNED.ravel()))
    surface = surface_of(Piece.of(x**2 + y**2 + z**2 <= 100, (5, 6, 7)), grid)
    mass = vtk.vtkMassProperties()
    mass.SetInputData(surface)
    assert mass.GetVolume() == pytest.approx(4 / 3 * np.pi * 5**3, rel=0.03)
    centre = vtk_to_numpy(surface.GetPoints().GetData()).mean(0)
    assert centre == pytest.approx((grid.to_lps @ [17, 18, 19, 1])[:3], abs=0.05)
    outwards = vtk_to_numpy(surface.GetPointData().GetNormals())
    assert np.all(np.sum(outwards * (vtk_to_numpy(surface.GetPoints().GetData()) - centre), axis=1) > 0)
    write_stl(surface, tmp_path / "ball.stl")
    assert (tmp_path / "ball.stl").read_bytes()[:80].startswith(b"3D Slicer output. SPACE=LPS")
    with pytest.raises(SpineError, match="cannot be written"):
        write_stl(surface, tmp_path / "nowhere" / "ball.stl")
    assert surface_of(Piece.of(np.zeros((1, 1, 1)), (0, 0, 0)), grid).GetNumberOfPoints() == 0
