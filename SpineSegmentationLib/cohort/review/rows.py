"""What a reviewer sees of each scan, the most doubtful first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...anatomy import Level
from ...errors import SpineError
from ...numbering import Certainty
from ...session.state import State
from ...spine import Centroid, Centroids
from ..layout import REVIEW, cohort_folder
from ..manifest import read_failures
from ..results import ScanResult, read_results

SHIFTS = (-3, -2, -1, 1, 2, 3)
"""Steps that the page offers."""

DOUBT = {Certainty.CERTAIN: 0.0, Certainty.DOUBTFUL: 1.0, Certainty.UNKNOWN: 2.0}


def rows_of(output: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each result and each scan that failed, the most doubtful first; and what could not be read.

    Raises:
        SpineError: the record of a run cannot be read.
    """
    results, problems = read_results(output)
    here = cohort_folder(output, REVIEW)
    rows = []
    for result in results:
        try:
            rows.append(_row(result, here))
        except (SpineError, KeyError, ValueError, OSError) as error:
            problems.append(f"{result.run_file} and the files beside it do not fit together: {error}")
    known = {result.name for result in results}
    for entry in read_failures(output):
        if entry["name"] not in known:
            rows.append({"scan": entry["name"], "failed": entry["reason"], "path": entry["path"], "doubt": -1.0})
    return sorted(rows, key=lambda row: (-row["doubt"], row["scan"])), problems


def _row(result: ScanResult, here: Path) -> dict[str, Any]:
    confidences, numbering = result.confidences(), result.numbering
    levels = [Level[name] for name in confidences]
    second = numbering.second if numbering else None
    best = numbering.readings[0].probability if numbering and numbering.readings else None
    lowest = min(confidences.values(), default=0.0)
    warnings = list(result.run["warnings"])
    compared = None if result.run.get("review") else (result.run.get("adopted") or {}).get("verdict")
    certainty = numbering.certainty if numbering else None
    if compared and compared["shift"] != 0:
        certainty = Certainty.DOUBTFUL
    return {
        "scan": result.name,
        "result": result.digest,
        "picture": quote(os.fsencode(Path(os.path.relpath(result.picture, here)).as_posix())),
        "path": result.run["input"]["path"],
        "names": certainty.value if certainty else "not stated",
        "sentence": numbering.certainty.sentence if numbering else compared["sentence"] if compared else "",
        "evidence": list(numbering.evidence) if numbering else [],
        "probability": best,
        "second": {"levels": [level.name for level in second.levels], "probability": second.probability}
        if second
        else None,
        "confidences": confidences,
        "lowest": lowest,
        "shifts": _shifts(levels),
        "measures": result.measured(),
        "warnings": warnings,
        "review": result.run.get("review"),
        "doubt": _doubt(certainty, best, lowest, len(warnings)),
    }


def _doubt(certainty: Certainty | None, probability: float | None, lowest: float, warnings: int) -> float:
    """The larger, the earlier a person should look: first by the verdict, then by the chance that a name is wrong.

    Without a verdict a scan counts as doubtful as its least sure name says; each warning adds a little.
    """
    chance = 1 - (lowest if probability is None else probability)
    base = 2 * chance if certainty is None else DOUBT[certainty]
    return base + 0.9 * chance + min(warnings, 5) / 100


def _shifts(levels: list[Level]) -> dict[str, list[str]]:
    """The names after each shift that the column allows."""
    points = Centroids(tuple(Centroid(level, (0.0, 0.0, -float(place))) for place, level in enumerate(levels)))
    found = {}
    for by in SHIFTS if levels else ():
        try:
            found[str(by)] = [level.name for level in State(None, points).shifted(by).centroids.levels]
        except SpineError:
            continue
    return found
