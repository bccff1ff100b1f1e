"""One scan after the other: read, computed, written; each step apart, so that steps of different scans may overlap."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from ..errors import SpineError
from ..exchange.checks import misnamed
from ..io.ct import Scan, read_ct
from ..io.given import read_given
from ..io.values import read_json
from ..pipeline import Progress, Result
from ..results.files import LABEL_MAP, RUN
from ..results.names import output_names
from ..results.outputs import existing, run_json, write_outputs
from ..spine import Centroids
from .claim import Claim
from .content import Content
from .failure import reason
from .order import Order, difference
from .shard import Shard


@dataclass(frozen=True)
class Job:
    """A scan to be worked on, and what its outputs are called."""

    path: Path
    name: str


def jobs_of(scans: Sequence[Path], shard: Shard | None = None) -> list[Job]:
    """The scans that fall into a shard, named as in the list of all.

    Raises:
        SpineError: two scans cannot be told apart.
    """
    jobs = [Job(path, name) for path, name in zip(scans, output_names(scans), strict=True)]
    return [job for job in jobs if shard is None or shard.holds(job.name)]


class Status(str, Enum):
    """What became of a scan; the values are what files hold."""

    DONE = "done"
    SKIPPED = "skipped"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of a scan.

    Attributes:
        reason: why it failed or was left alone, one line.
        traceback: of an error that no person can mend.
        found: the names of the vertebrae, or the corners of the box; in words when there are none.
        files: what was written.
        warnings: of the computation, one line each.
        content: of the scan, if it was read.
        seconds: from the beginning of reading to the end of writing.
    """

    job: Job
    status: Status
    reason: str = ""
    traceback: str = ""
    found: str = ""
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    content: Content | None = None
    seconds: float = 0.0


@dataclass
class Open:
    """A scan that is being worked on: claimed and read, later computed."""

    job: Job
    claim: Claim
    content: Content
    scan: Scan
    began: float
    reading: float
    result: Result | None = None


@dataclass
class Processor:
    """Carries out an order; keeps the networks loaded. No step raises for a bad scan: it becomes the outcome.

    Raises:
        SpineError: (when made) the order cannot be carried out at all.
    """

    order: Order
    given: dict = field(init=False)

    def __post_init__(self) -> None:
        self.given = self.order.given()
        self.pipeline = self.order.pipeline()

    def read(self, job: Job) -> Open | Outcome:
        """Claims and reads a scan; an outcome when it is done already, busy or cannot be read."""
        claim = None
        try:
            claim = Claim.take(self.order.output, job.name)
            if claim is None:
                return Outcome(job, Status.BUSY, "another process is at it")
            if done := self._done(job):
                claim.release()
                return Outcome(job, Status.SKIPPED, "done before, skipped; --overwrite does it again", content=done)
            began = time.perf_counter()
            scan = read_ct(job.path, series=self.order.series, force=self.order.force)
            reading = time.perf_counter() - began
            return Open(job, claim, Content.of(job.path), scan, began, reading)
        except BaseException as error:
            if claim is not None:
                claim.release()
            if not isinstance(error, Exception):
                raise
            return self._failed(job, error)

    def compute(self, open: Open, progress: Callable[[Progress], None] = lambda step: None) -> Outcome | None:
        """Runs the stages; None when that went well, and :meth:`write` may follow."""
        order, image = self.order, open.scan.image
        try:
            given = read_given(order.centroids, open.scan) if order.centroids else None
            result = self.pipeline.run(
                image,
                box=order.box,
                centroids=given,
                only=order.only,
                until=order.until,
                sacrum=order.sacrum,
                progress=progress,
            )
            open.result = replace(result, warnings=(*result.warnings, *misnamed(given or Centroids())))
        except BaseException as error:
            open.claim.release()
            if not isinstance(error, Exception):
                raise
            return self._failed(open.job, error, open)
        return None

    def write(self, open: Open) -> Outcome:
        """Writes the files of a computed scan and lets it go."""
        order, job, result = self.order, open.job, open.result
        assert result is not None
        try:
            run = run_json(self.pipeline, open.scan, result, self.given, open.reading)
            run["until"] = order.until
            run["input"] |= {"path": str(job.path.resolve()), "content": open.content.to_json()}
            more = order.extras.writers(
                job.name,
                open.scan,
                result.part,
                result.centroids,
                f"Spine Segmentation, {order.system}",
                by_hand=order.centroids is not None,
            )
            files = write_outputs(order.output, job.name, order.until, open.scan, result, run, more, order.calibration)
        except Exception as error:
            return self._failed(job, error, open)
        finally:
            open.claim.release()
        return Outcome(
            job,
            Status.DONE,
            found=_found(order, result),
            files=tuple(files),
            warnings=result.warnings,
            content=open.content,
            seconds=time.perf_counter() - open.began,
        )

    def process(self, job: Job, progress: Callable[[Progress], None] = lambda step: None) -> Outcome:
        """All three steps."""
        open = self.read(job)
        if isinstance(open, Outcome):
            return open
        return self.compute(open, progress) or self.write(open)

    def _done(self, job: Job) -> Content | None:
        """The content of the scan, if its results are there and were made in this very way.

        Raises:
            SpineError: there are results, but of another scan or made otherwise, only some of the files, or
                a label map that this order would not replace.
        """
        order = self.order
        whole = order.output / LABEL_MAP.format(job.name)
        if order.until != "segmentation" and whole.exists():
            raise SpineError(f"{whole} is there, and would not go with what is found anew; give another --output")
        if order.overwrite or not existing(order.output, job.name, order.until):
            return None
        path = order.output / RUN.format(job.name)
        run = read_json(path)
        recorded = run.get("input") if isinstance(run, dict) else None
        content = Content.from_json(recorded.get("content")) if isinstance(recorded, dict) else None
        if content is None or not content.is_of(job.path):
            raise SpineError(
                f"{path} is of another scan than {job.path} is now; --overwrite replaces the results, or give another "
                "--output"
            )
        if how := difference(run, order, self.pipeline):
            raise SpineError(f"{path}: made {how}; --overwrite replaces the results, or give another --output")
        return content

    def _failed(self, job: Job, error: Exception, open: Open | None = None) -> Outcome:
        line, told = reason(error, job.path)
        return Outcome(job, Status.FAILED, line, told, content=open.content if open else None)


def _found(order: Order, result: Result) -> str:
    if order.until == "detection":
        corners = [*result.box.lower, *result.box.upper] if result.box else []
        return ",".join(f"{value:.1f}" for value in corners) or "no spine"
    shown = result.centroids.only(order.only) if order.only else result.centroids
    return " ".join(level.name for level in shown.levels) or "no vertebra"
