"""How a result looks in the views, as far as nodes say it: names, box, segments, window, and where the views look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import slicer

from .coordinates import array_of, modifying
from .measures import drawn_measures
from .result import Result

WINDOW, LEVEL = 1250.0, 375.0
"""HU: bone, with soft tissue still told from fat."""

MARGIN = 45.0
"""mm round the centroids that the views show."""

STRAIGHT_GROUP = 1
"""View group of the slice views that show straightened space; those of the patient are in group 0."""

NAME, CHOSEN = (1.0, 1.0, 1.0), (1.0, 0.9, 0.1)
"""Colours of names in the views."""


def show_names(points: slicer.vtkMRMLMarkupsFiducialNode) -> None:
    """Makes all names of a point list readable in every slice view, wherever its plane lies, and through the bone."""
    display = points.GetDisplayNode()
    with modifying(display):
        display.SetSliceProjection(True)
        display.SetSliceProjectionUseFiducialColor(True)
        display.SetSliceProjectionOutlinedBehindSlicePlane(True)
        display.SetSliceProjectionOpacity(0.9)
        display.SetPointLabelsVisibility(True)
        display.SetOccludedVisibility(True)
        display.SetOccludedOpacity(0.5)
        display.SetColor(*NAME)
        display.SetSelectedColor(*CHOSEN)
        display.SetTextScale(4.0)
        display.SetGlyphScale(2.0)
        text = display.GetTextProperty()
        text.SetBold(True)
        # An outline: light letters are read on bone and on air.
        text.SetShadow(True)
        text.SetBackgroundColor(0.0, 0.0, 0.0)
        text.SetBackgroundOpacity(0.35)


def choose_name(points: slicer.vtkMRMLMarkupsFiducialNode, chosen: str | None) -> None:
    """Shows one point, known by its id, stronger than the others."""
    with modifying(points):
        for number in range(points.GetNumberOfControlPoints()):
            on = points.GetNthControlPointID(number) == chosen
            if bool(points.GetNthControlPointSelected(number)) != on:
                points.SetNthControlPointSelected(number, on)


def chosen_name(points: slicer.vtkMRMLMarkupsFiducialNode) -> str | None:
    """The id of the point that :func:`choose_name` was given last; None where all are shown alike."""
    on = [n for n in range(points.GetNumberOfControlPoints()) if points.GetNthControlPointSelected(n)]
    return points.GetNthControlPointID(on[0]) if len(on) == 1 else None


def thin_box(roi: slicer.vtkMRMLMarkupsROINode) -> None:
    """Makes a new spine box a frame of thin lines with small handles and no name, hidden until it is asked for."""
    display = roi.GetDisplayNode()
    with modifying(display):
        # A filled box would hide what is in it.
        display.SetFillVisibility(False)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        display.SetCurveLineSizeMode(display.UseLineThickness)
        display.SetLineThickness(0.1)
        display.SetGlyphScale(1.2)
        display.SetInteractionHandleScale(1.2)
        display.SetVisibility(False)


def show_only(scene: slicer.vtkMRMLScene, chosen: Result | None) -> None:
    """Draws the points, segments and measures of one result, and nothing of the others."""
    for result in Result.all(scene):
        mine = chosen is not None and result == chosen
        for node in (result.centroids, result.segmentation, *drawn_measures(result)):
            if node is not None and node.GetDisplayNode() and bool(node.GetDisplayVisibility()) != mine:
                node.SetDisplayVisibility(mine)
        if not mine and result.box is not None and result.box.GetDisplayVisibility():
            result.box.SetDisplayVisibility(False)


def bone_window(volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Shows bone, if nobody chose a window for the volume."""
    display = volume.GetDisplayNode()
    if display is not None and display.GetAutoWindowLevel():
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(WINDOW, LEVEL)


def fit_views(scene: slicer.vtkMRMLScene, points: np.ndarray, group: int = 0) -> None:
    """Centres the slice views on points (N, 3) in RAS mm and zooms so that they show all of them."""
    if not len(points):
        return
    low, high = points.min(0) - MARGIN, points.max(0) + MARGIN
    middle = (low + high) / 2
    for view in slice_views(scene, group):
        axes = np.abs(array_of(view.GetSliceToRAS())[:3, :2])
        width, height = np.maximum(view.GetDimensions()[:2], 1)
        extent = axes.T @ (high - low)
        per_pixel = max(extent[0] / width, extent[1] / height)
        view.SetFieldOfView(per_pixel * width, per_pixel * height, view.GetFieldOfView()[2])
        view.JumpSliceByCentering(*(float(value) for value in middle))


def jump(scene: slicer.vtkMRMLScene, ras: Sequence[float], group: int = 0) -> None:
    """Brings a place in RAS mm to the middle of the slice views of a group."""
    for view in slice_views(scene, group):
        view.JumpSliceByCentering(*(float(value) for value in ras))


def slice_views(scene: slicer.vtkMRMLScene, group: int) -> Iterator:
    """The slice view nodes of a view group."""
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        view = scene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
        if view.GetViewGroup() == group:
            yield view


def show_surfaces(segmentation: slicer.vtkMRMLSegmentationNode, on: bool) -> None:
    """Makes the surfaces of the segments and shows them in 3D, or takes them away."""
    segmentation.CreateDefaultDisplayNodes()
    if on:
        segmentation.CreateClosedSurfaceRepresentation()
    else:
        segmentation.GetSegmentation().RemoveRepresentation(
            slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
        )
    segmentation.GetDisplayNode().SetVisibility3D(on)


def has_surfaces(segmentation: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether the segments are shown in 3D."""
    name = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    display = segmentation.GetDisplayNode()
    return segmentation.GetSegmentation().ContainsRepresentation(name) and bool(display.GetVisibility3D())


def show_fill(segmentation: slicer.vtkMRMLSegmentationNode, opacity: float, outline_only: bool) -> None:
    """How the segments look in slice views: filled so strongly (0..1), or outlines alone."""
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    with modifying(display):
        display.SetOpacity2DFill(opacity)
        display.SetVisibility2DFill(not outline_only)
        display.SetVisibility2DOutline(True)
