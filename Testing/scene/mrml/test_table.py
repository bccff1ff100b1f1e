"""Measurements as a table node, as a person reads it."""

import pytest

pytest.importorskip("slicer")

import vtk
from scenes import save_and_load

from SpineSegmentationLib.scene.mrml.table import rows_of, show_table

ROWS = [
    ["label", "volume_mm3", "height_mm", "trabecular_hu", "completeness"],
    ["C2", "1234.5", "", "180.25", "complete"],
    ["L2", "20000.0", "25.5", "91.0", "incomplete"],
]


def test_a_table_comes_back(scene, tmp_path):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "measured")
    show_table(table, ROWS)
    show_table(table, ROWS)
    assert rows_of(table) == ROWS
    (loaded,) = save_and_load(scene, tmp_path).GetNodesByName("measured")
    assert rows_of(loaded) == ROWS and loaded.GetUseColumnTitleAsColumnHeader()
    assert loaded.GetColumnTitle("volume_mm3") == "Volume (cm³)"
    assert rows_of(scene.AddNewNodeByClass("vtkMRMLTableNode", "another")) == [[]]


def test_headings_and_units_are_those_of_the_panel(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    show_table(table, ROWS)
    assert table.GetUseColumnTitleAsColumnHeader() and not table.GetUseFirstColumnAsRowHeader()
    columns = [table.GetTable().GetColumn(number) for number in range(5)]
    assert [table.GetColumnTitle(column.GetName()) for column in columns] == [
        "Level",
        "Volume (cm³)",
        "Height (mm)",
        "Trabecular (HU)",
        "Completeness",
    ]
    assert isinstance(columns[1], vtk.vtkDoubleArray) and columns[1].GetValue(0) == 1.2345
    # What is not defined is empty, not "nan".
    assert [columns[2].GetValue(row) for row in range(2)] == ["", "25.5"]
    assert table.GetNumberOfRows() == 2
