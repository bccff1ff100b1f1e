"""Measures as plain values for JSON: frames, end-plates and curves, for other programs and for drawing."""

from __future__ import annotations

from typing import Any

import numpy as np

from .alignment import Curve
from .body import EndPlate
from .column import Measures
from .table import scan_row, vertebra_rows

SCHEMA = 1


def details(measures: Measures) -> dict[str, Any]:
    """Everything that has a place in space, LPS mm, and the tables.

    ``frame`` is 4 x 4, row by row, from a vertebra's own mm (left, posterior, up; origin in the centre of its body) to
    LPS mm.
    """
    names, *rows = vertebra_rows(measures)
    bones = {}
    for vertebra, row in zip(measures.vertebrae, rows, strict=True):
        body = vertebra.body
        bones[vertebra.level.name] = {
            "frame": None if body is None else body.frame.to_lps.tolist(),
            "upper_endplate": None if body is None else _plate(body.upper),
            "lower_endplate": None if body is None else _plate(body.lower),
            "measures": dict(zip(names, row, strict=True)),
        }
    return {
        "schema": SCHEMA,
        "coordinate_system": "LPS",
        "unit": "mm",
        "note": "Research use only, not for diagnosis. The patient lay on the table; curves are smaller than standing.",
        "columns": names,
        "vertebrae": bones,
        "sacrum": _plate(measures.sacrum),
        "curves": {
            name: curve
            for name in ("cobb", "kyphosis", "lordosis_l5", "lordosis_s1")
            if (curve := _curve(getattr(measures, name))) is not None
        },
        "scan": scan_row(measures),
        "statements": list(measures.statements),
    }


def rows_of_details(value: dict[str, Any]) -> list[list[str]]:
    """The table of vertebrae in what :func:`details` gives: the names of the columns, then a row per vertebra."""
    rows = [list(bone["measures"].values()) for bone in value["vertebrae"].values()]
    return [list(value["columns"]), *rows]


def _plate(plate: EndPlate | None) -> dict[str, list[float]] | None:
    if plate is None:
        return None
    return {name: _numbers(getattr(plate, name)) for name in ("normal", "centre", "front", "middle", "back")}


def _curve(curve: Curve) -> dict[str, Any] | None:
    if not curve.angle or curve.lines is None:
        return None
    return {
        "degrees": curve.angle.value,
        "upper": curve.upper,
        "lower": curve.lower,
        "lines": [[_numbers(point) for point in line] for line in curve.lines],
    }


def _numbers(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]
