"""The command line. Results go to standard output, progress, warnings and errors to standard error.

Exit codes: 0 all fine; 1 some scans failed, the others are complete; 2 unusable call; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# Everything heavy is imported where it is needed, so that --help is quick.
from . import __version__
from .anatomy import Level
from .errors import SpineError
from .systems import DEFAULT, SYSTEMS

if TYPE_CHECKING:
    from .pipeline import Pipeline, Progress
    from .spine import SpineBox

OK, SOME_FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

ROLES = ("detector", "labeller", "segmenter")

NO_MEMORY = "not enough memory; close other programs, segment fewer vertebrae (--only), or use --device cpu"


class Console:
    """Standard output and standard error. On a terminal, progress is one line that is written anew each time."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._pending = False

    def result(self, text: str) -> None:
        self._clear()
        print(text, flush=True)

    def message(self, text: str) -> None:
        """A warning or an error, in one line; shown even when quiet."""
        self._clear()
        print(" ".join(text.split()), file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        if self.quiet:
            return
        self._clear()
        self._pending = sys.stderr.isatty()
        print(text, end="" if self._pending else "\n", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._pending:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._pending = False


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line (without the program's name) and returns the exit code.

    Raises:
        SystemExit: with code 2 for an unusable call, 0 for --help and --version.
    """
    arguments = _parser().parse_args(_with_joined_box(sys.argv[1:] if argv is None else argv))
    console = Console(arguments.quiet)
    try:
        return arguments.command(arguments, console)
    except SpineError as error:
        console.message(f"error: {error}")
        return UNUSABLE
    except KeyboardInterrupt:
        console.message("interrupted: what was finished is kept, the rest left out")
        return INTERRUPTED


def _with_joined_box(argv: Sequence[str]) -> list[str]:
    """``--box -1,...`` as ``--box=-1,...``: argparse would take the number for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--box" and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m SpineSegmentationLib",
        description="Detects, names and segments every vertebra in CT. For research; not a medical device.",
        epilog="Exit codes: 0 all fine, 1 some scans failed, 2 unusable call, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.add_argument("--quiet", action="store_true", help="no progress; warnings and errors only")
        sub.set_defaults(command=function)
        return sub

    for name, about in (
        ("segment", "label map, centroids, measurements and picture of every scan"),
        ("detect", "the box of the spine in every scan"),
        ("label", "the names and places of the vertebrae in every scan"),
    ):
        sub = command(name, _run, about)
        sub.set_defaults(until={"segment": "segmentation", "detect": "detection", "label": "labelling"}[name])
        _add_scans(sub)
        given = sub.add_mutually_exclusive_group()
        if name != "detect":
            given.add_argument("--box", metavar="x0,y0,z0,x1,y1,z1", help="use this spine box (LPS mm), detect none")
        if name == "segment":
            given.add_argument(
                "--centroids", type=Path, metavar="FILE", help="use these centroids: VerSe or Slicer JSON"
            )
            sub.add_argument("--only", type=_levels, metavar="L3,L4", help="segment these vertebrae alone")
        for stage in ROLES[: 1 + ("detect", "label", "segment").index(name)]:
            sub.add_argument(f"--{stage}", metavar="NAME", help=f"this {stage} instead of the system's own")

    sub = command("evaluate", _evaluate, "scores of predictions against a truth, in the way of VerSe, as a report")
    sub.add_argument("--truth", type=Path, required=True, metavar="DIR")
    sub.add_argument("--prediction", type=_named_folder, nargs="+", action="extend", required=True, metavar="NAME=DIR")
    sub.add_argument("--report", type=Path, required=True, metavar="OUT", help="a folder, or the name of an HTML file")
    sub.add_argument("--challenge", action="store_true", help="missing vertebrae count 1000 mm and 100 mm, as in 2019")

    sub = command("train", _train, "train the network of one stage; goes on where an interrupted training ended")
    sub.add_argument("stage", choices=("detection", "labelling", "segmentation"))
    sub.add_argument("--system", default="anduin")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR", help="for checkpoints, weights and logs")
    sub.add_argument("--steps", type=_count, required=True, metavar="N")
    sub.add_argument("--phantoms", type=_count, default=0, metavar="N", help="synthetic scans to train on")
    sub.add_argument("--verse", type=Path, nargs="+", default=[], metavar="DIR", help="data sets in the VerSe layout")
    sub.add_argument("--shared", type=Path, metavar="DIR", help="a folder with ct/ and anatomy/")
    sub.add_argument(
        "--own-masks", action="store_true", help="segmentation: learn from masks drawn on the scans of --shared, too"
    )
    sub.add_argument("--width", choices=("compact", "paper"), default="compact")
    sub.add_argument("--device", default="auto")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument(
        "--member", type=_count, default=1, metavar="N", help="labelling: number of the network in the committee"
    )

    sub = command("phantom", _phantom, "synthetic spine CTs with their truth, in the VerSe layout")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR")
    sub.add_argument("--seed", type=int, default=0, help="of the first one")
    sub.add_argument("--count", type=_count, default=1)
    sub.add_argument("--spacing", type=_spacing, default=(1.0, 1.0, 1.5), metavar="x,y,z", help="mm")

    sub = command("demo", _demo, "segment a synthetic CT and compare the result with the truth")
    sub.add_argument("--output", type=Path, default=Path("demo-output"), metavar="DIR")
    sub.add_argument("--device", default="auto")
    return parser


def _add_scans(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("input", type=Path, nargs="+", metavar="INPUT", help="CT file, DICOM folder, or a folder of these")
    sub.add_argument("--output", type=Path, required=True, metavar="DIR")
    sub.add_argument("--system", default=DEFAULT, choices=SYSTEMS)
    sub.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
    sub.add_argument("--series", metavar="UID", help="the series to take from a DICOM folder")
    sub.add_argument(
        "--force", action="store_true", help="take the values as Hounsfield units, whatever they look like"
    )
    sub.add_argument("--overwrite", action="store_true", help="replace outputs that are there already")


def _levels(text: str) -> tuple[Level, ...]:
    try:
        return tuple(Level.parse(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)


def _spacing(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(0.1 <= number <= 10 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,z with 0.1 to 10 mm each")
    return numbers


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return int(text)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    """``segment``, ``label`` and ``detect``: each scan on its own; a bad one never stops the others."""
    from . import pipeline as road
    from .io.values import parse_box
    from .results.outputs import output_names

    scans, failed = _find(arguments.input, console)
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
    _make_writable(arguments.output)
    replaced = {role: getattr(arguments, role, None) for role in ROLES}
    pipeline = road.Pipeline(arguments.system, arguments.device, **replaced)
    first = 2 if centroids else 1 if box else 0
    for stage in road.STAGES[first : road.STAGES.index(arguments.until) + 1]:
        pipeline.stage(stage)
    for number, (path, name) in enumerate(zip(scans, names, strict=True), start=1):
        about = f"[{number}/{len(scans)}] {name}: " if len(scans) > 1 else f"{name}: "
        try:
            _run_one(arguments, console, pipeline, path, name, about, box)
        except SpineError as error:
            console.message(f"{about}error: {error}")
            failed += 1
        except Exception as error:
            failed += 1
            if _is_out_of_memory(error):
                console.message(f"{about}error: {path}: {NO_MEMORY}")
            else:
                console.message(f"{about}error: {path}: unexpected {type(error).__name__}; please report what follows")
                traceback.print_exc()
    return SOME_FAILED if failed else OK


def _find(inputs: Sequence[Path], console: Console) -> tuple[list[Path], int]:
    """The scans at the inputs, each once, and how many inputs held none."""
    from .io.ct import find_scans

    scans: dict[Path, Path] = {}
    failed = 0
    for path in inputs:
        try:
            for found in find_scans(path):
                scans.setdefault(found.resolve(), found)
        except SpineError as error:
            console.message(f"error: {error}")
            failed += 1
    return list(scans.values()), failed


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SpineError(f"{folder} cannot be written: {error.strerror}; choose another --output") from error


def _run_one(
    arguments: argparse.Namespace,
    console: Console,
    pipeline: Pipeline,
    path: Path,
    name: str,
    about: str,
    box: SpineBox | None,
) -> None:
    from .io.ct import read_ct
    from .io.values import read_centroids
    from .results.outputs import existing, run_json, write_outputs

    until = arguments.until
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


def _is_out_of_memory(error: Exception) -> bool:
    # torch and ITK report it as RuntimeError, each in its own words; torch.OutOfMemoryError is one, too.
    text = str(error).lower()
    words = ("out of memory", "bad_alloc", "bad allocation", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in text for word in words))


def _evaluate(arguments: argparse.Namespace, console: Console) -> int:
    try:
        from .evaluation.command import evaluate
        from .evaluation.tables import overall
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[evaluate]'") from error

    evaluation = evaluate(
        arguments.truth,
        dict(arguments.prediction),
        arguments.report,
        arguments.challenge,
        lambda scan, number, total: console.progress(f"scan {number} of {total}: {scan}"),
    )
    for line in evaluation.messages:
        console.message(f"warning: {line}")
    table = overall(evaluation.results, evaluation.challenge)
    factors = [100 if column.endswith("[%]") else 1 for column in table.columns]
    rows = [
        [f"{f * cell:.2f}" if isinstance(cell, float) else str(cell) for f, cell in zip(factors, row, strict=True)]
        for row in table.rows
    ]
    console.result(_aligned([list(table.columns), *rows]))
    console.result(f"report -> {arguments.report}")
    return SOME_FAILED if evaluation.failed else OK


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _train(arguments: argparse.Namespace, console: Console) -> int:
    try:
        from .training.command import train_stage
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[train]'") from error

    _make_writable(arguments.output)
    weights = train_stage(
        stage=arguments.stage,
        system=arguments.system,
        width=arguments.width,
        folder=arguments.output,
        steps=arguments.steps,
        seed=arguments.seed,
        device=arguments.device,
        phantoms=arguments.phantoms,
        verse=arguments.verse,
        shared=arguments.shared,
        own_masks=arguments.own_masks,
        member=arguments.member,
        report=console.progress,
    )
    console.result(f"weights -> {weights}")
    return OK


def _phantom(arguments: argparse.Namespace, console: Console) -> int:
    from .phantom import make_phantom
    from .results.outputs import write_phantom

    _make_writable(arguments.output)
    for number, seed in enumerate(range(arguments.seed, arguments.seed + arguments.count), start=1):
        console.progress(f"phantom {number} of {arguments.count}")
        phantom = make_phantom(seed, arguments.spacing)
        ct = write_phantom(phantom, arguments.output, f"sub-phantom{seed:04d}")
        console.result(f"{' '.join(level.name for level in phantom.centroids.levels)} -> {ct}")
    return OK


def _demo(arguments: argparse.Namespace, console: Console) -> int:
    from .demo import run_demo

    _make_writable(arguments.output)
    rows, files = run_demo(arguments.output, arguments.device, console.progress)
    console.result(_aligned(rows))
    for file in files:
        console.result(f"-> {file}")
    return OK


def run() -> None:
    """The entry point of the program."""
    try:
        code = main()
    except BrokenPipeError:
        # Whoever read the results has gone; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = SOME_FAILED
    sys.exit(code)
