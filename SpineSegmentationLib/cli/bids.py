"""``bids``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import add_output
from .console import OK, SOME_FAILED, UNUSABLE, Console

ABOUT = "the results of a folder as a BIDS derivative data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a folder that segment or adopt wrote")
    add_output(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..cohort.bids import write_bids
    from ..cohort.results import read_results

    results, problems = read_results(arguments.results)
    for problem in problems:
        console.message(f"warning: {problem}")
    if not results:
        console.message(f"error: {arguments.results} holds no results; give a folder that segment or adopt wrote")
        return UNUSABLE
    files = write_bids(results, arguments.output)
    console.record({"files": [str(file) for file in files], "status": "done"})
    console.result(f"{len(files)} label maps -> {arguments.output}")
    return SOME_FAILED if problems else OK
