"""The report of one scan: a page that needs nothing else, as HTML or PDF."""

from __future__ import annotations

import base64
import importlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import SpineError
from ..io.values import replacing
from ..measures import references
from ..measures.dictionary import SEPARATOR

CURVES = (
    ("largest Cobb angle", "cobb", "°", references.COBB),
    ("thoracic kyphosis", "kyphosis", "°", references.KYPHOSIS),
    ("lordosis L1-L5", "lordosis_l1_l5", "°", references.LORDOSIS_L1_L5),
    ("lordosis L1-S1", "lordosis_l1_s1", "°", references.LORDOSIS_L1_S1),
    ("mean of L1-L4", "l1_l4", " HU", ""),
)
"""What the table of the column shows: its name, the prefix of its columns, its unit, and what others published."""

COLUMNS = (
    ("", ("label",)),
    ("anterior [mm]", ("height_anterior_mm", "height_anterior_uncertainty_mm")),
    ("middle [mm]", ("height_middle_mm", "height_middle_uncertainty_mm")),
    ("posterior [mm]", ("height_posterior_mm", "height_posterior_uncertainty_mm")),
    ("loss ant. [%]", ("anterior_loss_percent", "anterior_loss_uncertainty_percent")),
    ("loss mid. [%]", ("middle_loss_percent", "middle_loss_uncertainty_percent")),
    ("loss post. [%]", ("crush_percent", "crush_uncertainty_percent")),
    ("grade", ("genant_grade",)),
    ("HU", ("trabecular_hu", "trabecular_uncertainty_hu")),
    ("disc [°]", ("disc_below_angle_deg", "disc_below_angle_uncertainty_deg")),
    ("disc [mm]", ("disc_below_middle_mm", "disc_below_middle_uncertainty_mm")),
    ("slip [mm]", ("slip_mm", "slip_uncertainty_mm")),
    ("turn [°]", ("rotation_deg",)),
    ("name", ("name_probability",)),
)
"""Headings, and the columns of the table of measures that stand under them."""

UNITS = ("_mm", "_deg", "_percent", "_hu")
"""Endings of the columns whose values are rounded."""


def html(name: str, measured: Mapping[str, Any], run: Mapping[str, Any], picture: bytes | None) -> str:
    """The page.

    Args:
        name: of the scan.
        measured: as :func:`measures.details.details`.
        run: the run file.
        picture: PNG.

    Raises:
        SpineError: Jinja2 or matplotlib are not installed.
    """
    jinja2, _ = _needed("jinja2", "report"), _needed("matplotlib", "report")
    from . import report_figures as figures

    rows = [bone["measures"] for bone in measured["vertebrae"].values()]
    said = [_said(row) for row in rows]
    counted = Counter(note for notes in said for note in notes)
    shared = [note for note, count in counted.items() if count > max(len(rows) / 2, 2)]
    numbering = run.get("numbering") or {}
    certainty = numbering.get("certainty", "")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(
        name=name,
        certainty=certainty or "unsaid",
        verdict=_verdict(certainty, measured),
        readings=[
            {"levels": " ".join(map(str, one["levels"])), "probability": f"{one['probability']:.2f}"}
            for one in numbering.get("readings", ())
        ],
        evidence=numbering.get("evidence", ()),
        warnings=run.get("warnings", ()),
        picture=base64.b64encode(picture).decode("ascii") if picture else "",
        curves=[_curve(measured["scan"], *curve) for curve in CURVES],
        statements=measured["statements"],
        by_age=references.L1_BY_AGE,
        figures=[figures.height_profile(rows), figures.density_profile(rows)] if rows else [],
        headings=[*(heading for heading, _ in COLUMNS), "notes"],
        vertebrae=[
            {
                "cells": [_cell(row, names) for _, names in COLUMNS],
                "broken": row["genant_grade"] not in ("", "0"),
                "notes": "; ".join(note for note in notes if note not in shared),
            }
            for row, notes in zip(rows, said, strict=True)
        ],
        shared=shared,
        made=_made(run),
    )


def write_pdf(path: Path, page: str) -> None:
    """A page as PDF, whole or not at all.

    Raises:
        SpineError: WeasyPrint is not installed, or the file cannot be written.
    """
    weasyprint = _needed("weasyprint", "pdf")
    with replacing(path) as temporary:
        weasyprint.HTML(string=page).write_pdf(str(temporary))


def _needed(module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise SpineError(
            f"a report needs {module}, which cannot be used ({error}); pip install 'SpineSegmentationLib[{extra}]'"
        ) from error


def _said(row: Mapping[str, str]) -> list[str]:
    """What is said about a vertebra in words."""
    return [row["deformity"]] * bool(row["deformity"]) + [
        note for column in ("density_doubts", "notes") for note in row[column].split(SEPARATOR) if note
    ]


def _verdict(certainty: str, measured: Mapping[str, Any]) -> str:
    if not measured["vertebrae"]:
        return "No vertebra was found."
    if not certainty:
        return "No verdict on the names: they were given by a person, or the labeller gives none. Check them."
    return {
        "certain": "The names are certain.",
        "doubtful": "The names are doubtful: check them. Every measure that is defined by names is as doubtful.",
    }.get(certainty, "The names cannot be known from this field of view, nor the measures that are defined by names.")


def _curve(scan: Mapping[str, str], name: str, column: str, unit: str, published: str) -> dict[str, str]:
    suffix = "hu" if unit == " HU" else "deg"
    value = _cell(scan, (f"{column}_{suffix}", f"{column}_uncertainty_{suffix}"))
    why = {part.split(": ", 1)[0].lower(): part for part in scan["scan_notes"].split("; ")}
    key = {"cobb": "cobb angle", "l1_l4": "l1-l4 density", "kyphosis": "kyphosis"}.get(column, name.lower())
    shown = {"name": name, "value": "", "sure": "", "published": published}
    if not value:
        return {**shown, "between": why.get(key, "").partition(": ")[2]}
    side = f", convex to the {scan['cobb_convex']}, apex {scan['cobb_apex']}" if column == "cobb" else ""
    between = scan.get(f"{column}_between", "") + side
    sure = scan.get(f"{column}_name_probability", "")
    return {**shown, "value": value + unit, "between": between, "sure": sure}


def _cell(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    """A value, rounded, with its uncertainty; words as they are."""
    value = row[names[0]]
    if not value or not names[0].endswith(UNITS):
        return value
    if len(names) == 1:
        return f"{float(value):.1f}"
    return f"{float(value):.1f} ± {float(row[names[1]]):.1f}" if row[names[1]] else f"{float(value):.1f}"


def _made(run: Mapping[str, Any]) -> str:
    grid, stages = run.get("input", {}), run.get("stages", {})
    versions = ", ".join(f"{name} {version}" for name, version in run.get("versions", {}).items())
    weights = ", ".join(
        f"{one['name']} ({one['sha256'][:8]})" for used in run.get("weights", {}).values() for one in used
    )
    spacing = " x ".join(f"{float(value):.2f}" for value in grid.get("spacing_mm", ()))
    parts = {
        "source": grid.get("source", ""),
        "voxels [mm]": spacing,
        "finished": run.get("finished", ""),
        "system": f"{run.get('system', '')} ({', '.join(name for name in stages.values() if isinstance(name, str))})",
        "weights": weights,
        "versions": versions,
    }
    return "; ".join(f"{name}: {value}" for name, value in parts.items() if value)
