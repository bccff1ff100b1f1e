"""Names in the views: each in the colour of its vertebra, whatever the slice."""

import numpy as np
import pytest
from scenes import save_and_load

from SpineSegmentationLib.anatomy import COLUMN
from SpineSegmentationLib.scene.mrml.names import CHOSEN, CONTRAST, USUAL, Names, contrast, text_color


@pytest.fixture
def names(scene, result):
    names = Names(scene)
    names.show(result.centroids)
    return names


def shown(names) -> list[tuple[str, tuple]]:
    return [(node.GetNthControlPointLabel(0), tuple(node.GetNthControlPointPositionWorld(0))) for node in names.nodes]


def wanted(points) -> list[tuple[str, tuple]]:
    count = points.GetNumberOfControlPoints()
    return [(points.GetNthControlPointLabel(n), tuple(points.GetNthControlPointPositionWorld(n))) for n in range(count)]


def test_contrast_is_that_of_wcag():
    assert contrast(np.ones(3)) == pytest.approx(21) and contrast(np.zeros(3)) == pytest.approx(1)
    # Pure red has 21.26 % of white's luminance.
    assert contrast(np.array([1.0, 0, 0])) == pytest.approx((0.2126 + 0.05) / 0.05)


def test_every_name_is_read_on_black_and_looks_like_its_vertebra():
    for level in COLUMN:
        color = np.array(text_color(level.name))
        assert contrast(color) >= CONTRAST
        # Nothing but white was added.
        assert np.all(color >= np.array(level.color) - 1e-9)
    assert len({text_color(level.name) for level in COLUMN[:7]}) == 7


def test_names_have_colours_and_are_projected_on_every_slice(names, result):
    assert shown(names) == wanted(result.centroids)
    for node in names.nodes:
        display, name = node.GetDisplayNode(), node.GetNthControlPointLabel(0)
        assert display.GetSliceProjection() and display.GetPointLabelsVisibility()
        assert display.GetColor() == display.GetSelectedColor() == pytest.approx(text_color(name))
        assert display.GetTextProperty().GetShadow()
        assert node.GetLocked() and node.GetHideFromEditors()
    assert not result.centroids.GetDisplayNode().GetPointLabelsVisibility()


def test_names_follow_a_drag_a_rename_a_deletion_and_a_new_point(names, result):
    points = result.centroids
    points.SetNthControlPointPositionWorld(1, 3.0, 4.0, 5.0)
    points.SetNthControlPointLabel(2, "T4")
    assert shown(names) == wanted(points) and names.nodes[2].GetDisplayNode().GetColor() == text_color("T4")
    points.RemoveNthControlPoint(0)
    assert shown(names) == wanted(points) and len(names.nodes) == 4
    points.AddControlPointWorld(1.0, 2.0, 3.0)
    assert shown(names) == wanted(points) and len(names.nodes) == 5


def test_the_chosen_name_is_larger(names, result):
    names.show(result.centroids, result.centroids.GetNthControlPointID(3))
    scales = [node.GetDisplayNode().GetTextScale() for node in names.nodes]
    assert scales == [USUAL, USUAL, USUAL, CHOSEN, USUAL]


def test_names_are_seen_where_their_list_is(names, result):
    view = result.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    result.centroids.GetDisplayNode().AddViewNodeID(view.GetID())
    assert all(list(node.GetDisplayNode().GetViewNodeIDs()) == [view.GetID()] for node in names.nodes)
    result.centroids.SetDisplayVisibility(False)
    assert not any(node.GetDisplayVisibility() for node in names.nodes)


def test_names_are_not_saved(names, result, tmp_path):
    loaded = save_and_load(result.scene, tmp_path)
    assert loaded.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 1


def test_placed_points_go_where_they_went(scene, result):
    """Slicer makes every new list the active one."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    assert selection.GetActivePlaceNodeID() == other.GetID()
    Names(scene).show(result.centroids)
    assert selection.GetActivePlaceNodeID() == other.GetID()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsLineNode"


def test_without_its_list_there_are_no_names(names, result):
    scene, points = result.scene, result.centroids
    names.hide()
    assert points.GetDisplayNode().GetPointLabelsVisibility() and not names.nodes
    names.show(points)
    scene.RemoveNode(points)
    names.show(None)
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
