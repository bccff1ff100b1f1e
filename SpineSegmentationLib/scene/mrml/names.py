"""The names of a point list in the views: each in the colour of its vertebra, which one list cannot have.

A point list has one colour for all its names. So each name is that of a list of its own: of one point, hidden from
editors, not saved, and locked, so that clicks reach the points themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ...anatomy import Level
from .active import active_list_kept
from .coordinates import modifying
from .display import show_names

OTHER = (1.0, 1.0, 1.0)
"""Colour of a name that is no vertebra's."""

CONTRAST = 6.0
"""Least contrast of a name to black (WCAG 2: 4.5 for small text): a window of bone is black round the column."""

USUAL, CHOSEN = 4.0, 6.0
"""Text scales: of all names, and of the chosen one."""


def text_color(name: str) -> tuple[float, float, float]:
    """The colour of a vertebra, mixed with as much white as its name needs to be read on black."""
    if name not in Level.__members__:
        return OTHER
    color = np.array(Level[name].color)
    for white in np.linspace(0, 1, 21):
        mixed = color + white * (1 - color)
        if contrast(mixed) >= CONTRAST:
            break
    red, green, blue = (float(value) for value in mixed)
    return red, green, blue


def contrast(color: np.ndarray) -> float:
    """Contrast of a colour (sRGB, 0..1) to black by WCAG 2, 1..21."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float((np.dot([0.2126, 0.7152, 0.0722], linear) + 0.05) / 0.05)


class Names:
    """Shows the names of one point list, and follows it.

    Attributes:
        points: the list; None for none.
        nodes: the lists that show a name, in the order of the points.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.scene = scene
        self.points: Any = None
        self.nodes: list[slicer.vtkMRMLMarkupsFiducialNode] = []
        self._chosen: str | None = None
        self._tags: list = []
        self._updating = False

    def show(self, points: slicer.vtkMRMLMarkupsFiducialNode | None, chosen: str | None = None) -> None:
        """Shows the names of a list from now on, wherever its points move; ``chosen`` is the id of the strongest."""
        self._chosen = chosen
        if points is not self.points:
            self.hide()
            self.points = points
            self._observe()
        self._update()

    def hide(self) -> None:
        """Takes the names away; the list shows its own again."""
        for tag in self._tags:
            self.points.RemoveObserver(tag)
        self._tags = []
        self._resize(0)
        if self._there:
            self.points.GetDisplayNode().SetPointLabelsVisibility(True)
        self.points = None

    @property
    def _there(self) -> bool:
        return self.points is not None and self.points.GetScene() is self.scene and bool(self.points.GetDisplayNode())

    def _observe(self) -> None:
        points = self.points
        if points is not None:
            events = ("PointModified", "PointAdded", "PointRemoved", "DisplayModified")
            self._tags = [points.AddObserver(getattr(points, f"{event}Event"), self._update) for event in events]

    def _update(self, *_: object) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            self._resize(self.points.GetNumberOfControlPoints() if self._there else 0)
            if self._there:
                self.points.GetDisplayNode().SetPointLabelsVisibility(False)
            for number, node in enumerate(self.nodes):
                self._show(number, node)
        finally:
            self._updating = False

    def _resize(self, count: int) -> None:
        self.nodes = [node for node in self.nodes if node.GetScene() is self.scene]
        for node in self.nodes[count:]:
            self.scene.RemoveNode(node)
        del self.nodes[count:]
        while len(self.nodes) < count:
            node = slicer.vtkMRMLMarkupsFiducialNode()
            node.SetName("Vertebra name")
            node.SetSaveWithScene(False)
            node.SetHideFromEditors(True)
            with active_list_kept(self.scene):
                node = self.scene.AddNode(node)
            node.CreateDefaultDisplayNodes()
            node.SetLocked(True)
            display = node.GetDisplayNode()
            display.SetSaveWithScene(False)
            show_names(node)
            # The points of the list itself are seen and caught.
            display.SetGlyphScale(0.1)
            display.GetTextProperty().SetBackgroundOpacity(0.6)
            self.nodes.append(node)

    def _show(self, number: int, node: slicer.vtkMRMLMarkupsFiducialNode) -> None:
        name = self.points.GetNthControlPointLabel(number)
        place = self.points.GetNthControlPointPositionWorld(number)
        with modifying(node):
            if node.GetNumberOfControlPoints() == 0:
                node.AddControlPointWorld(vtk.vtkVector3d(*place), name)
            if node.GetNthControlPointLabel(0) != name:
                node.SetNthControlPointLabel(0, name)
            if tuple(node.GetNthControlPointPositionWorld(0)) != tuple(place):
                node.SetNthControlPointPositionWorld(0, *place)
            node.SetNthControlPointVisibility(0, self.points.GetNthControlPointVisibility(number))
        display, color = node.GetDisplayNode(), text_color(name)
        source = self.points.GetDisplayNode()
        with modifying(display):
            display.SetColor(*color)
            display.SetSelectedColor(*color)
            display.SetTextScale(CHOSEN if self.points.GetNthControlPointID(number) == self._chosen else USUAL)
            display.SetVisibility(source.GetVisibility())
            views = list(source.GetViewNodeIDs() or ())
            if list(display.GetViewNodeIDs() or ()) != views:
                display.RemoveAllViewNodeIDs()
                for view in views:
                    display.AddViewNodeID(view)
