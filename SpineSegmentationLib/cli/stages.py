"""What ``segment``, ``label`` and ``detect`` share: the pipeline up to a stage, on every scan."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SpineError
from ..systems import ROLES
from .arguments import calibration_of, extras_of
from .batch import carry_out, find, make_writable
from .console import OK, SOME_FAILED, UNUSABLE, Console

if TYPE_CHECKING:
    from ..cohort.order import Order


def run_until(until: str, arguments: argparse.Namespace, console: Console) -> int:
    """Runs the stages up to ``until`` on every scan and writes what it made; a bad scan never stops the others."""
    from ..cohort.shard import Shard

    shard = Shard.parse(arguments.shard) if arguments.shard else None
    scans, failed = find(arguments.input, console)
    if not scans:
        return UNUSABLE
    order = order_of(until, arguments, scans)
    make_writable(arguments.output)
    failed += carry_out(order, scans, shard, arguments.words, console)
    return SOME_FAILED if failed else OK


def order_of(until: str, arguments: argparse.Namespace, scans: Sequence[Path]) -> Order:
    """What the options say is to be made of every scan.

    Raises:
        SpineError: an option that belongs to one scan, and there are more; or a file that is not there.
    """
    from ..cohort.order import Order
    from ..exchange.extras import Extras
    from ..io.values import parse_box

    box = parse_box(arguments.box) if getattr(arguments, "box", None) else None
    centroids = getattr(arguments, "centroids", None)
    for option, value in (("--box", box), ("--centroids", centroids), ("--series", arguments.series)):
        if value is not None and len(scans) > 1:
            raise SpineError(f"{option} belongs to one scan, and {len(scans)} were given; call once for each")
    if centroids is not None and not centroids.is_file():
        raise SpineError(f"{centroids} does not exist; give a VerSe centroid JSON or a Slicer point list (.mrk.json)")
    return Order(
        arguments.output,
        until,
        arguments.system,
        arguments.device,
        {role: getattr(arguments, role, None) for role in ROLES},
        box,
        centroids,
        getattr(arguments, "only", None),
        getattr(arguments, "assume_usual", False),
        arguments.series,
        arguments.force,
        arguments.overwrite,
        extras_of(arguments) if until == "segmentation" else Extras(),
        arguments.weights,
        calibration_of(arguments) if until == "segmentation" else None,
        getattr(arguments, "sacrum", False),
    )
