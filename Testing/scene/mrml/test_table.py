"""Rows as a table node, and back."""

import numpy as np
import pytest

pytest.importorskip("slicer")

import vtk
from vtk.util.numpy_support import vtk_to_numpy

from SpineSegmentationLib.scene.mrml.table import rows_of, show_table


def test_a_table_comes_back(scene):
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    rows = [["label", "volume_mm3", "completeness"], ["L1", "1234.5", "complete"], ["L2", "", "incomplete"]]
    show_table(table, rows)
    show_table(table, rows)
    assert rows_of(table) == rows
    assert isinstance(table.GetTable().GetColumn(1), vtk.vtkDoubleArray)
    assert np.isnan(vtk_to_numpy(table.GetTable().GetColumn(1))[1])
