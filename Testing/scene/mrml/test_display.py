"""How a result looks in the views, as far as nodes say it."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import slicer
from scenes import add_volume
from segmented import CT

from SpineSegmentationLib.scene.mrml.coordinates import array_of
from SpineSegmentationLib.scene.mrml.display import (
    CHOSEN,
    NAME,
    bone_window,
    choose_name,
    fit_views,
    has_surfaces,
    jump,
    show_fill,
    show_only,
    show_surfaces,
)
from SpineSegmentationLib.scene.mrml.points import points_of


def test_all_names_are_readable_whatever_the_slice(result):
    display = result.centroids.GetDisplayNode()
    assert display.GetSliceProjection() and display.GetPointLabelsVisibility() and display.GetOccludedVisibility()
    assert display.GetSliceProjectionUseFiducialColor()
    assert display.GetColor() == NAME and display.GetSelectedColor() == CHOSEN
    assert display.GetTextProperty().GetShadow() and display.GetTextProperty().GetBackgroundOpacity() > 0


def test_the_chosen_name_stands_out(logic, result):
    points = result.centroids
    ids = [point.id for point in points_of(points)]
    for chosen in (ids[2], ids[0], None):
        choose_name(points, chosen)
        assert [bool(points.GetNthControlPointSelected(n)) for n in range(5)] == [one == chosen for one in ids]
    assert not logic.hasEdits(result)


def test_the_box_is_thin_and_hidden_until_asked_for(result):
    display = result.box.GetDisplayNode()
    assert not display.GetVisibility() and not display.GetFillVisibility()
    assert not display.GetPropertiesLabelVisibility() and not display.GetPointLabelsVisibility()
    assert display.GetLineThickness() <= 0.1 and display.GetInteractionHandleScale() < 3


def test_only_the_chosen_volumes_result_is_drawn(logic, result, scene):
    other = logic.process(add_volume(scene, CT, "other"), system="standin")
    result.box.SetDisplayVisibility(True)

    def drawn(one):
        return [bool(node.GetDisplayVisibility()) for node in (one.centroids, one.segmentation, one.box)]

    show_only(scene, other)
    assert drawn(result) == [False] * 3 and drawn(other) == [True, True, False]
    show_only(scene, result)
    assert drawn(result) == [True, True, False] and drawn(other) == [False] * 3
    show_only(scene, None)
    assert drawn(result) == drawn(other) == [False] * 3


def test_a_bone_window_unless_a_person_chose_one(volume):
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    assert display.GetAutoWindowLevel()
    bone_window(volume)
    assert (display.GetWindow(), display.GetLevel()) == (1250, 375)
    display.SetWindowLevel(400, 40)
    bone_window(volume)
    assert (display.GetWindow(), display.GetLevel()) == (400, 40)


@pytest.mark.parametrize("orientation", ["Axial", "Sagittal", "Coronal"])
def test_views_show_the_whole_column(scene, orientation):
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetOrientation(orientation)
    view.SetDimensions(400, 300, 1)
    points = np.array([[10.0, 20.0, 100.0], [12.0, 30.0, -60.0], [14.0, 25.0, -300.0]])
    fit_views(scene, points)
    to_xy = np.linalg.inv(array_of(view.GetXYToRAS()))
    shown = (np.c_[points, np.ones(3)] @ to_xy.T)[:, :2]
    assert np.all(shown > 0) and np.all(shown < [400, 300])
    width, height, _ = view.GetFieldOfView()
    assert width / height == pytest.approx(400 / 300)
    # Not farther away than needed: the column fills half of the view or more along its longer side.
    if orientation != "Axial":
        assert np.ptp(shown[:, 1]) > 150
    jump(scene, (1.0, 2.0, 3.0))
    assert array_of(view.GetSliceToRAS())[:3, 3] == pytest.approx([1, 2, 3])
    jump(scene, (9.0, 9.0, 9.0), group=1)
    assert array_of(view.GetSliceToRAS())[:3, 3] == pytest.approx([1, 2, 3])


def test_surfaces_and_fill(result):
    node = result.segmentation
    assert not has_surfaces(node)
    show_surfaces(node, True)
    assert has_surfaces(node)
    show_surfaces(node, False)
    assert not has_surfaces(node)
    show_fill(node, 0.3, True)
    display = node.GetDisplayNode()
    assert display.GetOpacity2DFill() == 0.3 and not display.GetVisibility2DFill() and display.GetVisibility2DOutline()
