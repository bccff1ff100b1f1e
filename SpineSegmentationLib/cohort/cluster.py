"""A cohort on many workers, with dask.distributed: one task a scan, the networks loaded once per worker."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import dask
import torch
from distributed import Client, KilledWorker, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker

from ..errors import SpineError
from .order import Order
from .processor import Job, Outcome, Processor, Status

NAME = "spine-networks"


PATIENCE = {
    "distributed.comm.timeouts.connect": "10 minutes",
    "distributed.comm.timeouts.tcp": "10 minutes",
    "distributed.scheduler.worker-ttl": "30 minutes",
}
"""A worker that loads networks, or shares its processors with others, may be silent for long and is not dead."""


class Networks(WorkerPlugin):
    """Loads the networks of an order when a worker starts, and keeps them.

    Of several GPUs that a worker sees, each worker of a computer takes another one; CUDA_VISIBLE_DEVICES tells which it
    sees.

    Args:
        threads: of torch in each worker; None leaves it as it is.
    """

    name = NAME

    def __init__(self, order: Order, threads: int | None = None) -> None:
        self.order, self.threads = order, threads

    def setup(self, worker: Worker) -> None:
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        gpus = torch.cuda.device_count()
        own = f"cuda:{int(worker.name) % gpus}" if gpus > 1 and str(worker.name).isdecimal() else self.order.device
        order = replace(self.order, device=own) if self.order.device == "auto" else self.order
        self.processor = Processor(order)


@contextlib.contextmanager
def cluster(
    workers: int, scheduler: str | None = None, jobqueue: str | None = None, **options: Any
) -> Iterator[Client]:
    """A client of workers that are there as long as the context lasts.

    Args:
        workers: how many to start; with a scheduler none is.
        scheduler: the address of one that runs already.
        jobqueue: ``"slurm"``, ``"pbs"``, ``"sge"``, ``"lsf"``, ``"htcondor"`` or ``"oar"``: workers are jobs of that
            queue (dask-jobqueue), described in ``~/.config/dask/jobqueue.yaml`` or by ``options`` (``queue``,
            ``walltime``, ``cores``, ``memory`` ...).

    Raises:
        SpineError: the scheduler does not answer, or the jobs cannot be described.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(PATIENCE))
        if scheduler is not None:
            address: Any = scheduler
        elif jobqueue is not None:
            address = stack.enter_context(queue(jobqueue, options))
            address.scale(jobs=workers)
        else:
            # One thread each: a worker computes one scan at a time, and torch divides the processors itself.
            address = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, **options))
        try:
            yield stack.enter_context(Client(address, timeout="30s"))
        except OSError as error:
            raise SpineError(f"the scheduler at {scheduler or 'this computer'} does not answer: {error}") from error


def queue(kind: str, options: dict[str, Any]) -> Any:
    """A cluster of dask-jobqueue whose workers are jobs of one process each; none is started.

    Raises:
        SpineError: no such kind of queue, or the jobs cannot be described.
    """
    try:
        import dask_jobqueue
    except ImportError as error:
        raise SpineError("dask-jobqueue is missing; pip install 'SpineSegmentationLib[cluster]'") from error
    classes = {name.removesuffix("Cluster").lower(): name for name in dir(dask_jobqueue) if name.endswith("Cluster")}
    if kind not in classes:
        raise SpineError(f"{kind!r} is no job queue; known are {', '.join(sorted(classes))}")
    try:
        return getattr(dask_jobqueue, classes[kind])(processes=1, **options)
    except (TypeError, ValueError) as error:
        raise SpineError(f"the jobs of {kind} cannot be described: {error}; see dask-jobqueue") from error


def run_on_cluster(
    client: Client, order: Order, jobs: Sequence[Job], ended: Callable[[Outcome], None], threads: int | None = None
) -> list[Outcome]:
    """Works through the scans on the workers of a client; the outcomes in the order of their ends.

    A worker that dies loses only its scan: its lock is free again and another worker takes it over, until several have
    died at it. A scan that failed is tried once more when the others are through. All workers must see input and
    output under the same paths.

    Args:
        ended: told the outcome of each scan once, in this thread.
        threads: see :class:`Networks`.

    Raises:
        SpineError: the workers cannot load the networks.
    """
    client.register_plugin(Networks(order, threads))
    found: list[Outcome] = []

    def work(jobs: Sequence[Job], last: bool) -> list[Job]:
        later = []
        # Not pure: a scan that was met before is to be looked at again.
        futures = {client.submit(_process, job, pure=False): job for job in jobs}
        for future in as_completed(futures):
            outcome = _outcome(future, futures[future])
            if last or outcome.status not in (Status.FAILED, Status.BUSY):
                found.append(outcome)
                ended(outcome)
            else:
                later.append(outcome.job)
            future.release()
        return later

    if later := work(jobs, last=False):
        work(later, last=True)
    return found


def _process(job: Job) -> Outcome:
    """Runs in a worker."""
    networks = get_worker().plugins[NAME]
    assert isinstance(networks, Networks)
    return networks.processor.process(job)


def _outcome(future: Any, job: Job) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        return Outcome(job, Status.FAILED, f"{job.path}: the workers die at it, perhaps for lack of memory")
    return Outcome(job, Status.FAILED, f"{job.path}: {' '.join(str(error).split())}")
