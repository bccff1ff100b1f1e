"""Many scans, each on its own: a bad one never stops the others."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SpineError
from .console import Console

if TYPE_CHECKING:
    from ..cohort.order import Order
    from ..cohort.processor import Job, Open, Outcome
    from ..cohort.shard import Shard
    from ..pipeline import Pipeline, Progress


def find(inputs: Sequence[Path], console: Console) -> tuple[list[Path], int]:
    """The scans at the inputs, each once, and how many inputs held none."""
    from ..io.ct import find_scans

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


def make_writable(folder: Path) -> None:
    """Makes the folder for outputs, if it is not there.

    Raises:
        SpineError: nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SpineError(f"{folder} cannot be written: {error.strerror}; choose another --output") from error


class Told:
    """Tells a person what becomes of scans: every line begins with the scan's number and name.

    Attributes:
        outcomes: of the scans that have ended.
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console, self._number = console, {name: n for n, name in enumerate(names, 1)}
        self.outcomes: list[Outcome] = []

    def _about(self, job: Job) -> str:
        total = len(self._number)
        return f"[{self._number[job.name]}/{total}] {job.name}: " if total > 1 else f"{job.name}: "

    def begun(self, open: Open) -> None:
        about = self._about(open.job)
        self._console.progress(f"{about}read {open.scan.source}")
        for warning in open.scan.warnings:
            self._console.message(f"{about}warning: {warning}")

    def progress(self, job: Job, step: Progress) -> None:
        if step.done and not step.level:
            # A line for the beginning of a stage is enough.
            return
        part = f", {step.done} of {step.total} ({step.level.title})" if step.level else ""
        self._console.progress(f"{self._about(job)}{step.stage}{part}")

    def again(self, outcome: Outcome) -> None:
        self._console.progress(f"{self._about(outcome.job)}{outcome.reason}: once more when the others are through")

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        about = self._about(outcome.job)
        for warning in outcome.warnings:
            self._console.message(f"{about}warning: {warning}")
        self._console.record(
            {
                "scan": outcome.job.name,
                "input": str(outcome.job.path),
                "status": outcome.status.value,
                "found": outcome.found,
                "files": [str(file) for file in outcome.files],
                "warnings": list(outcome.warnings),
                "error": outcome.reason if outcome.status == "failed" else None,
                "seconds": round(outcome.seconds, 3),
            }
        )
        if outcome.status == "done":
            self._console.result(f"{outcome.job.name}: {outcome.found} -> {outcome.files[0]}")
        elif outcome.status == "failed":
            self._console.message(f"{about}error: {outcome.reason}")
            if outcome.traceback:
                print(outcome.traceback, file=sys.stderr, flush=True)
        else:
            self._console.message(f"{about}{outcome.reason}")


def carry_out(order: Order, scans: Sequence[Path], shard: Shard | None, words: Sequence[str], console: Console) -> int:
    """Carries out an order on the scans of a shard in this process, and returns how many of them failed.

    More than one scan are a cohort: there is a record of the run and a table of all scans then.

    Args:
        words: of the call.
    """
    from ..cohort.batch import run_batch
    from ..cohort.processor import Processor, jobs_of

    jobs = jobs_of(scans, shard)
    if not jobs:
        console.message(f"none of the {len(scans)} scans falls into shard {shard}")
        return 0
    processor = Processor(order)
    told = Told(console, [job.name for job in jobs])
    if len(scans) == 1:
        run_batch(processor, jobs, told)
    else:
        with recorded(order, processor.pipeline, jobs, shard, words, told, console):
            run_batch(processor, jobs, told)
    return sum(outcome.status == "failed" for outcome in told.outcomes)


@contextmanager
def recorded(
    order: Order,
    pipeline: Pipeline,
    jobs: Sequence[Job],
    shard: Shard | None,
    words: Sequence[str],
    told: Told,
    console: Console,
) -> Iterator[None]:
    """Writes the record of a run over many scans when it begins and ends, and then the tables of the cohort.

    The tables are of label maps: a run that ends with boxes or centroids makes none.
    """
    from ..cohort.manifest import Manifest
    from ..cohort.tables import write_tables

    manifest = Manifest.begin(words, order, pipeline, jobs, shard)
    try:
        yield
    except BaseException:
        manifest.end(told.outcomes, interrupted=True)
        raise
    manifest.end(told.outcomes)
    counted = Counter(outcome.status.value for outcome in told.outcomes)
    summary = ", ".join(f"{number} {status}" for status, number in counted.items())
    if order.until != "segmentation":
        console.progress(summary)
        return
    table, problems = write_tables(order.output)
    for problem in problems:
        console.message(f"warning: {problem}")
    console.progress(f"{summary}; all scans: {table}")
