"""The page on which a person checks a cohort: one HTML file and one JSON file, which ask no network for anything."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from ...anatomy import COLUMN
from ...errors import SpineError
from ...io.values import write_json, write_text
from ..layout import REVIEW, cohort_folder
from . import verdicts
from .rows import rows_of
from .slicer import script

PAGE, DATA = "index.html", "review.json"


def build(output: Path, reviewer: str = "") -> tuple[Path, list[str]]:
    """Writes ``cohort/review/index.html`` and ``review.json`` anew from the results and what was said of them.

    The pictures stay where they are, beside the results: the folder may be copied as a whole.

    Args:
        reviewer: whose verdicts will be given; the page asks when it is empty.

    Returns:
        the page, and what could not be read, one line each.

    Raises:
        SpineError: nothing to review, or a file cannot be written.
    """
    if not output.is_dir():
        raise SpineError(f"{output} does not exist; give the --output of segment")
    rows, problems = rows_of(output)
    if not rows:
        raise SpineError(f"{output} holds no results; segment some scans into it first")
    said, lines = verdicts.read(output)
    folder = cohort_folder(output, REVIEW)
    data = {
        "folder": str(folder.resolve()),
        "output": str(output.resolve()),
        "reviewer": reviewer,
        "column": [level.name for level in COLUMN],
        "rows": rows,
        "verdicts": [verdict.to_json() for verdict in said],
        "script": script(output, "@SCAN@"),
    }
    write_json(folder / DATA, data)
    write_text(folder / PAGE, _html(data))
    return folder / PAGE, [*problems, *lines]


def _html(data: dict[str, Any]) -> str:
    parts = resources.files(__package__).joinpath("page")
    html, style, code = (parts.joinpath(f"review.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    # Within a script element, only "</" and "<!--" could end the data before they end.
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    for mark, part in (("/*STYLE*/", style), ("/*SCRIPT*/", code), ("/*DATA*/", text)):
        html = html.replace(mark, part, 1)
    return html
