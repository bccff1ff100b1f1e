"""``cohort``."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from ..errors import SpineError
from . import segment
from .batch import Told, find, make_writable, recorded
from .console import OK, SOME_FAILED, UNUSABLE, Console
from .stages import order_of

ABOUT = "segment on many workers, here or on a cluster, with Dask"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    segment.add_arguments(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask scheduler that runs, such as tcp://10.0.0.1:8786"
    )
    where.add_argument("--jobqueue", metavar="KIND", help="start workers as jobs: slurm, pbs, sge, lsf, htcondor, oar")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="to start, here or as jobs")
    parser.add_argument("--memory", metavar="SIZE", help="limit of each worker, such as 8GB")
    parser.add_argument(
        "--job",
        metavar="KEY=VALUE",
        nargs="+",
        default=[],
        help="of the jobs: queue, walltime, cores ...",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    try:
        from ..cohort.cluster import cluster, run_on_cluster
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[cluster]'") from error
    from ..cohort.processor import jobs_of
    from ..cohort.shard import Shard

    if arguments.workers < 1:
        raise SpineError("--workers must be at least 1")
    scans, failed = find(arguments.input, console)
    if not scans:
        return UNUSABLE
    make_writable(arguments.output)
    order = order_of("segmentation", arguments, scans)
    # Workers may run in other folders.
    order = replace(order, output=order.output.absolute())
    jobs = jobs_of([scan.absolute() for scan in scans], Shard.parse(arguments.shard) if arguments.shard else None)
    told = Told(console, [job.name for job in jobs])
    words = (word.partition("=") for word in arguments.job)
    options = {key: int(value) if value.isdecimal() else value for key, _, value in words}
    local = arguments.scheduler is None and arguments.jobqueue is None
    if arguments.memory:
        options["memory_limit" if local else "memory"] = arguments.memory
    threads = max(1, (os.cpu_count() or 1) // arguments.workers) if local else None
    # Names and weights are checked here, before any worker is started.
    pipeline = order.pipeline()
    with cluster(arguments.workers, arguments.scheduler, arguments.jobqueue, **options) as client:
        assert client.scheduler is not None  # the client is connected
        console.progress(f"scheduler {client.scheduler.address}, dashboard {client.dashboard_link}")
        with recorded(order, pipeline, jobs, None, arguments.words, told, console):
            run_on_cluster(client, order, jobs, told.ended, threads)
    failed += sum(outcome.status == "failed" for outcome in told.outcomes)
    return SOME_FAILED if failed else OK
