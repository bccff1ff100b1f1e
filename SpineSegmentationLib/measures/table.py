"""Measures as tables of text: a row per vertebra, a row per scan, and the data dictionary of both."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from .column import Measures
from .dictionary import SCAN_COLUMNS, VERTEBRA_COLUMNS, Value


def vertebra_rows(measures: Measures) -> list[list[str]]:
    """The names of the columns, then a row per vertebra from the head down; "" where nothing is defined."""
    rows = [[column.name for column in VERTEBRA_COLUMNS]]
    for vertebra in measures.vertebrae:
        rows.append([text(column.fill(measures, vertebra)) for column in VERTEBRA_COLUMNS])
    return rows


def scan_row(measures: Measures) -> dict[str, str]:
    """The row of a scan by the names of the columns; "" where nothing is defined."""
    return {column.name: text(column.fill(measures)) for column in SCAN_COLUMNS}


def dictionary_rows() -> list[list[str]]:
    """The data dictionary: table, column, unit and meaning of every column, the first row names these four."""
    rows = [["table", "column", "unit", "meaning"]]
    for table, columns in (("vertebrae", VERTEBRA_COLUMNS), ("scans", SCAN_COLUMNS)):
        rows += [[table, column.name, column.unit, column.meaning] for column in columns]
    return rows


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV text."""
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def text(value: Value) -> str:
    """A value as it stands in a table: whole numbers as they are, others with three decimals at most; "" for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
