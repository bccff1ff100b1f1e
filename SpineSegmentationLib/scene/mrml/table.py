"""Measurements as a table node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vtk

from .coordinates import modifying


def show_table(node, rows: Sequence[Sequence[str]]) -> None:
    """Makes the table those rows, the first of which names the columns. Columns of numbers hold numbers (NaN: none)."""
    with modifying(node):
        node.RemoveAllColumns()
        for name, *cells in zip(*rows, strict=True):
            try:
                numbers = [float(cell) if cell else float("nan") for cell in cells]
            except ValueError:
                column = vtk.vtkStringArray()
                values: Sequence = cells
            else:
                column = vtk.vtkDoubleArray()
                values = numbers
            column.SetName(name)
            for value in values:
                column.InsertNextValue(value)
            node.AddColumn(column)


def rows_of(node) -> list[list[str]]:
    """The rows of a table made by :func:`show_table`; numbers as short as they can be, "" for NaN."""
    table = node.GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]

    def text(column, row: int) -> str:
        value = column.GetValue(row)
        return value if isinstance(value, str) else "" if np.isnan(value) else f"{value:g}"

    rows = [[text(column, row) for column in columns] for row in range(table.GetNumberOfRows())]
    return [[column.GetName() for column in columns], *rows]
