"""What ``segment``, ``label`` and ``detect`` share: the pipeline up to a stage, on every scan."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SpineError
from ..systems import ROLES
from .batch import each, find, make_writable
from .console import OK, SOME_FAILED, UNUSABLE, Console

if TYPE_CHECKING:
    from ..pipeline import Pipeline, Progress
    from ..spine import SpineBox


def run_until(until: str, arguments: argparse.Namespace, console: Console) -> int:
    """Runs the stages up to ``until`` on every scan and writes what it made; a bad scan never stops the others."""
    from .. import pipeline as road
    from ..io.values import parse_box
    from ..results.outputs import output_names

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
    names = output_names(scans)
    make_writable(arguments.output)
    replaced = {role: getattr(arguments, role, None) for role in ROLES}
    pipeline = road.Pipeline(arguments.system, arguments.device, **replaced)
    first = 2 if centroids else 1 if box else 0
    for stage in road.STAGES[first : road.STAGES.index(until) + 1]:
        pipeline.stage(stage)

    def one(path: Path, name: str, about: str) -> None:
        _run_one(until, arguments, console, pipeline, path, name, about, box)

    failed += each(scans, names, console, one)
    return SOME_FAILED if failed else OK


def _run_one(
    until: str,
    arguments: argparse.Namespace,
    console: Console,
    pipeline: Pipeline,
    path: Path,
    name: str,
    about: str,
    box: SpineBox | None,
) -> None:
    from ..io.ct import read_ct
    from ..io.values import read_centroids
    from ..results.outputs import existing, run_json, write_outputs

    if not arguments.overwrite and existing(arguments.output, name, until):
        console.message(f"{about}done before, skipped; --overwrite does it again")
        return
    console.progress(f"{about}reading")
    start = time.perf_counter()
    scan = read_ct(path, series=arguments.series, force=arguments.force)
    reading = time.perf_counter() - start
    console.progress(f"{about}read {scan.source}")
    for warning in scan.warnings:
        console.message(f"{about}warning: {warning}")

    def progress(step: Progress) -> None:
        part = f", vertebra {step.done} of {step.total} ({step.level.name})" if step.level else ""
        console.progress(f"{about}{step.stage}{part}")

    file, only = getattr(arguments, "centroids", None), getattr(arguments, "only", None)
    result = pipeline.run(
        scan.image,
        box=box,
        centroids=read_centroids(file, scan.image) if file else None,
        only=only,
        until=until,
        progress=progress,
    )
    for warning in result.warnings:
        console.message(f"{about}warning: {warning}")
    console.progress(f"{about}writing")
    given = {
        "box": arguments.box if box else None,
        "centroids": str(file) if file else None,
        "only": [level.name for level in only] if only else None,
        "series": arguments.series,
        "force": arguments.force,
    }
    run = run_json(pipeline, scan, result, given, reading)
    files = write_outputs(arguments.output, name, until, scan, result, run)
    shown = result.centroids.only(only) if only else result.centroids
    found = " ".join(level.name for level in shown.levels) or "no vertebra"
    if until == "detection":
        corners = [*result.box.lower, *result.box.upper] if result.box else []
        found = ",".join(f"{value:.1f}" for value in corners) or "no spine"
    console.result(f"{name}: {found} -> {files[0]}")
