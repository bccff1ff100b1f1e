"""Wall time and peak memory of a whole body (512 x 512 x 1925 voxels): read, each format in a process of its own, or
segmented from file to files.

python benchmarks/body.py [--slices N] [--segment] [--formats nii ...] [--system NAME]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.systems import DEFAULT

FORMATS = ("nii.gz", "nii", "nrrd", "mha")

READ = "from SpineSegmentationLib.io.ct import read_ct; read_ct({!r})"

SPACING = (0.9, 0.9, 1.0)


def write(path: Path, slices: int) -> None:
    """A column of soft tissue in air, in it the spine of a phantom from C1 to L5, as far as there are slices; noise in
    every eighth slice of the rest (packing all of it would take minutes)."""
    spine = sitk.GetArrayFromImage(make_phantom(PhantomSpec(seed=1), SPACING).ct)[:slices]
    rng = np.random.default_rng(0)
    image = sitk.Image([512, 512, slices], sitk.sitkInt16)
    begin = (slices - len(spine)) * 3 // 4
    low = [(512 - size) // 2 for size in spine.shape[1:]]
    for number in range(slices):
        plane = np.full((512, 512), -1000, np.int16)
        plane[100:400, 100:400] = 40
        if number % 8 == 0:
            plane += rng.integers(-20, 20, plane.shape).astype(np.int16)
        if 0 <= number - begin < len(spine):
            plane[low[0] : low[0] + spine.shape[1], low[1] : low[1] + spine.shape[2]] = spine[number - begin]
        image[:, :, number] = sitk.GetImageFromArray(plane)
    image.SetSpacing(SPACING)
    sitk.WriteImage(image, str(path), path.suffix in (".gz", ".nrrd"))


def peak_of(*words: str) -> tuple[float, float]:
    """Seconds and peak memory (GiB) of a Python process; ends the program when it fails."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *words])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"python {' '.join(words)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1925)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--segment", action="store_true", help="run segment on it, not only read it")
    parser.add_argument("--system", default=DEFAULT)
    arguments = parser.parse_args()
    size = 512 * 512 * arguments.slices * 2 / 2**30
    print(f"512 x 512 x {arguments.slices} voxels, {size:.2f} GiB as int16, {os.cpu_count()} cores", flush=True)
    for extension in arguments.formats:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"body.{extension}")
            subprocess.run([sys.executable, __file__, "--write", str(path), str(arguments.slices)], check=True)
            if arguments.segment:
                call = ["-m", "SpineSegmentationLib", "segment", str(path), "--output", folder, "--quiet"]
                seconds, peak = peak_of(*call, "--system", arguments.system)
                run = json.loads(Path(folder, "body_run.json").read_text())
                told = f"{len(run['centroids'])} vertebrae, {run['seconds']}"
            else:
                (seconds, peak), told = peak_of("-c", READ.format(str(path))), "read"
            print(f"{extension}: {seconds:.1f} s, peak {peak:.2f} GiB; {told}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
