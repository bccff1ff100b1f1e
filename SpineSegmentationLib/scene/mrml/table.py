"""Measurements as a table node: headings and units for people, and the rows as they were given."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import vtk

from .coordinates import modifying

if TYPE_CHECKING:
    import slicer

ROWS = "SpineSegmentation.rows"
"""Attribute of a table: the rows it was made from."""

UNITS = {"mm3": ("cm³", 1e-3), "mm2": ("cm²", 1e-2), "mm": ("mm", 1.0), "hu": ("HU", 1.0), "deg": ("°", 1.0)}
"""How a column's unit, the end of its name, is shown, and what its numbers are multiplied by."""


def show_table(node: slicer.vtkMRMLTableNode, rows: Sequence[Sequence[str]]) -> None:
    """Makes the table those rows, the first of which names the columns (``volume_mm3``).

    Columns of numbers hold numbers; one in which some are not defined holds text, so that those cells are empty.
    """
    with modifying(node):
        node.RemoveAllColumns()
        node.SetUseColumnTitleAsColumnHeader(True)
        node.SetLocked(True)
        for name, *cells in zip(*rows, strict=True):
            title, factor = heading(name)
            values = [_number(cell, factor) for cell in cells]
            numbers = all(isinstance(value, float) for value in values)
            column = vtk.vtkDoubleArray() if numbers else vtk.vtkStringArray()
            column.SetName(name)
            for value in values:
                column.InsertNextValue(value if numbers or isinstance(value, str) else f"{value:g}")
            node.AddColumn(column)
            node.SetColumnTitle(name, title)
        node.SetAttribute(ROWS, json.dumps([list(row) for row in rows]))


def rows_of(node: slicer.vtkMRMLTableNode) -> list[list[str]]:
    """The rows that :func:`show_table` was given; none for a table that it did not make."""
    return json.loads(node.GetAttribute(ROWS) or "[[]]")


def heading(name: str) -> tuple[str, float]:
    """What a person reads above a column, and the factor to the unit shown there.

    >>> heading("volume_mm3"), heading("trabecular_hu"), heading("label")
    (('Volume (cm³)', 0.001), ('Trabecular (HU)', 1.0), ('Level', 1.0))
    """
    words = {"label": ["level"]}.get(name, name.split("_"))
    unit, factor = UNITS.get(words[-1], ("", 1.0))
    if unit:
        words = words[:-1]
    text = " ".join(words)
    return text[:1].upper() + text[1:] + (f" ({unit})" if unit else ""), factor


def _number(cell: str, factor: float) -> float | str:
    # Not every word that Python takes for a number is one: "nan" is a cell without a value.
    return float(f"{float(cell) * factor:.6g}") if re.fullmatch(r"-?\d+(\.\d*)?(e[-+]?\d+)?", cell) else cell
