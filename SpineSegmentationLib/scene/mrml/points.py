"""Centroids as the control points of a point list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import vtk

from ...anatomy import Level
from ...errors import SpineError
from ...io.values import CONFIDENCE
from ...session.state import State
from ...spine import Centroid, Centroids, Point
from .coordinates import NEAR, flipped, modifying

if TYPE_CHECKING:
    import slicer

UNNAMED = "?"
"""What a point is called that a person has just placed; its neighbours tell its name."""


@dataclass(frozen=True)
class NamedPoint:
    """A control point: its name, its place in LPS mm of the world, its id, and what else it tells."""

    name: str
    position: Point
    id: str
    confidence: float = 1.0
    locked: bool = False


def points_of(node: slicer.vtkMRMLMarkupsFiducialNode) -> list[NamedPoint]:
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


def show_centroids(node: slicer.vtkMRMLMarkupsFiducialNode, centroids: Centroids, locked: Iterable[Level] = ()) -> None:
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
            # One without a place is under the mouse, about to be placed.
            placed = node.GetNthControlPointPositionStatus(number) == node.PositionDefined
            if placed and node.GetNthControlPointID(number) not in taken:
                node.RemoveNthControlPoint(number)
        for centroid in wanted:
            number = node.AddControlPointWorld(vtk.vtkVector3d(*flipped(centroid.position)), centroid.level.name)
            taken[node.GetNthControlPointID(number)] = centroid
        for point in points_of(node):
            _show_point(node, point, taken[point.id], taken[point.id].level in locked)


def _show_point(node: slicer.vtkMRMLMarkupsFiducialNode, point: NamedPoint, centroid: Centroid, locked: bool) -> None:
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
