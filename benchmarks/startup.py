"""Seconds until the command line answers and until the module's logic is loaded: ``python benchmarks/startup.py``."""

import os
import resource
import subprocess
import sys
import time

STARTS = {
    "--help": ["-m", "SpineSegmentationLib", "--help"],
    "segment --help": ["-m", "SpineSegmentationLib", "segment", "--help"],
    "the module's logic, in Slicer's process": ["-c", "import SpineSegmentationLib.scene.logic"],
    "the pipeline, in the worker's": ["-c", "import SpineSegmentationLib.pipeline"],
}
TIMES = 3


def processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(f"{len(os.sched_getaffinity(0))} cores; the least of {TIMES}")
    for name, arguments in STARTS.items():
        walls, processors = [], []
        for _ in range(TIMES):
            start, before = time.perf_counter(), processor()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - start)
            processors.append(processor() - before)
        print(f"{name}: {min(walls):.2f} s, of the processor {min(processors):.2f} s")
