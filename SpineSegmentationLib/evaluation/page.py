"""The report of an evaluation as one HTML page that needs nothing else; how it looks is said in ``report.html``."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from .. import __version__
from . import figures
from .evaluation import Evaluation
from .metrics import mean
from .pictures import MISNAMED, MISSED, SURPLUS
from .results import MEASURES, ScanResult
from .tables import Cell, Table, in_unit, methods_of

MARKS = (
    (MISSED, "truth that was not predicted"),
    (SURPLUS, "prediction where no vertebra is annotated"),
    (MISNAMED, "another name than in the truth"),
)

LONG = ("scans", "vertebrae")
"""The tables that stand at the end."""

TALL = 24
"""Rows from which a table scrolls in a window of its own."""


def html(evaluation: Evaluation) -> str:
    """The report as one HTML page without any outside reference."""
    charts = _charts(evaluation)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("report.html").render(
        version=__version__,
        challenge=evaluation.challenge,
        methods=methods_of(evaluation.results),
        count=len({(result.dataset, result.scan) for result in evaluation.results}),
        messages=evaluation.messages,
        tables=[_table(table, charts.get(table.key, {})) for table in evaluation.tables if table.key not in LONG],
        long_tables=[_table(evaluation.table(key)) for key in LONG],
        marks=[([round(255 * part) for part in color], text) for color, text in MARKS],
        scans=_scans(evaluation),
    )


def scan_order(results: Sequence[ScanResult]) -> list[tuple[tuple[str, str], str]]:
    """The scans as (data set, name) with a remark: best, median and worst first, then the others from the worst up.

    Scans are ordered by the mean over the methods of Dice, or of id.rate where there is no mask (VerSe, section 4.1,
    Fig. 5).
    """
    scores: dict[tuple[str, str], list[float]] = {}
    for result in results:
        key = "dice" if result.takes_part("segmentation") else "id_rate"
        scores.setdefault((result.dataset, result.scan), []).append(result.value(key))
    ordered = sorted(scores, key=lambda scan: mean(scores[scan]))
    first = dict(zip((len(ordered) - 1, (len(ordered) - 1) // 2, 0), ("best", "median", "worst"), strict=True))
    shown = [(ordered[place], remark) for place, remark in first.items()]
    return shown + [(scan, "") for place, scan in enumerate(ordered) if place not in first]


def _data(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _shown(column: str, cell: Cell) -> str:
    value = in_unit(column, cell)
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return f"{value:.1f}" if column.endswith("[%]") else f"{value:.2f}" if "[mm]" in column else f"{value:.3f}"
    return str(value)


def _best_rows(table: Table, column: int) -> set[int]:
    """The rows with the best value of a measure's column, where several methods stand under each other."""
    name = table.columns[column]
    measure = next((m for m in MEASURES.values() if name.startswith(m.title) and name.endswith(f"[{m.unit}]")), None)
    if measure is None or "of pair" in name or len({row[0] for row in table.rows}) < len(table.rows):
        return set()
    values = [row[column] for row in table.rows]
    defined = [v for v in values if isinstance(v, float) and not math.isnan(v)]
    if len(defined) < 2 or len(set(defined)) == 1:
        return set()
    best = max(defined) if measure.higher_is_better else min(defined)
    return {number for number, value in enumerate(values) if value == best}


def _table(table: Table, charts: dict[str, Figure] | None = None) -> dict[str, Any]:
    """A table as the page shows it; every cell with its kind: ``"text"``, ``"best"`` or ``""``."""
    columns = range(len(table.columns))
    is_text = [all(isinstance(row[c], str) for row in table.rows) for c in columns]
    best = [_best_rows(table, c) for c in columns]
    return {
        "key": table.key,
        "title": table.title,
        "about": table.about,
        "charts": {name: _data(figures.svg(figure)) for name, figure in (charts or {}).items()},
        "tall": table.key in LONG or len(table.rows) > TALL,
        "head": [(table.columns[c], "text" if is_text[c] else "") for c in columns],
        "rows": [
            [
                (_shown(table.columns[c], row[c]), "text" if is_text[c] else "best" if number in best[c] else "")
                for c in columns
            ]
            for number, row in enumerate(table.rows)
        ],
    }


def _charts(evaluation: Evaluation) -> dict[str, dict[str, Figure]]:
    """The charts of each section, with what they show, by the key of its table."""
    results, table = evaluation.results, evaluation.table
    charts = {
        "overall": {"Box plots of all measures": figures.box_plots(results, evaluation.challenge)},
        "per_region": {"Measures per region": figures.group_bars(table("per_region"), results)},
        "per_vertebra": {"Measures per vertebra": figures.vertebra_lines(table("per_vertebra"), results)},
        "success": {"Scans that reach a threshold": figures.success_curves(results)},
        "per_field_of_view": {"Measures per field of view": figures.group_bars(table("per_field_of_view"), results)},
        "per_anatomy": {"Normal and rare anatomy": figures.group_bars(table("per_anatomy"), results)},
        "label_shift": {"Before and after the shift": figures.shift_bars(table("label_shift"))},
    }
    if evaluation.ranking:
        charts["ranking"] = {"Matrices of p-values": figures.p_value_matrices(evaluation.ranking.comparisons)}
    return charts


def _scans(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The scans with their pictures, in the order of :func:`scan_order`."""
    by_scan: dict[tuple[str, str], list[ScanResult]] = {}
    for result in evaluation.results:
        by_scan.setdefault((result.dataset, result.scan), []).append(result)
    return [
        {
            "title": f"{remark.capitalize()}: {scan}" if remark else scan,
            "name": scan,
            "dataset": dataset,
            "results": [
                _picture(result, evaluation.pictures.get((result.method, dataset, scan), b""), evaluation.challenge)
                for result in by_scan[dataset, scan]
            ],
        }
        for (dataset, scan), remark in scan_order(evaluation.results)
    ]


def _picture(result: ScanResult, picture: bytes, challenge: bool) -> dict[str, Any]:
    scores = []
    for key, measure in MEASURES.items():
        value = result.value(key, challenge)
        if result.takes_part(measure.task):
            unit = "" if math.isnan(value) else f" {measure.unit}"
            scores.append(f"{measure.title} {_shown(f'[{measure.unit}]', value)}{unit}")
    labelling = result.labelling
    return {
        "method": result.method,
        "picture": _data(picture),
        "scores": scores,
        "off_by": f"{-labelling.best_shift:+d}" if labelling and labelling.best_shift else "",
        "shifted": f"{100 * labelling.id_rate_shifted:.1f}" if labelling else "",
        "failures": result.failures,
    }
