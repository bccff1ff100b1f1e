"""The straightened column of a result: volume, label map and points in a space and in views of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ...anatomy import BONES, Level
from ...pictures.straightened import Straightening
from ...segmentation.mask import paint
from .active import active_list_kept
from .coordinates import FLIP, flipped, matrix_of, modifying
from .current import CurrentSegments
from .display import STRAIGHT_GROUP, choose_name, fit_views, show_names, slice_views
from .measures import drawn_measures
from .points import points_of
from .result import Result
from .volume import ct_of

LAYOUT_ID = 1347
"""Number of the layout among Slicer's; its own end at 511."""

VIEWS = ("SpineSagittal", "SpineCoronal")
"""Names of the slice views that show straightened space."""

_SLICE = """<item><view class="vtkMRMLSliceNode" singletontag="{name}">
<property name="orientation" action="default">{orientation}</property>
<property name="viewlabel" action="default">{label}</property>
<property name="viewcolor" action="default">{color}</property>
<property name="viewgroup" action="default">{group}</property></view></item>"""

LAYOUT = (
    '<layout type="horizontal" split="true">'
    + _SLICE.format(name=VIEWS[0], orientation="Sagittal", label="SS", color="#EDD54C", group=STRAIGHT_GROUP)
    + _SLICE.format(name=VIEWS[1], orientation="Coronal", label="SC", color="#6EB04B", group=STRAIGHT_GROUP)
    + '<item><layout type="vertical" split="true">'
    + _SLICE.format(name="Red", orientation="Axial", label="R", color="#F34A33", group=0)
    + '<item><view class="vtkMRMLViewNode" singletontag="1"><property name="viewlabel" action="default">1</property>'
    "</view></item></layout></item></layout>"
)
"""Straightened sagittal, straightened coronal, axial above 3D."""


def add_layout(layout_node: slicer.vtkMRMLLayoutNode) -> None:
    """Makes the layout known to a vtkMRMLLayoutNode, once."""
    if not layout_node.IsLayoutDescription(LAYOUT_ID):
        layout_node.AddLayoutDescription(LAYOUT_ID, LAYOUT)


class StraightSpine:
    """What of a scene shows one result's column straightened. Nothing of it is saved; it is made anew.

    Attributes:
        result: whose column is shown; None for nobody's.
        volume, labels, points: its nodes, in straightened space.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.scene = scene
        self.result: Result | None = None
        self.volume: Any = None
        self.labels: Any = None
        self.points: Any = None
        self._straightening: Straightening | None = None
        self._made: tuple = ()

    def show(self, result: Result) -> None:
        """Shows a result's column as its points and segments are now; only what changed is made anew.

        Raises:
            SpineError: fewer than two vertebrae, or as :func:`ct_of`.
        """
        named = [point for point in points_of(result.centroids) if point.name in Level.__members__]
        named.sort(key=lambda point: Level[point.name].rank)
        straightening = Straightening.of(np.array([point.position for point in named]))
        if self.result != result or any(node is None or node.GetScene() is None for node in self.nodes):
            self._make(result)
        volume = result.required_volume()
        places = (volume.GetImageData().GetMTime(), tuple(point.position for point in named))
        if self._made[:2] != places:
            _fill(self.volume, straightening.image(ct_of(volume)))
            self._straightening = straightening
        current = CurrentSegments(result)
        made = (*places, current.signature if current.shown else "")
        if self._made != made and current.shown:
            pieces, grid = current.pieces()
            _fill(self.labels, straightening.image(paint(pieces, grid.image()), order=0, outside=0))
        self._made = made
        self._show_points(result)
        self._assign()

    def hide(self) -> None:
        """Takes everything away; the views of the patient show all that is visible again."""
        for node in self.nodes:
            if node is not None and node.GetScene() is not None:
                self.scene.RemoveNode(node)
        if self.result is not None and self.result.volume is not None:
            for node in _of_patient(self.result):
                if node is not None and node.GetDisplayNode():
                    node.GetDisplayNode().RemoveAllViewNodeIDs()
        self.result = self.volume = self.labels = self.points = None
        self._made = ()

    @property
    def _line(self) -> Straightening:
        assert self._straightening is not None  # show comes first
        return self._straightening

    @property
    def nodes(self) -> tuple:
        return (self.volume, self.labels, self.points)

    def to_straight(self, ras: Sequence[float]) -> tuple[float, float, float]:
        """A place of the patient (RAS mm) in straightened space."""
        return flipped(self._line.to_straight([flipped(ras)])[0])

    def to_world(self, ras: Sequence[float]) -> tuple[float, float, float]:
        """A place of straightened space (RAS mm) in the patient."""
        return flipped(self._line.to_world([flipped(ras)])[0])

    def take_back(self) -> list[str]:
        """Moves the points of the result to where a person dragged those of straightened space; returns their names."""
        if self.result is None or self.result.volume is None or self.result.centroids is None or self.points is None:
            return []
        moved, nodes = [], (self.points, self.result.centroids)
        for number in range(self.points.GetNumberOfControlPoints()):
            name, place = self.points.GetNthControlPointLabel(number), [0.0] * 3
            index = nodes[1].GetControlPointIndexByLabel(name)
            if index < 0:
                continue
            self.points.GetNthControlPointPositionWorld(number, place)
            shown = self.to_straight(nodes[1].GetNthControlPointPositionWorld(index))
            if np.linalg.norm(np.subtract(shown, place)) > 0.01:
                nodes[1].SetNthControlPointPositionWorld(index, self.to_world(place))
                moved.append(name)
        return moved

    def choose(self, name: str | None) -> None:
        """Shows one name stronger than the others."""
        if self.points is not None:
            number = self.points.GetControlPointIndexByLabel(name) if name else -1
            choose_name(self.points, self.points.GetNthControlPointID(number) if number >= 0 else None)

    def _make(self, result: Result) -> None:
        self.hide()
        self.result = result
        volume = result.required_volume()
        for attribute, kind in (
            ("volume", "ScalarVolume"),
            ("labels", "LabelMapVolume"),
            ("points", "MarkupsFiducial"),
        ):
            node = getattr(slicer, f"vtkMRML{kind}Node")()
            node.SetName(f"{volume.GetName()} straightened")
            node.SetSaveWithScene(False)
            node.SetHideFromEditors(True)
            with active_list_kept(self.scene):
                node = self.scene.AddNode(node)
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetSaveWithScene(False)
            setattr(self, attribute, node)
        window = volume.GetDisplayNode()
        if window is not None:
            self.volume.GetDisplayNode().SetAutoWindowLevel(False)
            self.volume.GetDisplayNode().SetWindowLevel(window.GetWindow(), window.GetLevel())
        colors = self.scene.AddNode(_colors())
        self.labels.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
        show_names(self.points)

    def _show_points(self, result: Result) -> None:
        wanted = [(point.name, self.to_straight(flipped(point.position))) for point in points_of(result.centroids)]
        with modifying(self.points):
            if self.points.GetNumberOfControlPoints() != len(wanted):
                self.points.RemoveAllControlPoints()
                for name, place in wanted:
                    self.points.AddControlPointWorld(vtk.vtkVector3d(*place), name)
            for number, (name, place) in enumerate(wanted):
                if self.points.GetNthControlPointLabel(number) != name:
                    self.points.SetNthControlPointLabel(number, name)
                shown = self.points.GetNthControlPointPositionWorld(number)
                if np.linalg.norm(np.subtract(shown, place)) > 1e-6:
                    self.points.SetNthControlPointPositionWorld(number, place)

    def _assign(self) -> None:
        """Each space in its own views."""
        straight = list(slice_views(self.scene, STRAIGHT_GROUP))
        patient = list(slice_views(self.scene, 0))
        for number in range(self.scene.GetNumberOfNodesByClass("vtkMRMLViewNode")):
            patient.append(self.scene.GetNthNodeByClass(number, "vtkMRMLViewNode"))
        result = self.result
        assert result is not None
        for node in _of_patient(result):
            if node is not None and node.GetDisplayNode():
                _only_in(node.GetDisplayNode(), patient)
        _only_in(self.points.GetDisplayNode(), straight)
        names = {view.GetLayoutName() for view in straight}
        for number in range(self.scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
            layers = self.scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode")
            if layers.GetLayoutName() in names:
                layers.SetBackgroundVolumeID(self.volume.GetID())
                layers.SetForegroundVolumeID(None)
                layers.SetLabelVolumeID(self.labels.GetID())
                layers.SetLabelOpacity(0.4)

    def fit(self) -> None:
        """Shows the whole column in the straightened views."""
        places = [self.points.GetNthControlPointPositionWorld(n) for n in range(self.points.GetNumberOfControlPoints())]
        fit_views(self.scene, np.array([tuple(place) for place in places]), STRAIGHT_GROUP)


def _of_patient(result: Result) -> list:
    """What lies in the space of the patient, and would lie wrong in straightened views."""
    return [result.centroids, result.segmentation, result.box, *drawn_measures(result)]


def _only_in(display: slicer.vtkMRMLDisplayNode, views: Iterable[slicer.vtkMRMLAbstractViewNode]) -> None:
    wanted = [view.GetID() for view in views]
    if list(display.GetViewNodeIDs() or ()) != wanted:
        with modifying(display):
            display.RemoveAllViewNodeIDs()
            for view in wanted:
                display.AddViewNodeID(view)


def _colors() -> slicer.vtkMRMLColorTableNode:
    node = slicer.vtkMRMLColorTableNode()
    node.SetName("Vertebrae")
    node.SetTypeToUser()
    node.SetNumberOfColors(max(BONES.values()) + 1)
    node.SetColor(0, "background", 0, 0, 0, 0)
    for level in BONES.values():
        node.SetColor(int(level), level.name, *level.color, 1)
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)
    return node


def _fill(node: slicer.vtkMRMLVolumeNode, image: sitk.Image) -> None:
    """Gives a volume node the voxels and the place of a SimpleITK image along the axes."""
    array = sitk.GetArrayViewFromImage(image)
    data = vtk.vtkImageData()
    data.SetDimensions(image.GetSize())
    data.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    matrix = np.diag([*image.GetSpacing(), 1.0])
    matrix[:3, 3] = image.GetOrigin()
    with modifying(node):
        node.SetIJKToRASMatrix(matrix_of(FLIP @ matrix))
        node.SetAndObserveImageData(data)
