"""``evaluate``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ..errors import SpineError
from .arguments import named_folder
from .console import OK, SOME_FAILED, Console, aligned

ABOUT = "scores of predictions against a truth, in the way of VerSe, as a report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truth", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--prediction", type=named_folder, nargs="+", action="extend", required=True, metavar="NAME=DIR"
    )
    parser.add_argument(
        "--report", type=Path, required=True, metavar="OUT", help="a folder, or the name of an HTML file"
    )
    parser.add_argument(
        "--challenge", action="store_true", help="missing vertebrae count 1000 mm and 100 mm, as in 2019"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    try:
        from ..evaluation.command import evaluate
        from ..evaluation.tables import overall
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[evaluate]'") from error

    names = [name for name, _ in arguments.prediction]
    for name in names:
        if names.count(name) > 1:
            raise SpineError(f"--prediction names two methods {name!r}; give each a name of its own")
    evaluation = evaluate(
        arguments.truth,
        dict(arguments.prediction),
        arguments.report,
        arguments.challenge,
        lambda scan, number, total: console.progress(f"scan {number} of {total}: {scan}"),
    )
    for line in evaluation.messages:
        console.message(f"warning: {line}")
    table = overall(evaluation.results, evaluation.challenge)
    factors = [100 if column.endswith("[%]") else 1 for column in table.columns]
    rows = [
        [f"{f * cell:.2f}" if isinstance(cell, float) else str(cell) for f, cell in zip(factors, row, strict=True)]
        for row in table.rows
    ]
    plain = [
        [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row] for row in table.rows
    ]
    console.record(
        {
            "status": "failed" if evaluation.failed else "done",
            "table": [dict(zip(table.columns, row, strict=True)) for row in plain],
            "files": [str(arguments.report)],
            "warnings": list(evaluation.messages),
        }
    )
    console.result(aligned([list(table.columns), *rows]))
    console.result(f"report -> {arguments.report}")
    return SOME_FAILED if evaluation.failed else OK
