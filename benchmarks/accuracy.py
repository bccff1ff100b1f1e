"""Accuracy on the validation scans and on held-out phantoms: the numbers of docs/results.md.

    python benchmarks/accuracy.py [DATA] [--phantoms N] [--output DIR]

DATA is a folder with ``ct/<case>/`` (see CONTRIBUTING); without it only phantoms are measured. Phantoms are random
people in views that show the skull or the sacrum, and again in random windows, of which some show no landmark at all.
Each scan is run twice: from the CT alone, and from the true centroids (segmentation alone). Written: the predictions,
the evaluation's report, and ``results.md``, which is also printed.
"""

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.ct import read_ct
from SpineSegmentationLib.evaluation.command import evaluate
from SpineSegmentationLib.evaluation.dataset import find_scans, read_annotation
from SpineSegmentationLib.outputs import run_json, write_outputs, write_phantom
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.training.subjects import VALIDATION

PHANTOM_SPACING = (1.0, 1.0, 2.0)
VIEWS = ((Level.C1, Level.T4), (Level.T8, Level.L5), (Level.C1, Level.L5))
"""Neck, back and whole column: what shows the skull or the sacrum, so that the levels can be told."""

ROWS = ("scan", "levels", "id.rate", "d_mean [mm]", "shift", "Dice", "ASSD [mm]", "HD [mm]",
        "Dice, true centroids", "ASSD, true centroids", "box holds", "seconds")  # fmt: skip


def collect(data: Path | None, phantoms: int, truth: Path) -> None:
    """Puts the scans to measure into one folder per data set below ``truth``."""
    if data is not None:
        for case in VALIDATION:
            shutil.copytree(data / "ct" / case, truth / "real" / case, ignore=shutil.ignore_patterns("ct_4mm*"))
    for seed in range(phantoms):  # training uses seeds from 1000 on
        person = PhantomSpec.random(seed, field=(150.0, 170.0), noise=20.0)
        write_phantom(make_phantom(person, PHANTOM_SPACING), truth / "window", f"window{seed:03d}")
        first, last = VIEWS[seed % len(VIEWS)]
        view = replace(person, first=first, last=last, margin=25.0, offset=(0.0, 0.0, 0.0))
        write_phantom(make_phantom(view, PHANTOM_SPACING), truth / "view", f"view{seed:03d}")


def number(value: float, digits: int = 2) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--phantoms", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.output, ignore_errors=True)
    truth = arguments.output / "truth"
    collect(arguments.data, arguments.phantoms, truth)
    for method in ("anduin", "given"):
        (arguments.output / method).mkdir()

    pipeline = Pipeline(device=arguments.device)
    boxes: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for files in find_scans(truth):
        print(files.name, file=sys.stderr)
        scan = read_ct(files.ct, force=True)
        annotation = read_annotation(files, scan.image)
        result = pipeline.run(scan.image)
        write_outputs(arguments.output / "anduin", files.name, "segmentation", scan, result,
                      run_json(pipeline, scan, result, {}, 0.0))  # fmt: skip
        inside = result.box.contains(annotation.centroids.positions) if result.box else np.zeros(0)
        boxes[files.name] = f"{int(inside.sum())}/{len(annotation.centroids)}"
        seconds[files.name] = sum(result.seconds.values())
        if annotation.mask is not None:
            levels = np.unique(sitk.GetArrayViewFromImage(annotation.mask))
            given = pipeline.run(scan.image, centroids=annotation.centroids.only(
                point.level for point in annotation.centroids if point.level in levels))  # fmt: skip
            write_outputs(arguments.output / "given", files.name, "segmentation", scan, given,
                          run_json(pipeline, scan, given, {"centroids": "truth"}, 0.0))  # fmt: skip

    methods = {"anduin": arguments.output / "anduin", "true centroids": arguments.output / "given"}
    evaluation = evaluate(truth, methods, arguments.output / "report")
    scores = {(r.method, r.scan): r for r in evaluation.results}
    lines = ["| " + " | ".join(ROWS) + " |", "|" + "---|" * len(ROWS)]
    for dataset in dict.fromkeys(r.dataset for r in evaluation.results):
        mine = [r for r in evaluation.results if r.dataset == dataset and r.method == "anduin"]
        columns = []
        for r in mine:
            given = scores.get(("true centroids", r.scan))
            values = [r.value(key) for key in ("id_rate", "d_mean", "dice", "assd", "hd")]
            values += [given.value(key) if given else np.nan for key in ("dice", "assd")]
            columns.append(values)
            lines.append("| " + " | ".join([
                r.scan, f"{r.annotated[0].name}-{r.annotated[-1].name}", number(values[0]), number(values[1], 1),
                f"{r.labelling.best_shift:+d}" if r.labelling.best_shift else "", *map(number, values[2:]),
                boxes[r.scan], f"{seconds[r.scan]:.1f}"]) + " |")  # fmt: skip
        means = np.nanmean(np.array(columns), axis=0)
        lines.append("| " + " | ".join([
            f"**mean, {dataset}**", "", number(means[0]), number(means[1], 1), "", *map(number, means[2:]),
            "", f"{np.mean([seconds[r.scan] for r in mine]):.1f}"]) + " |")  # fmt: skip
    text = "\n".join(lines)
    (arguments.output / "results.md").write_text(text + "\n")
    print(f"{os.cpu_count()} cores\n{text}")


if __name__ == "__main__":
    main()
