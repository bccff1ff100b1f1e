"""``apply-review``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .console import OK, SOME_FAILED, Console

ABOUT = "carry out the verdicts of a review: shift and rename, and list what must be opened in Slicer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that was reviewed")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..cohort.review.apply import apply_review
    from ..cohort.tables import write_tables
    from ..errors import SpineError

    if not arguments.folder.is_dir():
        raise SpineError(f"{arguments.folder} does not exist; give the folder that was reviewed")
    applied, problems = apply_review(arguments.folder, console.progress)
    failed = 0
    for one in applied:
        console.record(
            {
                "scan": one.scan,
                "status": "done" if one.done else "failed",
                "found": one.done,
                "error": one.problem or None,
                "files": [str(one.script.resolve())] if one.script else [],
                "note": one.verdict.note,
            }
        )
        note = f" ({one.verdict.note})" if one.verdict.note else ""
        if one.done:
            console.result(f"{one.scan}: {one.done}{note}")
        elif one.script:
            console.result(f'{one.scan}: {one.problem}{note}; open it: Slicer --python-script "{one.script.resolve()}"')
        else:
            console.message(f"{one.scan}: error: {one.problem}")
            failed += 1
    table, more = write_tables(arguments.folder)
    for problem in dict.fromkeys([*problems, *more]):
        console.message(f"warning: {problem}")
    done = sum(bool(one.done) for one in applied)
    console.progress(f"{done} of {len(applied)} verdicts carried out; all scans: {table}")
    return SOME_FAILED if failed else OK
