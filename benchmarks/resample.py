"""Seconds to read a CT and to bring it to the grids of the networks: python benchmarks/resample.py [FILE]

Without a file: noise of the size of a chest CT (512 x 512 x 275 voxels of 0.78 x 0.78 x 1 mm).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.resampling import resample


def chest_like() -> sitk.Image:
    """Noise, packed about as well as a real chest CT."""
    noise = np.random.default_rng(0).integers(-60, 60, (275, 512, 512), np.int16) * 8
    noise[:, :, :256] -= 500
    noise[:, 250:260, 300:310] = 800
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing((0.78, 0.78, 1.0))
    return image


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def peak_mb() -> float:
    """Largest resident size so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "chest.nii.gz")
        if len(sys.argv) == 1:
            write_image(chest_like(), path)
        threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
        print(f"{os.cpu_count()} cores, {threads} threads, {path.stat().st_size / 1e6:.0f} MB packed")
        print(f"read               {seconds(lambda: read_ct(path)):6.2f} s")
        scan = read_ct(path)
        print(f"size               {' x '.join(map(str, scan.image.GetSize()))}, peak {peak_mb():.0f} MB")
        for spacing in (4, 2, 1):
            took = seconds(lambda spacing=spacing: resample(scan.image, spacing))
            print(f"resample to {spacing} mm   {took:6.2f} s, peak {peak_mb():.0f} MB")


if __name__ == "__main__":
    main()
