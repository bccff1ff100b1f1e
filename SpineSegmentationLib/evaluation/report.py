"""The report of an evaluation: one HTML file that needs nothing else, and everything as CSV and JSON."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .. import __version__
from ..errors import SpineError
from ..io.values import write_json, write_text
from . import figures
from .metrics import mean
from .pictures import MISNAMED, MISSED, SURPLUS
from .ranking import Ranking
from .results import MEASURES, ScanResult
from .tables import Cell, Table, methods_of


@dataclass(frozen=True)
class Evaluation:
    """All that an evaluation found.

    Attributes:
        results: one per method and scan.
        tables: for people; see :mod:`.tables`.
        ranking: None with fewer than two methods.
        pictures: JPEG for (method, data set, scan).
        messages: what went wrong or is worth knowing, one line each.
        challenge: whether missing vertebrae count 1000 mm and 100 mm.
    """

    results: tuple[ScanResult, ...]
    tables: tuple[Table, ...]
    ranking: Ranking | None
    pictures: dict[tuple[str, str, str], bytes]
    messages: tuple[str, ...]
    challenge: bool

    def table(self, key: str) -> Table:
        """Raises KeyError."""
        for table in self.tables:
            if table.key == key:
                return table
        raise KeyError(key)

    @property
    def failed(self) -> tuple[ScanResult, ...]:
        """The results whose prediction was missing or could not be used."""
        return tuple(result for result in self.results if result.failures)


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


# Files --------------------------------------------------------------------------------------------------------------


def write_report(evaluation: Evaluation, report: Path) -> list[Path]:
    """Write the HTML file, a JSON file and a CSV file per table.

    Args:
        report: a folder, which gets ``report.html``, ``report.json`` and ``report_<table>.csv``; or the name of the
            HTML file, beside which the others go with the same beginning.

    Returns:
        the files, the HTML file first.

    Raises:
        SpineError: the folder cannot be made or written to.
    """
    report = Path(report)
    folder, stem = (report.parent, report.stem) if report.suffix.lower() == ".html" else (report, "report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpineError(f"{folder} cannot be made: {error.strerror}; choose another place for the report") from error
    files = [folder / f"{stem}.html", folder / f"{stem}.json"]
    write_text(files[0], html(evaluation))
    write_json(files[1], as_json(evaluation))
    for table in evaluation.tables:
        files.append(folder / f"{stem}_{table.key}.csv")
        write_text(files[-1], as_csv(table))
    return files


def _in_unit(column: str, value: Cell) -> Cell:
    return 100 * value if column.endswith("[%]") and isinstance(value, float) else value


def as_csv(table: Table) -> str:
    """The table with full precision; per cent as the headings say, empty where nothing is defined."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        cells = [_in_unit(column, cell) for column, cell in zip(table.columns, row, strict=True)]
        writer.writerow("" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells)
    return buffer.getvalue()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _scan_json(result: ScanResult, challenge: bool) -> dict[str, Any]:
    values = {key: result.per_level(key, challenge) for key in (*MEASURES, "mixing")}
    labelling, segmentation = result.labelling, result.segmentation
    return {
        "method": result.method,
        "dataset": result.dataset,
        "scan": result.scan,
        **{key: _number(result.value(key, challenge)) for key in values},
        "best_shift": labelling.best_shift if labelling else None,
        "id_rate_shifted": labelling.id_rate_shifted if labelling else None,
        "d_mean_shifted": _number(labelling.d_mean_shifted) if labelling else None,
        "dice_best_shift": segmentation.best_shift if segmentation else None,
        "dice_shifted": segmentation.dice_shifted if segmentation else None,
        "missing": [level.name for level in result.missing],
        "extra": [level.name for level in result.extra],
        "names": {
            level.name: {"right": right, "confidence": labelling.confidence[level]}
            for level, right in labelling.right.items()
        }
        if labelling
        else {},
        "failures": list(result.failures),
        "notes": list(result.notes),
        "vertebrae": {
            level.name: {key: _number(of_level[level]) for key, of_level in values.items() if level in of_level}
            | ({"predicted_as": result.identified_as[level].name} if level in result.identified_as else {})
            for level in result.annotated
        },
    }


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything, parts as 0..1, distances in mm, null where nothing is defined."""
    ranking = evaluation.ranking
    return {
        "version": __version__,
        "challenge": evaluation.challenge,
        "messages": list(evaluation.messages),
        "scans": [_scan_json(result, evaluation.challenge) for result in evaluation.results],
        "tables": {
            table.key: [
                {
                    column.removesuffix(" [%]").removesuffix(" [mm]"): _number(cell)
                    if isinstance(cell, float)
                    else cell
                    for column, cell in zip(table.columns, row, strict=True)
                }
                for row in table.rows
            ]
            for table in evaluation.tables
            if table.key not in ("scans", "vertebrae")
        },
        "ranking": ranking
        and {
            "scores": ranking.scores,
            "counted": list(ranking.counted),
            "comparisons": [
                {
                    "dataset": comparison.dataset,
                    "measure": comparison.measure,
                    "methods": list(comparison.methods),
                    "p_values": [[_number(p) for p in row] for row in comparison.p_values],
                    "points": comparison.points,
                }
                for comparison in ranking.comparisons
            ],
        },
    }


# HTML ---------------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light; --ink: #1c2430; --faint: #667; --line: #d8dde4; --band: #f4f6f9; --mark: #b3261e; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 1280px; margin: 0 auto; padding: 0 24px; }
h1 { margin: 28px 0 4px; } h2 { margin: 44px 0 6px; } h3 { margin: 24px 0 6px; }
nav { position: sticky; top: 0; background: #fffe; padding: 8px 0; border-bottom: 1px solid var(--line); }
nav { display: flex; flex-wrap: wrap; gap: 2px 14px; } nav a { color: #1a56a8; text-decoration: none; }
p.about { color: var(--faint); max-width: 90ch; margin: 4px 0 10px; }
.wide { overflow-x: auto; } .tall { max-height: 480px; overflow: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { background: var(--band); position: sticky; top: 0; } td.text, th.text { text-align: left; }
td.best { font-weight: 700; } tr:hover td { background: var(--band); }
img.chart { max-width: 100%; margin: 12px 0; }
figure { margin: 0 0 16px; display: inline-block; vertical-align: top; max-width: 100%; }
figure img { max-width: 100%; } figcaption { font-size: 13px; } .bad { color: var(--mark); }
ul.messages { font-size: 13px; max-height: 300px; overflow: auto; }
.key { display: inline-block; width: 12px; height: 12px; margin: 0 4px 0 14px; }
summary { cursor: pointer; }
"""


def _shown_cell(column: str, cell: Cell) -> str:
    value = _in_unit(column, cell)
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


def _table_html(table: Table, css: str = "wide") -> str:
    is_text = [all(isinstance(row[c], str) for row in table.rows) for c in range(len(table.columns))]
    best = [_best_rows(table, c) for c in range(len(table.columns))]
    head = "".join(
        f"<th{' class=text' if text else ''}>{escape(column)}</th>"
        for column, text in zip(table.columns, is_text, strict=True)
    )
    rows = []
    for number, row in enumerate(table.rows):
        cells = []
        for c, (column, cell) in enumerate(zip(table.columns, row, strict=True)):
            kind = " class=text" if is_text[c] else " class=best" if number in best[c] else ""
            cells.append(f"<td{kind}>{escape(_shown_cell(column, cell))}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="{css}"><table id="table-{table.key}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _chart_html(figure: Figure, name: str) -> str:
    data = base64.b64encode(figures.svg(figure)).decode()
    return f'<img class=chart alt="{escape(name)}" src="data:image/svg+xml;base64,{data}">'


def _section(table: Table, charts: Sequence[str] = (), css: str = "wide") -> str:
    return (
        f'<section id="{table.key}"><h2>{escape(table.title)}</h2><p class=about>{escape(table.about)}</p>'
        f"{''.join(charts)}{_table_html(table, css)}</section>"
    )


def _charts(evaluation: Evaluation) -> dict[str, list[str]]:
    """The charts of each section, by the key of its table."""
    results = evaluation.results
    charts = {
        "overall": [_chart_html(figures.box_plots(results, evaluation.challenge), "Box plots of all measures")],
        "per_region": [_chart_html(figures.group_bars(evaluation.table("per_region"), results), "Measures per region")],
        "per_vertebra": [
            _chart_html(figures.vertebra_lines(evaluation.table("per_vertebra"), results), "Measures per vertebra")
        ],
        "success": [_chart_html(figures.success_curves(results), "Scans that reach a threshold")],
        "per_field_of_view": [
            _chart_html(
                figures.group_bars(evaluation.table("per_field_of_view"), results), "Measures per field of view"
            )
        ],
        "per_anatomy": [
            _chart_html(figures.group_bars(evaluation.table("per_anatomy"), results), "Normal and rare anatomy")
        ],
        "label_shift": [_chart_html(figures.shift_bars(evaluation.table("label_shift")), "Before and after the shift")],
    }
    if evaluation.ranking:
        charts["ranking"] = [
            "<h3>p-values</h3><p class=about>Of the test that the method of the row is better than that of the column; "
            "framed where under 0.001.</p>",
            _chart_html(figures.p_value_matrices(evaluation.ranking.comparisons), "Matrices of p-values"),
        ]
    return charts


def _color_key(color: tuple[float, float, float], text: str) -> str:
    red, green, blue = (round(255 * part) for part in color)
    return f'<span class=key style="background: rgb({red}, {green}, {blue})"></span>{text}'


def _caption(result: ScanResult, challenge: bool) -> str:
    parts = []
    for key, measure in MEASURES.items():
        value = result.value(key, challenge)
        if result.takes_part(measure.task):
            unit = "" if math.isnan(value) else f" {measure.unit}"
            parts.append(f"{measure.title} {_shown_cell(f'[{measure.unit}]', value)}{unit}")
    text = f"<b>{escape(result.method)}</b>: {escape(', '.join(parts))}"
    labelling = result.labelling
    if labelling and labelling.best_shift:
        text += (
            f"; <span class=bad>labels off by {-labelling.best_shift:+d}, "
            f"id.rate {100 * labelling.id_rate_shifted:.1f} % when shifted back</span>"
        )
    for line in result.failures:
        text += f"<br><span class=bad>{escape(line)}</span>"
    return text


def _scans_html(evaluation: Evaluation) -> str:
    legend = "".join(
        _color_key(color, text)
        for color, text in (
            (MISSED, "truth that was not predicted"),
            (SURPLUS, "prediction where no vertebra is annotated"),
            (MISNAMED, "another name than in the truth"),
        )
    )
    parts = [
        '<section id="pictures"><h2>The scans in pictures</h2><p class=about>Best, median and worst scan by the mean '
        "over the methods, then the others from the worst up. Sagittal and coronal planes bent along the spine, truth "
        f"beside prediction. Errors: {legend}</p>"
    ]
    by_scan: dict[tuple[str, str], list[ScanResult]] = {}
    for result in evaluation.results:
        by_scan.setdefault((result.dataset, result.scan), []).append(result)
    for (dataset, scan), remark in scan_order(evaluation.results):
        title = f"{remark.capitalize()}: {scan}" if remark else scan
        parts.append(f"<h3>{escape(title)} <small>({escape(dataset)})</small></h3>")
        for result in by_scan[dataset, scan]:
            picture = evaluation.pictures.get((result.method, dataset, scan), b"")
            image = ""
            if picture:
                data = base64.b64encode(picture).decode()
                image = (
                    f'<img loading=lazy alt="{escape(f"{scan}, {result.method}")}" src="data:image/jpeg;base64,{data}">'
                )
            parts.append(f"<figure>{image}<figcaption>{_caption(result, evaluation.challenge)}</figcaption></figure>")
    return "".join(parts) + "</section>"


def html(evaluation: Evaluation) -> str:
    """The report as one HTML page without any outside reference."""
    methods = methods_of(evaluation.results)
    scans = {(result.dataset, result.scan) for result in evaluation.results}
    mode = (
        "As in the challenge of 2019, missing vertebrae count 1000 mm (d_mean) and 100 mm (HD)"
        if evaluation.challenge
        else "Missing vertebrae are left out of d_mean and HD"
    )
    charts = _charts(evaluation)
    short = [table for table in evaluation.tables if table.key not in ("scans", "vertebrae")]
    links = [(table.key, table.title.split(",")[0]) for table in short]
    links += [("pictures", "Pictures"), ("scans", "All scans"), ("vertebrae", "All vertebrae")]
    body = [
        "<h1>Vertebra labelling and segmentation: evaluation</h1>",
        f"<p class=about>{len(scans)} scans, {len(methods)} methods: {escape(', '.join(methods))}. "
        f"{escape(mode)}. Measures: Sekuboyina et al. 2021 (VerSe), Lessmann et al. 2019. "
        f"SpineSegmentationLib {escape(__version__)}.</p>",
        "<nav>" + "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title in links) + "</nav>",
    ]
    if evaluation.messages:
        lines = "".join(f"<li>{escape(line)}</li>" for line in evaluation.messages)
        title = f"<h2>Messages ({len(evaluation.messages)})</h2>"
        body.append(f'<section id="messages">{title}<ul class=messages>{lines}</ul></section>')
    for table in short:
        body.append(_section(table, charts.get(table.key, ()), css="wide tall" if len(table.rows) > 24 else "wide"))
    body.append(_scans_html(evaluation))
    body += [_section(evaluation.table(key), css="wide tall") for key in ("scans", "vertebrae")]
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Spine evaluation</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
