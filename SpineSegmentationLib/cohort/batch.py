"""Many scans in this process: the next one is read and the last one written while the networks work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

from ..pipeline import Progress
from .processor import Job, Open, Outcome, Processor, Status


class Watcher(Protocol):
    """Who is told what happens; always in the thread that called."""

    def begun(self, open: Open) -> None:
        """A scan was read, and is computed now."""

    def progress(self, job: Job, step: Progress) -> None:
        """How far the computation of a scan is."""

    def ended(self, outcome: Outcome) -> None:
        """What became of a scan; once for each."""

    def again(self, outcome: Outcome) -> None:
        """A scan failed, or another process is at it; it is looked at again when all others are through."""


def run_batch(processor: Processor, jobs: Sequence[Job], watcher: Watcher, overlap: bool = True) -> list[Outcome]:
    """Works through the scans and returns what became of each, in the order of their ends.

    A scan that failed, or that another process worked on, is looked at once more when the others are through, with
    nothing else in memory. An interruption (KeyboardInterrupt) is passed on after what is being written was written.

    Args:
        overlap: read one scan ahead and write one behind; three scans are in memory then.
    """
    ended: list[Outcome] = []
    later: list[Job] = []

    def end(outcome: Outcome) -> None:
        ended.append(outcome)
        watcher.ended(outcome)

    def first(outcome: Outcome) -> None:
        if len(jobs) > 1 and outcome.status in (Status.FAILED, Status.BUSY):
            later.append(outcome.job)
            watcher.again(outcome)
        else:
            end(outcome)

    _work(processor, jobs, watcher, first, overlap)
    _work(processor, later, watcher, end, overlap=False)
    return ended


def _work(
    processor: Processor, jobs: Iterable[Job], watcher: Watcher, end: Callable[[Outcome], None], overlap: bool
) -> None:
    waiting = deque(jobs)
    read: Future[Open | Outcome] | None = None
    written: Future[Outcome] | None = None
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        try:
            while waiting or read is not None:
                read = read or reader.submit(processor.read, waiting.popleft())
                open, read = read.result(), None
                if overlap and waiting:
                    read = reader.submit(processor.read, waiting.popleft())
                if isinstance(open, Outcome):
                    end(open)
                    continue
                watcher.begun(open)
                failure = processor.compute(open, partial(watcher.progress, open.job))
                if written is not None:
                    # Before the next one is handed over, so that no more than three scans are in memory.
                    end(written.result())
                    written = None
                if failure is not None:
                    end(failure)
                    continue
                written = writer.submit(processor.write, open)
                if not overlap:
                    last, written = written, None
                    end(last.result())
        except BaseException:
            if read is not None and not read.cancel() and isinstance(ahead := read.result(), Open):
                ahead.claim.release()
            raise
        finally:
            if written is not None:
                last, written = written, None
                end(last.result())
