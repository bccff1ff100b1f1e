"""``segment``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import add_box, add_extras, add_scans, add_shard, add_system, levels
from .console import Console
from .stages import run_until

ABOUT = "label map, centroids, measurements and picture of every scan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scans(parser)
    add_shard(parser)
    given = parser.add_mutually_exclusive_group()
    add_box(given)
    given.add_argument("--centroids", type=Path, metavar="FILE", help="use these centroids: VerSe or Slicer JSON")
    parser.add_argument("--only", type=levels, metavar="L3,L4", help="segment these vertebrae alone")
    parser.add_argument("--sacrum", action="store_true", help="segment the sacrum, too, where it is in view")
    add_system(parser, "segmenter")
    add_extras(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    return run_until("segmentation", arguments, console)
