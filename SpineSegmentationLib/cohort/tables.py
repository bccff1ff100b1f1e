"""One table of all scans of a cohort, and one of all their vertebrae."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..errors import SpineError
from ..io.values import replacing, write_text
from ..measures.dictionary import SCAN_COLUMNS
from ..measures.table import as_csv, dictionary_rows
from .layout import DICTIONARY, SCANS, VERTEBRAE, cohort_folder
from .manifest import read_failures
from .processor import Status
from .results import ScanResult, read_results

COLUMNS = (
    "scan",
    "status",
    "reason",
    "names",
    "probability",
    "second_reading",
    "lowest_confidence",
    "mean_confidence",
    "vertebrae",
    "levels",
    "reviewed",
    "warnings",
    "system",
    "seconds",
    "finished",
    "path",
    "sha256",
)
"""Of the table of scans. ``names`` is the verdict on them, ``reviewed`` what a person made of them."""

MEASURED = tuple(column.name for column in SCAN_COLUMNS)
"""What is measured on a scan, in the same table; the dictionary explains these columns."""


def write_tables(output: Path) -> tuple[Path, list[str]]:
    """Writes the tables of scans and of vertebrae anew from all results and runs in a folder, and their dictionary.

    As CSV, and as Parquet, too, where pyarrow is installed.

    Processes that end at the same time wait for each other, so the last one writes what all have made.

    Returns:
        the table of scans, and what is wrong with results that could not be read, one line each.

    Raises:
        SpineError: a file cannot be written, or the record of a run cannot be read.
    """
    folder = cohort_folder(output)
    with FileLock(folder / ".tables.lock"):
        results, problems = read_results(output)
        rows: dict[str, dict[str, Any]] = {}
        measured: list[dict[str, str]] = []
        for result in results:
            try:
                row, own = _row(result), result.measured()
            except (KeyError, SpineError, TypeError, ValueError) as error:
                problems.append(f"{result.run_file} and the files beside it do not fit together: {error}")
                continue
            rows[result.name] = row
            measured += [{"scan": result.name, **one} for one in own]
        for entry in read_failures(output):
            rows.setdefault(entry["name"], _row_without_result(entry))
        _write(folder / SCANS, [*COLUMNS, *MEASURED], [rows[name] for name in sorted(rows)])
        columns = dict.fromkeys(["scan", *(key for row in measured for key in row)])
        _write(folder / VERTEBRAE, columns, measured)
        write_text(folder / DICTIONARY, as_csv(dictionary_rows()))
    return folder / SCANS, problems


def _row(result: ScanResult) -> dict[str, Any]:
    numbering, run = result.numbering, result.run
    confidences = result.confidences().values()
    best = numbering.readings[0].probability if numbering and numbering.readings else None
    second = numbering.second if numbering else None
    return {
        "scan": result.name,
        "status": Status.DONE.value,
        "names": numbering.certainty.value if numbering else "",
        "probability": _number(best),
        "second_reading": " ".join(level.name for level in second.levels) if second else "",
        "lowest_confidence": _number(min(confidences, default=None)),
        "mean_confidence": _number(sum(confidences) / len(confidences) if confidences else None),
        "vertebrae": len(run["centroids"]),
        "levels": " ".join(run["centroids"]),
        "reviewed": (run.get("review") or {}).get("verdict", ""),
        "warnings": "; ".join(run["warnings"]),
        "system": run["system"],
        "seconds": round(sum(run["seconds"].values()), 1),
        "finished": run["finished"],
        "path": run["input"]["path"],
        "sha256": result.content.sha256 if result.content else "",
        **{name: value for name, value in result.measures().items() if name in MEASURED},
    }


def _row_without_result(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "scan": entry["name"],
        "status": entry["status"],
        "reason": entry["reason"],
        "path": entry["path"],
        "sha256": entry.get("sha256") or "",
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _write(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
    try:
        from pyarrow import csv as arrow
        from pyarrow import parquet
    except ImportError:
        return
    # Opened here: Arrow takes no names that are no UTF-8.
    with replacing(path.with_suffix(".parquet")) as temporary, path.open("rb") as file, temporary.open("wb") as written:
        parquet.write_table(arrow.read_csv(file), written)
