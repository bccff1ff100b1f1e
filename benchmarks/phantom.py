"""Seconds per phantom, for the sizes the networks train on and for the demo: ``python benchmarks/phantom.py``."""

import os
import time

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom

SAMPLES = {
    "detection, 4 mm, 64x64x80": lambda seed: make_phantom(seed, (4, 4, 4), (64, 64, 80)),
    "labelling, 2 mm, 96x96x128": lambda seed: make_phantom(seed, (2, 2, 2), (96, 96, 128)),
    "segmentation, 1 mm, 128x128x128": lambda seed: make_phantom(seed, (1, 1, 1), (128, 128, 128)),
    "demo, 1x1x1.5 mm, T9 to L5": lambda seed: make_phantom(
        PhantomSpec(seed=seed, first=Level.T9, margin=25), (1, 1, 1.5)
    ),
}

if __name__ == "__main__":
    print(f"{len(os.sched_getaffinity(0))} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}")
    for name, make in SAMPLES.items():
        start = time.perf_counter()
        for seed in range(8):
            make(seed)
        print(f"{name}: {(time.perf_counter() - start) / 8:.3f} s")
