"""The straightened column in the scene: a click or a drag there is one in the patient."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
from scenes import save_and_load
from segmented import FOUND, drag

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml.display import STRAIGHT_GROUP, slice_views
from SpineSegmentationLib.scene.mrml.straight import LAYOUT_ID, VIEWS, StraightSpine, add_layout


@pytest.fixture
def views(scene):
    """The views that the layout makes in the application, with their layers."""
    for name, group in (*((name, STRAIGHT_GROUP) for name in VIEWS), ("Red", 0)):
        view = slicer.vtkMRMLSliceNode()
        view.SetLayoutName(name)
        view.SetViewGroup(group)
        scene.AddNode(view)
        layers = slicer.vtkMRMLSliceCompositeNode()
        layers.SetLayoutName(name)
        scene.AddNode(layers)
    scene.AddNewNodeByClass("vtkMRMLViewNode")


@pytest.fixture
def straight(scene, views, result):
    straight = StraightSpine(scene)
    straight.show(result)
    return straight


def nodes(scene, kind: str) -> list:
    return [scene.GetNthNodeByClass(number, kind) for number in range(scene.GetNumberOfNodesByClass(kind))]


def test_the_layout_is_one_that_slicer_reads(scene):
    node = slicer.vtkMRMLLayoutNode()
    add_layout(node)
    add_layout(node)
    root = node.ParseLayout(node.GetLayoutDescription(LAYOUT_ID))
    assert root is not None and root.GetName() == "layout" and root.GetNumberOfNestedElements() == 3
    first = root.GetNestedElement(0).GetNestedElement(0)
    assert first.GetAttribute("singletontag") == VIEWS[0] and first.GetAttribute("class") == "vtkMRMLSliceNode"


def test_points_lie_one_below_the_other_and_bone_round_them(straight, result):
    points = straight.points
    places = np.array([points.GetNthControlPointPositionWorld(n) for n in range(points.GetNumberOfControlPoints())])
    assert [points.GetNthControlPointLabel(n) for n in range(5)] == FOUND
    assert np.ptp(places[:, :2], axis=0).max() < 0.5 and np.all(np.diff(places[:, 2]) < -10)
    to_index = np.linalg.inv(slicer.util.arrayFromVTKMatrix(_matrix(straight.volume)))
    hu, codes = slicer.util.arrayFromVolume(straight.volume), slicer.util.arrayFromVolume(straight.labels)
    for place, code in zip(places, (18, 19, 20, 21, 22), strict=True):
        x, y, z = np.rint(to_index @ [*place, 1])[:3].astype(int)
        assert hu[z, y, x] > 300 and codes[z, y, x] == code
    assert hu.shape == codes.shape


def _matrix(volume):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_a_drag_in_the_straightened_view_moves_the_point_of_the_patient(straight, logic, result):
    assert straight.take_back() == []
    place = np.array(straight.points.GetNthControlPointPositionWorld(2))
    straight.points.SetNthControlPointPositionWorld(2, place + (2, 1, -3))
    before = {vertebra.level: vertebra.ras for vertebra in logic.vertebrae(result)}
    assert straight.take_back() == ["L1"] and straight.take_back() == []
    after = {vertebra.level: vertebra.ras for vertebra in logic.vertebrae(result)}
    moved = np.linalg.norm(np.subtract(after["L1"], before["L1"]))
    assert moved == pytest.approx(np.linalg.norm((2, 1, -3)), rel=0.2)
    assert straight.to_straight(after["L1"]) == pytest.approx(place + (2, 1, -3), abs=0.01)
    assert {name: place for name, place in after.items() if name != "L1"} == {
        name: place for name, place in before.items() if name != "L1"
    }
    logic.applyEdits(result)
    straight.show(result)
    assert straight.take_back() == [] and not logic.hasEdits(result)


def test_each_space_is_shown_in_its_own_views(straight, scene, result):
    own = {view.GetID() for view in slice_views(scene, STRAIGHT_GROUP)}
    assert set(straight.points.GetDisplayNode().GetViewNodeIDs()) == own
    for node in (result.centroids, result.segmentation, result.box):
        shown = set(node.GetDisplayNode().GetViewNodeIDs())
        assert shown and not shown & own
    layers = {node.GetLayoutName(): node.GetBackgroundVolumeID() for node in nodes(scene, "vtkMRMLSliceCompositeNode")}
    assert layers == {VIEWS[0]: straight.volume.GetID(), VIEWS[1]: straight.volume.GetID(), "Red": None}
    straight.hide()
    assert not result.centroids.GetDisplayNode().GetViewNodeIDs() and straight.volume is None


def test_an_edit_changes_only_what_it_must(straight, logic, result):
    voxels, labels = straight.volume.GetImageData(), straight.labels.GetImageData()
    straight.show(result)
    assert straight.volume.GetImageData() is voxels and straight.labels.GetImageData() is labels
    logic.shift(result, 1)
    straight.show(result)
    assert straight.volume.GetImageData() is voxels and straight.labels.GetImageData() is not labels
    assert straight.points.GetNthControlPointLabel(0) == "T12"
    drag(result, "L1", (0, 2, 0))
    straight.show(result)
    assert straight.volume.GetImageData() is not voxels
    straight.choose("L1")
    assert [bool(straight.points.GetNthControlPointSelected(n)) for n in range(5)] == [n == 1 for n in range(5)]


def test_nothing_of_it_is_saved(straight, scene, tmp_path):
    loaded = save_and_load(scene, tmp_path)
    names = [node.GetName() for node in nodes(loaded, "vtkMRMLNode")]
    assert "CT of a spine" in names and not [name for name in names if "straightened" in name]


def test_one_vertebra_is_told(straight, logic, result):
    logic.delete(result, FOUND[1:])
    with pytest.raises(SpineError, match="two vertebrae"):
        straight.show(result)
