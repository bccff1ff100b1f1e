"""``demo``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .batch import make_writable
from .console import OK, Console, aligned

ABOUT = "segment a synthetic CT and compare the result with the truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("demo-output"), metavar="DIR")
    parser.add_argument("--device", default="auto")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..demo import run_demo

    make_writable(arguments.output)
    rows, files = run_demo(arguments.output, arguments.device, console.progress)
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    console.record({"status": "done", "table": table, "files": [str(file) for file in files]})
    console.result(aligned(rows))
    for file in files:
        console.result(f"-> {file}")
    return OK
