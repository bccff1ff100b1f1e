"""``phantom``."""

from __future__ import annotations

import argparse

from .arguments import add_output, count, spacing
from .batch import make_writable
from .console import OK, Console

ABOUT = "synthetic spine CTs with their truth, in the VerSe layout"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--count", type=count, default=1)
    parser.add_argument("--spacing", type=spacing, default=(1.0, 1.0, 1.5), metavar="x,y,z", help="mm")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..phantom import make_phantom
    from ..results.outputs import write_phantom

    make_writable(arguments.output)
    for number, seed in enumerate(range(arguments.seed, arguments.seed + arguments.count), start=1):
        console.progress(f"phantom {number} of {arguments.count}")
        phantom = make_phantom(seed, arguments.spacing)
        ct = write_phantom(phantom, arguments.output, f"sub-phantom{seed:04d}")
        found = " ".join(level.name for level in phantom.centroids.levels)
        console.record({"scan": f"sub-phantom{seed:04d}", "status": "done", "found": found, "files": [str(ct)]})
        console.result(f"{found} -> {ct}")
    return OK
