"""Wall time per stage and peak memory of the whole pipeline, of more and fewer vertebrae, and of one alone.

    python benchmarks/pipeline.py [CT] [--centroids FILE] [--system NAME] [--labeller NAME ...] [--device cpu]

Without a CT a phantom of 13 vertebrae is measured.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from measuring import add_stages, pipeline_of

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom


def peak() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--centroids", type=Path, help="segment these instead of what is found")
    add_stages(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.ct
        if path is None:
            path = Path(folder) / "phantom.nii.gz"
            phantom = make_phantom(
                PhantomSpec(seed=1, first=Level.T1, last=Level.L1, field=(360, 300)), (0.8, 0.8, 1.25)
            )
            write_image(phantom.ct, path)
        start = time.perf_counter()
        ct = read_ct(path).image
        reading = time.perf_counter() - start
    print(f"{path.name}: {ct.GetSize()} voxels, {os.cpu_count()} cores, {arguments.system}, device {arguments.device}")
    start = time.perf_counter()
    pipeline = pipeline_of(arguments)
    for stage in ("detection", "labelling", "segmentation"):
        pipeline.stage(stage)
    print(f"reading {reading:.1f} s, loading the networks {time.perf_counter() - start:.1f} s")
    result = pipeline.run(ct)
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
    print(f"found {len(result.centroids)} vertebrae: {stages}; in all {sum(result.seconds.values()):.1f} s")
    centroids = read_centroids(arguments.centroids, ct) if arguments.centroids else result.centroids
    for count in sorted({1, 4, 8, len(centroids)}):
        levels = centroids.levels[:count]
        start = time.perf_counter()
        pipeline.run(ct, centroids=centroids, only=levels)
        print(f"given the centroids, {count} segmented: {time.perf_counter() - start:.1f} s")
    print(f"peak memory {peak()}")


if __name__ == "__main__":
    main()
