"""What ``segment``, ``label`` and ``detect`` share: the pipeline up to a stage, on every scan."""

from __future__ import annotations

import argparse

from ..errors import SpineError
from ..systems import ROLES
from .arguments import extras_of
from .batch import carry_out, find, make_writable
from .console import OK, SOME_FAILED, UNUSABLE, Console


def run_until(until: str, arguments: argparse.Namespace, console: Console) -> int:
    """Runs the stages up to ``until`` on every scan and writes what it made; a bad scan never stops the others."""
    from ..cohort.order import Order
    from ..cohort.shard import Shard
    from ..exchange.extras import Extras
    from ..io.values import parse_box

    shard = Shard.parse(arguments.shard) if arguments.shard else None
    scans, failed = find(arguments.input, console)
    if not scans:
        return UNUSABLE
    box = parse_box(arguments.box) if getattr(arguments, "box", None) else None
    centroids = getattr(arguments, "centroids", None)
    for option, value in (("--box", box), ("--centroids", centroids), ("--series", arguments.series)):
        if value is not None and len(scans) > 1:
            raise SpineError(f"{option} belongs to one scan, and {len(scans)} were given; call once for each")
    if centroids is not None and not centroids.is_file():
        raise SpineError(f"{centroids} does not exist; give a VerSe centroid JSON or a Slicer point list (.mrk.json)")
    make_writable(arguments.output)
    order = Order(
        arguments.output,
        until,
        arguments.system,
        arguments.device,
        {role: getattr(arguments, role, None) for role in ROLES},
        box,
        centroids,
        getattr(arguments, "only", None),
        arguments.series,
        arguments.force,
        arguments.overwrite,
        extras_of(arguments) if until == "segmentation" else Extras(),
    )
    failed += carry_out(order, scans, shard, arguments.words, console)
    return SOME_FAILED if failed else OK
