"""Masks as segments, and back: only what changed is written, and what a person painted is kept."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
import vtk
from scenes import add_volume
from turned import CT, centroids

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.grid import Grid
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
from SpineSegmentationLib.segmentation.mask import Piece
from SpineSegmentationLib.spine import Centroids

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
    return [segmentation.GetSegment(name).GetName().removesuffix(" vertebra") for name in segmentation.GetSegmentIDs()]


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


def test_segments_are_called_as_other_programs_call_them(node, volume):
    segment = node.GetSegmentation().GetSegment(shown(node)[Level.L2].id)
    tag = vtk.reference("")
    assert segment.GetName() == "L2 vertebra" and segment.GetTag("ShortName", tag) and str(tag) == "L2"
    # As the first version left it in scenes.
    segment.SetName("L2")
    segment.RemoveTag("ShortName")
    show_segments(node, PIECES, PLACES, GRID, volume)
    assert segment.GetName() == "L2 vertebra" and segment.GetTag("ShortName", tag)
    # A name that a person gave stays.
    segment.SetName("fractured")
    show_segments(node, PIECES, PLACES, GRID, volume)
    assert segment.GetName() == "fractured"
