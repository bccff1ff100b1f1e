"""The report of an evaluation: one HTML file that needs nothing else, and everything as CSV and JSON."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import SpineError
from ..io.values import write_json, write_text
from .evaluation import Evaluation
from .page import html
from .results import MEASURES, ScanResult
from .tables import Table, in_unit


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


def as_csv(table: Table) -> str:
    """The table with full precision; per cent as the headings say, empty where nothing is defined."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        cells = [in_unit(column, cell) for column, cell in zip(table.columns, row, strict=True)]
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
