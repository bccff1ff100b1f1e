"""``adopt``."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..anatomy import Level
from ..errors import SpineError
from .arguments import add_extras, add_scans, add_system, calibration_of, extras_of, levels
from .batch import find, make_writable
from .console import OK, SOME_FAILED, UNUSABLE, Console

if TYPE_CHECKING:
    from ..exchange.adopt import Adopted
    from ..exchange.verdict import Verdict
    from ..foreign.codes import CodeTable
    from ..foreign.masks import ForeignMask
    from ..io.ct import Scan
    from ..pipeline import Pipeline, Progress
    from ..spine import Centroids

ABOUT = "start from a segmentation that another program made: check its names, mend levels, keep the rest as it is"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_scans(parser)
    parser.add_argument(
        "--mask",
        type=Path,
        required=True,
        metavar="FILE",
        help="label map, folder of masks, .seg.nrrd or DICOM SEG; for several scans a folder that holds one for each",
    )
    parser.add_argument("--codes", metavar="TABLE", help="what its numbers mean: totalsegmentator, ... or a CSV file")
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--shift", type=int, metavar="N", help="move all names N levels towards the feet")
    named.add_argument("--rename", type=_names, default={}, metavar="L1=T12,L2=L1", help="call vertebrae otherwise")
    parser.add_argument("--redo", type=levels, default=(), metavar="L3,L4", help="segment these levels again, alone")
    parser.add_argument(
        "--centroids", type=Path, metavar="FILE", help="where the levels of --redo are: VerSe or Slicer JSON"
    )
    parser.add_argument("--unchecked", action="store_true", help="do not compare the names with those of our labeller")
    add_system(parser, "segmenter")
    add_extras(parser)


def _names(text: str) -> dict[Level, Level]:
    try:
        pairs = [part.split("=") for part in text.split(",")]
        names = {Level.parse(old): Level.parse(new) for old, new in pairs}
        if len(names) < len(pairs):
            raise ValueError("a vertebra is there twice")
        return names
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not OLD=NEW,...: {error}") from None


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..cohort.failure import reason
    from ..cohort.tables import write_tables
    from ..foreign.codes import table_of
    from ..foreign.masks import mask_of
    from ..io.ct import scan_name
    from ..pipeline import Pipeline
    from ..results.names import output_names
    from ..systems import ROLES

    scans, failed = find(arguments.input, console)
    if not scans:
        return UNUSABLE
    table = table_of(arguments.codes) if arguments.codes else None
    if len(scans) > 1:
        for option in ("series", "shift", "rename", "redo", "centroids"):
            if getattr(arguments, option):
                raise SpineError(f"--{option} belongs to one scan, and {len(scans)} were given; call once for each")
    if arguments.centroids and not arguments.redo:
        raise SpineError("--centroids says where the levels of --redo are; say which ones, or leave it out")
    make_writable(arguments.output)
    pipeline = Pipeline(
        arguments.system,
        arguments.device,
        weights=arguments.weights,
        assume_usual=arguments.assume_usual,
        **{role: getattr(arguments, role) for role in ROLES},
    )
    if len(scans) == 1:
        path, name = scans[0], scan_name(scans[0])
        work = partial(_adopt, arguments, pipeline, path, name, arguments.mask, table, console)
        _alone(arguments.output, name, path, console, work)
        return SOME_FAILED if failed else OK
    called = [scan_name(path) for path in scans]
    for path, name in zip(scans, output_names(scans), strict=True):
        try:
            mask = mask_of(arguments.mask, scan_name(path), called)
            console.progress(f"{name}: mask {mask}")
            work = partial(_adopt, arguments, pipeline, path, name, mask, table, console)
            _alone(arguments.output, name, path, console, work)
        except Exception as error:
            failed += 1
            line, told = reason(error, path)
            console.message(f"{name}: error: {line}")
            console.record({"scan": name, "input": str(path), "status": "failed", "error": line})
            if told:
                print(told, file=sys.stderr, flush=True)
    made, problems = write_tables(arguments.output)
    for problem in problems:
        console.message(f"warning: {problem}")
    console.progress(f"{len(scans) - failed} of {len(scans)} adopted; all scans: {made}")
    return SOME_FAILED if failed else OK


def _alone(output: Path, name: str, path: Path, console: Console, work: Callable[[], None]) -> None:
    """Does the work on a scan, unless another process is at it."""
    from ..cohort.claim import Claim

    claim = Claim.take(output, name)
    if claim is None:
        console.message(f"{name}: another process is at it")
        console.record({"scan": name, "input": str(path), "status": "busy"})
        return
    try:
        work()
    finally:
        claim.release()


def _adopt(
    arguments: argparse.Namespace,
    pipeline: Pipeline,
    path: Path,
    name: str,
    mask_path: Path,
    table: CodeTable | None,
    console: Console,
) -> None:
    from ..cohort.results import read_result
    from ..exchange.adopt import adopt
    from ..exchange.redo import named_as_theirs, redo
    from ..exchange.report import adopted_json
    from ..exchange.verdict import compare
    from ..foreign.masks import read_mask
    from ..io.ct import read_ct
    from ..io.given import read_given
    from ..results.outputs import existing
    from ..spine import Centroids

    given = _given(arguments, mask_path)
    if not arguments.overwrite and existing(arguments.output, name, "segmentation"):
        before = read_result(arguments.output, name)
        same = {**before.run["given"], "mask": given["mask"], "centroids": given["centroids"]} == given
        if not (same and before.content and before.content.is_of(path)):
            raise SpineError(
                f"{before.run_file} is of another scan, another mask or other options; --overwrite replaces the "
                "results, or give another --output"
            )
        console.message(f"{name}: done before, skipped; --overwrite does it again")
        console.record({"scan": name, "input": str(path), "status": "skipped"})
        return
    mask = read_mask(mask_path, table)
    start = time.perf_counter()
    scan = read_ct(path, series=arguments.series, force=arguments.force)
    reading = time.perf_counter() - start
    _check_patient(mask, scan)

    def progress(step: Progress) -> None:
        if not step.done:
            console.progress(f"{name}: {step.stage}")

    adopted = _renamed(adopt(mask, scan.image), arguments)
    for note in (*scan.warnings, *adopted.notes):
        console.message(f"{name}: note: {note}")
    verdict, ours = None, Centroids()
    if not arguments.unchecked:
        verdict, ours = _judged(pipeline, scan, adopted, progress)
        console.message(f"{name}: names: {verdict.sentence}")
    for finding in (*adopted.findings, *(verdict.findings if verdict else ())):
        console.message(f"{name}: warning: {finding.text}")
    if arguments.redo:
        places = ours if verdict is None else named_as_theirs(ours, verdict, adopted.centroids)
        if arguments.centroids:
            places = read_given(arguments.centroids, scan)
        adopted = redo(pipeline, scan.image, adopted, arguments.redo, places, progress)
        if verdict is not None:
            now = compare(adopted.pieces, adopted.centroids, adopted.grid, ours)
            verdict = replace(verdict, findings=now.findings)
    files = _write(arguments, pipeline, scan, path, name, mask_path, given, adopted, verdict, reading)
    found = " ".join(level.name for level in adopted.centroids.levels)
    console.record(
        {
            "scan": name,
            "input": str(path),
            "status": "done",
            "found": found,
            "files": [str(file) for file in files],
            "warnings": list(scan.warnings),
            "error": None,
            "adopted": adopted_json(adopted, verdict),
        }
    )
    console.result(f"{name}: {found} -> {files[0]}")


def _check_patient(mask: ForeignMask, scan: Scan) -> None:
    """Raises SpineError when a DICOM SEG is of another patient, or in another frame of reference, than the scan."""
    if not mask.frame_of_reference or not scan.frames:
        return
    from ..dicom.source import source_of

    source = source_of(scan)
    if mask.patient != source.patient:
        raise SpineError(
            f"{mask.source} is of patient {mask.patient!r}, the scan of {source.patient!r}; give its own SEG"
        )
    if source.frame_of_reference and mask.frame_of_reference != source.frame_of_reference:
        raise SpineError(
            f"{mask.source} is in another frame of reference than the scan: its places mean others; "
            "give the SEG of this series"
        )


def _renamed(adopted: Adopted, arguments: argparse.Namespace) -> Adopted:
    from ..session.state import State

    if missing := [level.name for level in arguments.rename if level not in adopted.pieces]:
        raise SpineError(f"{', '.join(missing)} cannot be renamed: there is no such mask")
    if arguments.shift:
        shifted = State(None, adopted.centroids).shifted(arguments.shift).centroids
        # Shifting keeps the order of the column.
        return adopted.renamed(dict(zip(adopted.centroids.levels, shifted.levels, strict=True)))
    return adopted.renamed(arguments.rename) if arguments.rename else adopted


def _judged(
    pipeline: Pipeline, scan: Scan, adopted: Adopted, progress: Callable[[Progress], None]
) -> tuple[Verdict, Centroids]:
    from ..exchange.verdict import compare

    ours = pipeline.find(scan.image, until="labelling", progress=progress).centroids
    return compare(adopted.pieces, adopted.centroids, adopted.grid, ours), ours


def _given(arguments: argparse.Namespace, mask: Path) -> dict:
    """What was given, for the run file; files by what they hold, too."""
    extras = extras_of(arguments).names()
    return {
        "mask": str(mask),
        "mask_sha256": _sha256(mask),
        "codes": arguments.codes,
        "series": arguments.series,
        "force": arguments.force,
        "shift": arguments.shift,
        "rename": {old.name: new.name for old, new in arguments.rename.items()},
        "redo": [level.name for level in arguments.redo],
        "centroids": str(arguments.centroids) if arguments.centroids else None,
        "centroids_sha256": _sha256(arguments.centroids) if arguments.centroids else None,
        **({"calibration": [*arguments.calibration]} if arguments.calibration else {}),
        **({"extras": extras} if extras else {}),
    }


def _sha256(path: Path) -> str:
    """Of a file, or of all files in a folder; what is not there is told where it is read."""
    files = [file for file in (path, *sorted(path.rglob("*"))) if file.is_file()]
    try:
        digests = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _write(
    arguments: argparse.Namespace,
    pipeline: Pipeline,
    scan: Scan,
    path: Path,
    name: str,
    mask: Path,
    given: dict,
    adopted: Adopted,
    verdict: Verdict | None,
    reading: float,
) -> list[Path]:
    from ..cohort.content import Content
    from ..exchange.report import adopted_json, warnings_of
    from ..pipeline import Result
    from ..results.outputs import run_json, write_outputs
    from ..segmentation.mask import paint_part

    part = paint_part(adopted.pieces, scan.image)
    warnings = (*adopted.notes, *warnings_of(adopted, verdict))
    result = Result(None, adopted.centroids, part, adopted.grid, warnings=warnings)
    record = run_json(pipeline, scan, result, given, reading)
    record["until"] = "segmentation"
    record["input"] |= {"path": str(path.resolve()), "content": Content.of(path).to_json()}
    record["adopted"] = adopted_json(adopted, verdict)
    made_by = f"{mask.name}, adopted"
    more = extras_of(arguments).writers(name, scan, part, adopted.centroids, made_by, by_hand=True)
    return write_outputs(arguments.output, name, "segmentation", scan, result, record, more, calibration_of(arguments))
