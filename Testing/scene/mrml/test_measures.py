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


def test_profiles_plot_the_columns_of_the_table(of_volume):
    assert measures.show_profiles(of_volume) == []
    columns = ["label", "height_anterior_mm", "height_middle_mm", "height_posterior_mm", "trabecular_hu"]
    show_table(of_volume.make("Table", "measurements"), [columns, ["L3", "24", "22", "25", "120"]])
    heights, density = measures.show_profiles(of_volume)
    assert heights.GetNumberOfPlotSeriesNodes() == 3 and density.GetNumberOfPlotSeriesNodes() == 1
    series = density.GetNthPlotSeriesNode(0)
    assert series.GetTableNode() is of_volume.table and series.GetYColumnName() == "trabecular_hu"
    measures.show_profiles(of_volume)
    assert heights.GetNumberOfPlotSeriesNodes() == 3
