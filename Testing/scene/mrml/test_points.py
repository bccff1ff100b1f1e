"""Centroids as a point list, and back."""

import pytest

pytest.importorskip("slicer")

import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import add_transform, new_scene
from turned import centroids, rigid

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.mrml.points import centroids_of, points_of, show_centroids
from SpineSegmentationLib.spine import Centroid, Centroids


@pytest.fixture
def points(scene):
    return scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")


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
