"""Wall time and peak memory of reading a whole body (512 x 512 x 1925 voxels), each format in a process of its own.

python benchmarks/reading.py [--slices N]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

FORMATS = ("nii.gz", "nii", "nrrd", "mha")

READ = "from SpineSegmentationLib.io.ct import read_ct; read_ct({!r})"


def write(path: Path, slices: int) -> None:
    """A column of soft tissue with bone in air, noise in every eighth slice (packing all of it would take minutes)."""
    rng = np.random.default_rng(0)
    image = sitk.Image([512, 512, slices], sitk.sitkInt16)
    for number in range(slices):
        plane = np.full((512, 512), -1000, np.int16)
        plane[100:400, 100:400] = 40
        plane[240:270, 240:270] = 700
        if number % 8 == 0:
            plane += rng.integers(-20, 20, plane.shape).astype(np.int16)
        image[:, :, number] = sitk.GetImageFromArray(plane)
    image.SetSpacing((0.9, 0.9, 1.0))
    sitk.WriteImage(image, str(path), path.suffix in (".gz", ".nrrd"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=1925)
    arguments = parser.parse_args()
    print(
        f"512 x 512 x {arguments.slices} voxels, {512 * 512 * arguments.slices * 2 / 2**30:.2f} GiB as int16, ", end=""
    )
    print(f"{os.cpu_count()} cores")
    for extension in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"body.{extension}")
            subprocess.run([sys.executable, __file__, "--write", str(path), str(arguments.slices)], check=True)
            start = time.perf_counter()
            child = subprocess.Popen([sys.executable, "-c", READ.format(str(path))])
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                sys.exit(f"{path.name} could not be read")
            print(
                f"{extension}: {time.perf_counter() - start:.1f} s, peak {usage.ru_maxrss / 2**20:.2f} GiB", flush=True
            )


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--write":
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
