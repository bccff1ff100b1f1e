"""Measures as nodes of a real scene."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from SpineSegmentationLib.phantom.grid import rotation
from SpineSegmentationLib.results.transforms import write_transform
from SpineSegmentationLib.scene.mrml import measures
from SpineSegmentationLib.scene.mrml.coordinates import array_of
from SpineSegmentationLib.scene.mrml.result import Result
from SpineSegmentationLib.scene.mrml.table import show_table


def plate(z: float) -> dict:
    return {"front": [5.0, -30.0, z], "middle": [5.0, -15.0, z], "back": [5.0, 0.0, z]}


def details(upper: float = 12.0) -> dict:
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = rotation(10, 20, 30), (5.0, -15.0, 0.0)
    curve = {
        "degrees": 24.4,
        "upper": "T5",
        "lower": "L1",
        "lines": [[[-20, 0, 9], [20, 0, 9]], [[-20, 0, 0], [20, 0, 4]]],
    }
    bone = {"frame": frame.tolist(), "upper_endplate": plate(upper), "lower_endplate": plate(-12.0)}
    return {"vertebrae": {"L3": bone, "C1": {"frame": None}}, "curves": {"cobb": curve}}


@pytest.fixture
def of_volume(volume):
    return Result.of(volume)


def test_heights_are_lines_of_their_length_in_ras(of_volume):
    nodes = {node.GetAttribute(measures.MEASURE): node for node in measures.show_vertebra(of_volume, details(), "L3")}
    assert set(nodes) == {f"L3 {name}" for name in measures.LINES}
    line = nodes["L3 anterior"]
    assert line.GetLineLengthWorld() == pytest.approx(24) and line.GetLocked()
    assert line.GetNthControlPointPositionWorld(0) == pytest.approx((-5, 30, 12))
    assert (
        measures.show_vertebra(of_volume, details(), "C1") == [] == measures.show_vertebra(of_volume, details(), "T9")
    )
    # Shown again, they are the same nodes.
    assert set(measures.show_vertebra(of_volume, details(), "L3")) == set(nodes.values())
    assert len(measures.shown_measures(of_volume)) == 5
    measures.hide_measures(of_volume)
    assert measures.shown_measures(of_volume) == []


def test_a_curve_is_two_lines_named_by_its_angle(of_volume):
    upper, lower = measures.show_curve(of_volume, details(), "cobb")
    assert (upper.GetName(), lower.GetName()) == ("Cobb 24° T5", "Cobb 24° L1")
    assert measures.show_curve(of_volume, details(), "kyphosis") == []


def test_what_is_shown_is_renewed_or_removed(of_volume):
    measures.show_vertebra(of_volume, details(), "L3")
    measures.show_curve(of_volume, details(), "cobb")
    frame = measures.show_frame(of_volume, details(), "L3")
    later = details(upper=8.0)
    later["curves"] = {}
    measures.renew_measures(of_volume, later)
    names = {node.GetAttribute(measures.MEASURE): node for node in measures.shown_measures(of_volume)}
    assert names["L3 middle"].GetLineLengthWorld() == pytest.approx(20)
    assert names["L3 frame"] is frame and not any("cobb" in name for name in names)


def test_a_frame_carries_what_lies_under_it_as_the_file_does(of_volume, tmp_path):
    node = measures.show_frame(of_volume, details(), "L3")
    to_parent = array_of(node.GetMatrixTransformToParent())
    frame = np.array(details()["vertebrae"]["L3"]["frame"])
    # A point given in LPS of the vertebra, as Slicer has it: RAS.
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    point = np.array([3.0, -4.0, 5.0, 1.0])
    assert flip @ to_parent @ flip @ point == pytest.approx(frame @ point)
    assert measures.show_frame(of_volume, details(), "C1") is None

    path = tmp_path / "L3.tfm"
    write_transform(frame, path)
    read = of_volume.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(read)
    assert array_of(read.GetMatrixTransformToParent()) == pytest.approx(to_parent, abs=1e-6)
    assert sitk.ReadTransform(str(path)).TransformPoint((frame @ point)[:3].tolist()) == pytest.approx(point[:3])


def with_rows(**rows: dict[str, str]) -> dict:
    return {"vertebrae": {level: {"measures": row} for level, row in rows.items()}, "curves": {}}


def heights(anterior: str, middle: str, posterior: str) -> dict[str, str]:
    names = ("anterior", "middle", "posterior")
    return {f"height_{name}_mm": text for name, text in zip(names, (anterior, middle, posterior), strict=True)}


def column(table, name: str) -> list:
    array = table.GetTable().GetColumnByName(name)
    return [array.GetValue(row) for row in range(array.GetNumberOfTuples())]


def test_profiles_plot_numbers_and_leave_out_what_has_none(of_volume):
    rows = {"C1": heights("", "", ""), "L3": heights("24", "22", "25") | {"trabecular_hu": "120.5"}}
    show_table(of_volume.make("Table", "measurements"), [["label"], ["L3"]])
    measured = of_volume.table
    chart, density = measures.show_profiles(of_volume, with_rows(**rows))
    assert chart.GetNumberOfPlotSeriesNodes() == 3 and density.GetNumberOfPlotSeriesNodes() == 1
    series = density.GetNthPlotSeriesNode(0)
    assert series.GetYColumnName() == "trabecular_hu"
    assert column(series.GetTableNode(), "label") == ["L3"]
    assert column(series.GetTableNode(), "trabecular_hu") == [120.5]
    # The table of measurements is still that of the result.
    assert of_volume.table is measured
    rows["L4"] = heights("26", "25", "27")
    measures.renew_measures(of_volume, with_rows(**rows))
    table = chart.GetNthPlotSeriesNode(2).GetTableNode()
    assert column(table, "label") == ["L3", "L4"] and column(table, "height_posterior_mm") == [25.0, 27.0]
    assert chart.GetNumberOfPlotSeriesNodes() == 3
    measures.hide_measures(of_volume)
    assert of_volume.table is measured and not measures.shown_measures(of_volume)


def test_lines_are_those_of_the_chosen_vertebra(of_volume):
    both = details()
    both["vertebrae"]["L4"] = both["vertebrae"]["L3"]
    assert len(measures.show_lines(of_volume, both, "L3")) == 5
    curves = measures.show_curves(of_volume, both, True)
    frame = measures.show_frame(of_volume, both, "L3")
    lines = measures.show_lines(of_volume, both, "L4")
    assert {node.GetName().split(" ")[0] for node in lines} == {"L4"}
    assert set(measures.shown_measures(of_volume)) == {*lines, *curves, frame}
    assert measures.show_curves(of_volume, both, False) == [] == measures.show_lines(of_volume, both, None)
    assert measures.shown_measures(of_volume) == [frame]


def test_a_height_shows_its_length_and_a_curve_its_name_alone(of_volume):
    line = measures.show_vertebra(of_volume, details(), "L3")[0]
    assert line.GetName() == "L3 anterior" and "24" in line.GetPropertiesLabelText()
    curve = measures.show_curve(of_volume, details(), "cobb")[0]
    assert curve.GetName() == "Cobb 24° T5" and curve.GetPropertiesLabelText() == ""
    assert curve.GetDisplayNode().GetPropertiesLabelVisibility()


def test_lines_of_another_volume_are_not_drawn(scene, of_volume):
    from scenes import add_volume
    from segmented import CT

    from SpineSegmentationLib.scene.mrml.display import show_only

    of_volume.make("Segmentation", "spine")
    lines = measures.show_lines(of_volume, details(), "L3")
    show_only(scene, Result.of(add_volume(scene, CT, "other")))
    assert not any(line.GetDisplayVisibility() for line in lines)
    show_only(scene, of_volume)
    assert all(line.GetDisplayVisibility() for line in lines)
