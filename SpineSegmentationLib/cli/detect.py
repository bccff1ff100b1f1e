"""``detect``."""

from __future__ import annotations

import argparse

from .arguments import add_scans, add_shard, add_system
from .console import Console
from .stages import run_until

ABOUT = "the box of the spine in every scan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scans(parser)
    add_shard(parser)
    add_system(parser, "detector")


def run(arguments: argparse.Namespace, console: Console) -> int:
    return run_until("detection", arguments, console)
