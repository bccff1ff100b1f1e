"""Time and peak memory of scoring one large scan: 512 x 512 x 600 voxels, 20 vertebrae.

python benchmarks/evaluate.py
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import STANDARD
from SpineSegmentationLib.evaluation.command import score_folders
from SpineSegmentationLib.evaluation.metrics import segmentation_scores
from SpineSegmentationLib.io.writing import write_image

SHAPE, SPACING = (600, 512, 512), (0.6, 0.6, 1.0)
LEVELS = STANDARD[4:]


def phantom(offset: float) -> sitk.Image:
    """Ellipsoids with a long process, 29 mm apart, about 70 x 100 x 25 mm each, all moved by ``offset`` mm."""
    labels = np.zeros(SHAPE, np.uint8)
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    y, x = y * SPACING[1] - 150 - offset, x * SPACING[0] - 150 + offset
    for number, level in enumerate(LEVELS):
        centre = 20 + 29 * number + offset
        for k in range(max(0, int(centre - 14)), min(SHAPE[0], int(centre + 14))):
            z = k * SPACING[2] - centre
            body = (x / 50) ** 2 + (y / 35) ** 2 + (z / 13) ** 2 < 1
            process = (abs(x) < 5) & (abs(y - 40) < 30) & (abs(z) < 6)
            labels[k][body | process] = level
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING)
    return image


def main() -> None:
    truth, predicted = phantom(0.0), phantom(1.5)
    start = time.perf_counter()
    scores = segmentation_scores(truth, predicted)
    measures = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        truth_folder, predictions = Path(folder, "truth"), Path(folder, "prediction")
        for where, mask in ((truth_folder, truth), (predictions, predicted)):
            where.mkdir()
            write_image(mask, where / "scan_seg-vert_msk.nii.gz")
        ct = sitk.Cast(truth, sitk.sitkInt16) * 20 - 100
        write_image(ct, truth_folder / "scan_ct.nii.gz")
        del truth, predicted, ct
        start = time.perf_counter()
        score_folders(truth_folder, {"phantom": predictions})
        whole = time.perf_counter() - start
    result = {
        "voxels": "x".join(map(str, SHAPE[::-1])),
        "vertebrae": len(scores.dice),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "measures_seconds": round(measures, 2),
        "from_files_with_picture_seconds": round(whole, 2),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "mean_dice": round(scores.dice_mean, 4),
        "mean_hd_mm": round(scores.hd_mean, 2),
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
