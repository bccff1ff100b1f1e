"""Measures in the scene: heights, end-plates and curves as line markups, frames as transforms, profiles as plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import vtk

from .active import active_list_kept
from .coordinates import FLIP, flipped, matrix_of, modifying
from .result import MEASURE, VOLUME, Result, nodes_of_class

if TYPE_CHECKING:
    import slicer

KINDS = ("MarkupsLine", "LinearTransform", "Table", "PlotSeries", "PlotChart")

LINES = {
    "anterior": ("upper_endplate", "front", "lower_endplate", "front"),
    "middle": ("upper_endplate", "middle", "lower_endplate", "middle"),
    "posterior": ("upper_endplate", "back", "lower_endplate", "back"),
    "upper end-plate": ("upper_endplate", "front", "upper_endplate", "back"),
    "lower end-plate": ("lower_endplate", "front", "lower_endplate", "back"),
}
"""The lines of a vertebra: from which point of which end-plate to which."""

CURVES = {
    "cobb": (0.9, 0.4, 0.0),
    "kyphosis": (0.0, 0.6, 0.9),
    "lordosis_l5": (0.5, 0.2, 0.8),
    "lordosis_s1": (0.5, 0.2, 0.8),
}
"""The curves and their colours."""

HEIGHT, PLATE = (0.9, 0.1, 0.1), (0.1, 0.8, 0.8)
"""Colours of heights and end-plates."""

FADING = (10.0, 40.0)
"""mm from a slice at which lines begin to fade, and at which they are gone: they are rarely in the plane of one."""

PROFILES = {
    "height profile": (
        "height of the body (mm)",
        (("height_anterior_mm", "anterior"), ("height_middle_mm", "middle"), ("height_posterior_mm", "posterior")),
    ),
    "density profile": ("trabecular bone (HU)", (("trabecular_hu", "mean"),)),
}
"""Charts along the column: what their axis says, and the columns of the table of measures with their names."""


def show_vertebra(result: Result, details: Mapping[str, Any], level: str) -> list:
    """Heights and end-plates of a vertebra as lines that cannot be dragged; returns those that there are.

    Args:
        details: as :func:`measures.details.details`.
    """
    bone = details["vertebrae"].get(level, {})
    nodes = []
    for name, (first, a, second, b) in LINES.items():
        if bone.get(first) and bone.get(second):
            color = PLATE if "end-plate" in name else HEIGHT
            nodes.append(_line(result, f"{level} {name}", bone[first][a], bone[second][b], color))
    return nodes


def show_curve(result: Result, details: Mapping[str, Any], name: str) -> list:
    """The two end-plates of a curve, a name in ``CURVES``, as lines; nothing where it was left out."""
    curve = details["curves"].get(name)
    if curve is None:
        return []
    label = f"{name.split('_')[0].capitalize()} {curve['degrees']:.0f}°"
    nodes = []
    for side, (a, b) in zip(("upper", "lower"), curve["lines"], strict=True):
        node = _line(result, f"{name} {side}", a, b, CURVES[name])
        node.SetName(f"{label} {curve[side]}")
        nodes.append(node)
    return nodes


def show_frame(result: Result, details: Mapping[str, Any], level: str) -> slicer.vtkMRMLNode:
    """The frame of a vertebra as a linear transform from its own coordinates to the patient's; None without a body.

    What lies under the transform has its origin in the centre of the body and its axes along the vertebra's right,
    anterior and up, as Slicer's are along the patient's.
    """
    frame = details["vertebrae"].get(level, {}).get("frame")
    if frame is None:
        return None
    node = _own(result, "LinearTransform", f"{level} frame")
    node.SetMatrixTransformToParent(matrix_of(FLIP @ np.array(frame) @ FLIP))
    return node


def is_line(node: slicer.vtkMRMLNode) -> bool:
    """Whether a node of :func:`shown_measures` is a height or an end-plate."""
    return node.GetAttribute(MEASURE).partition(" ")[2] in LINES


def is_curve(node: slicer.vtkMRMLNode) -> bool:
    """Whether a node of :func:`shown_measures` is of a curve."""
    return node.GetAttribute(MEASURE).split(" ")[0] in CURVES


def drawn_measures(result: Result) -> list:
    """The lines among :func:`shown_measures`: what views draw."""
    return [node for node in _shown(result) if node.IsA("vtkMRMLMarkupsLineNode")]


def show_lines(result: Result, details: Mapping[str, Any], level: str | None) -> list:
    """Heights and end-plates of one vertebra and of no other; of none with None. Returns the lines."""
    keep = [] if level is None else show_vertebra(result, details, level)
    for node in shown_measures(result):
        if is_line(node) and node not in keep:
            result.scene.RemoveNode(node)
    return keep


def show_curves(result: Result, details: Mapping[str, Any], on: bool) -> list:
    """All curves that could be measured, or none. Returns the lines."""
    keep = [node for name in CURVES if on for node in show_curve(result, details, name)]
    for node in shown_measures(result):
        if is_curve(node) and node not in keep:
            result.scene.RemoveNode(node)
    return keep


def show_profiles(result: Result, details: Mapping[str, Any]) -> list:
    """Charts of the heights and of the density along the column; returns both.

    Vertebrae without a value are left out. The chart that a plot view shows is chosen by the view.
    """
    return [_chart(result, details, name, axis, columns) for name, (axis, columns) in PROFILES.items()]


def shown_measures(result: Result) -> list:
    """The nodes that show measures of a volume."""
    return list(_shown(result))


def hide_measures(result: Result) -> None:
    """Removes them."""
    for node in shown_measures(result):
        result.scene.RemoveNode(node)


def renew_measures(result: Result, details: Mapping[str, Any]) -> None:
    """What is shown becomes what is measured now; what was left out this time is removed."""
    shown = shown_measures(result)
    if any(node.IsA("vtkMRMLPlotChartNode") for node in shown):
        show_profiles(result, details)
    before = [node for node in shown if node.IsA("vtkMRMLMarkupsLineNode") or node.IsA("vtkMRMLTransformNode")]
    renewed: list = []
    for first in dict.fromkeys(node.GetAttribute(MEASURE).split(" ")[0] for node in before):
        renewed += show_curve(result, details, first) if first in CURVES else show_vertebra(result, details, first)
        if any(node.GetAttribute(MEASURE) == f"{first} frame" for node in before):
            renewed.append(show_frame(result, details, first))
    for node in before:
        if node not in renewed:
            result.scene.RemoveNode(node)


def _shown(result: Result) -> Iterator:
    volume = result.volume
    if volume is None:
        return
    for kind in KINDS:
        for node in list(nodes_of_class(result.scene, f"vtkMRML{kind}Node")):
            if node.GetAttribute(MEASURE) and node.GetNodeReferenceID(VOLUME) == volume.GetID():
                yield node


def _own(result: Result, kind: str, name: str) -> slicer.vtkMRMLNode:
    """The node that shows that measure, made when it is not there."""
    for node in _shown(result):
        if node.GetAttribute(MEASURE) == name and node.GetClassName() == f"vtkMRML{kind}Node":
            return node
    with active_list_kept(result.scene):
        node = result.make(kind, name)
    node.SetAttribute(MEASURE, name)
    return node


def _line(
    result: Result, name: str, a: Sequence[float], b: Sequence[float], color: tuple[float, float, float]
) -> slicer.vtkMRMLMarkupsLineNode:
    node = _own(result, "MarkupsLine", name)
    with modifying(node):
        node.RemoveAllControlPoints()
        for point in (a, b):
            node.AddControlPointWorld(*flipped(point))
        node.SetLocked(True)
        node.SetName(name)
    display = node.GetDisplayNode()
    if display is not None:
        display.SetSelectedColor(*color)
        display.SetColor(*color)
        display.SetPointLabelsVisibility(False)
        display.SetGlyphScale(1.0)
        display.SetLineColorFadingStart(FADING[0])
        display.SetLineColorFadingEnd(FADING[1])
        # What is written beside a line: a height with its length, the name of a curve.
        plate = "end-plate" in name
        display.SetPropertiesLabelVisibility(not plate)
        node.GetMeasurement("length").SetEnabled(color == HEIGHT)
    return node


def _chart(
    result: Result, details: Mapping[str, Any], name: str, axis: str, columns: Sequence[tuple[str, str]]
) -> slicer.vtkMRMLPlotChartNode:
    chart, table = _own(result, "PlotChart", name), _own(result, "Table", name)
    _fill(table, details, [column for column, _ in columns])
    chart.RemoveAllPlotSeriesNodeIDs()
    for number, (column, title) in enumerate(columns):
        series = _own(result, "PlotSeries", f"{name} {title}")
        series.SetName(title)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetYColumnName(column)
        series.SetLabelColumnName("label")
        series.SetPlotType(series.PlotTypeLine)
        series.SetMarkerStyle(series.MarkerStyleCircle)
        series.SetColor(*((0.1, 0.4, 0.8), (0.9, 0.5, 0.1), (0.2, 0.6, 0.2))[number])
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(name.capitalize())
    chart.SetXAxisTitle("vertebrae from the head down")
    chart.SetYAxisTitle(axis)
    return chart


def _fill(table: slicer.vtkMRMLTableNode, details: Mapping[str, Any], columns: Sequence[str]) -> None:
    """The levels that have a value in all the columns, and these values as numbers, which a plot needs."""
    found = [
        (level, [float(bone["measures"][column]) for column in columns])
        for level, bone in details["vertebrae"].items()
        if all(bone["measures"].get(column) for column in columns)
    ]
    with modifying(table):
        table.RemoveAllColumns()
        table.SetLocked(True)
        labels = vtk.vtkStringArray()
        labels.SetName("label")
        for level, _ in found:
            labels.InsertNextValue(level)
        table.AddColumn(labels)
        for number, column in enumerate(columns):
            values = vtk.vtkDoubleArray()
            values.SetName(column)
            for _, row in found:
                values.InsertNextValue(row[number])
            table.AddColumn(values)
