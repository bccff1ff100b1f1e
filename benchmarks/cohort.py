"""Scans per hour, peak memory and growth of memory of a batch: in line, overlapped, and in two processes.

    python benchmarks/cohort.py [CT...] [--phantoms N] [--small] [--ways ...] [--device cpu] [--system NAME]

Without CTs, N phantoms are measured, with --small ones of two vertebrae. All ways are measured one after the other on
the same scans; on a machine that does other work, too, only their ratios mean something.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.cohort.batch import run_batch
from SpineSegmentationLib.cohort.order import Order
from SpineSegmentationLib.cohort.processor import Processor, jobs_of
from SpineSegmentationLib.cohort.shard import Shard
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.systems import DEFAULT

WAYS = {"in line": (False, 1), "overlapped": (True, 1), "two processes": (True, 2)}
"""Whether reading and writing overlap the computation, and the number of processes, one shard each."""


class Memory:
    """Watches a batch: resident memory after every scan, MiB."""

    def __init__(self) -> None:
        self.resident: list[float] = []

    def begun(self, open) -> None:
        pass

    def progress(self, job, step) -> None:
        pass

    def again(self, outcome) -> None:
        pass

    def ended(self, outcome) -> None:
        if outcome.status != "done":
            raise SystemExit(f"{outcome.job.name}: {outcome.reason}")
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.resident.append(pages * resource.getpagesize() / 2**20)


def work(scans, order, shard, overlap, ready, results) -> None:
    """In a process of its own: loads the networks, waits for the others, works."""
    processor, memory = Processor(order), Memory()
    ready.wait()
    start = time.perf_counter()
    run_batch(processor, jobs_of(scans, shard), memory, overlap)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    results.put((time.perf_counter() - start, peak, memory.resident))


def measure(scans, way, system, device) -> None:
    overlap, count = WAYS[way]
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(count), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        order = Order(Path(folder), system=system, device=device)
        shards = [Shard(number, count) for number in range(1, count + 1)]
        processes = [context.Process(target=work, args=(scans, order, s, overlap, ready, results)) for s in shards]
        for process in processes:
            process.start()
        found = [results.get() for _ in processes]
        for process in processes:
            process.join()
    seconds = max(one[0] for one in found)
    line = f"{way}: {3600 * len(scans) / seconds:.0f} scans per hour, peak memory {sum(f[1] for f in found):.0f} MiB"
    resident = found[0][2]
    if count == 1 and len(resident) >= 20:
        tenth = len(resident) // 10
        early, late = max(resident[tenth : 2 * tenth]), max(resident[-tenth:])
        line += f"; resident {early:.0f} MiB in the second tenth, {late:.0f} MiB in the last: {late / early - 1:+.1%}"
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="*")
    parser.add_argument("--phantoms", type=int, default=20)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--system", default=DEFAULT)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scans = arguments.ct
        for number in range(0 if scans else arguments.phantoms):
            if arguments.small:
                spec, spacing = PhantomSpec(seed=number, first=Level.L2, last=Level.L3, field=(110, 120)), (2, 2, 2)
            else:
                spec, spacing = PhantomSpec.random(number, field=(200, 180)), (1, 1, 1.5)
            path = Path(folder, f"phantom{number:04}.nii.gz")
            write_image(make_phantom(spec, spacing).ct, path)
            scans = [*scans, path]
        print(f"{len(scans)} scans, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, {arguments.system}")
        for way in arguments.ways:
            measure(scans, way, arguments.system, arguments.device)


if __name__ == "__main__":
    main()
