"""Accuracy on the validation scans and on held-out phantoms: the numbers of docs/results.md.

    python benchmarks/accuracy.py [DATA] [--phantoms N] [--system NAME] [--weights DIR] [--output DIR]

DATA is a folder with ``ct/<case>/`` (see CONTRIBUTING); without it only phantoms are measured. Phantoms are N random
people in views that show the skull or the sacrum, and half of them again in random windows, of which some show no
landmark at all. Their masks are like those of VerSe: vertebrae whose body's centre is not in view are left out.
Each scan is run twice: from the CT alone, and from the true centroids (segmentation alone). Written: the predictions,
the evaluation's report, pictures of the worst scans, ``results.json``, and ``results.md``, which is also printed.
"""

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measuring import add_stages, markdown, measured, pipeline_of, write_results

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.evaluation.command import evaluate
from SpineSegmentationLib.evaluation.confidence import confidence_table
from SpineSegmentationLib.evaluation.dataset import find_scans, levels_of_mask, read_annotation
from SpineSegmentationLib.evaluation.report import Evaluation
from SpineSegmentationLib.evaluation.results import ScanResult
from SpineSegmentationLib.evaluation.tables import pooled
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.phantom import Phantom, PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.results.outputs import run_json, write_outputs, write_phantom
from SpineSegmentationLib.training.subjects import VALIDATION

PHANTOM_SPACING = (1.0, 1.0, 2.0)
VIEWS = ((Level.C1, Level.T4), (Level.T8, Level.L5), (Level.C1, Level.L5))
"""Neck, back and whole column: what shows the skull or the sacrum, so that the levels can be told.

The back of a person with 11 or 13 thoracic vertebrae does not tell: a T13 has ribs as a T12 has. It starts at C1 then.
"""

AUTOMATIC, GIVEN = "from the CT", "true centroids"
SHOWN = 3
"""Worst scans of a data set of which a picture is written."""

SCANS = {
    "scan": ("scan", ""), "levels": ("levels", ""), "id_rate": ("id.rate", ".2f"), "d_mean": ("d_mean [mm]", ".1f"),
    "shift": ("shift", "+d"), "dice": ("Dice", ".2f"), "assd": ("ASSD [mm]", ".2f"), "hd": ("HD [mm]", ".1f"),
    "mixing": ("mixing", ".3f"), "mixing_worst": ("worst", ".3f"), "dice_given": ("Dice, true centroids", ".2f"),
    "assd_given": ("ASSD [mm]", ".2f"), "mixing_given": ("mixing", ".3f"), "mixing_worst_given": ("worst", ".3f"),
    "complete": ("completeness accuracy", ".2f"), "box": ("box holds", ""), "seconds": ("seconds", ".1f"),
}  # fmt: skip
LEVELS = {
    "level": ("level", ""), "count": ("vertebrae", "d"), "id_rate": ("id.rate", ".2f"),
    "d_mean": ("d_mean [mm]", ".1f"), "masks": ("masks", "d"), "dice": ("Dice", ".2f"),
    "dice_given": ("Dice, true centroids", ".2f"), "assd_given": ("ASSD [mm]", ".2f"),
}  # fmt: skip
CONFIDENCE = {
    "data set": ("data set", ""), "right": ("right", "d"), "wrong": ("wrong", "d"), "area": ("area", ".2f"),
    "median confidence, right": ("median confidence, right", ".2f"),
    "median confidence, wrong": ("median confidence, wrong", ".2f"),
}  # fmt: skip


def as_in_verse(phantom: Phantom) -> Phantom:
    """The phantom with a mask of those vertebrae alone whose centroid is in view."""
    left_out = {int(level): 0 for level in Level if level not in phantom.centroids}
    return replace(phantom, label_map=sitk.ChangeLabel(phantom.label_map, left_out))


def collect(data: Path | None, phantoms: int, truth: Path) -> None:
    """Puts the scans to measure into one folder per data set below ``truth``."""
    if data is not None:
        for case in VALIDATION:
            shutil.copytree(data / "ct" / case, truth / "real" / case, ignore=shutil.ignore_patterns("ct_4mm*"))
    for seed in range(phantoms):  # training uses seeds from 1000 on
        person = PhantomSpec.random(seed, field=(150.0, 170.0), noise=20.0)
        first, last = VIEWS[seed % len(VIEWS)]
        if person.thoracic != 12 and last not in person.levels[:12]:
            first = Level.C1
        view = replace(person, first=first, last=last, margin=25.0, offset=(0.0, 0.0, 0.0))
        write_phantom(as_in_verse(make_phantom(view, PHANTOM_SPACING)), truth / "view", f"view{seed:03d}")
        if seed < phantoms // 2:
            window = as_in_verse(make_phantom(person, PHANTOM_SPACING))
            write_phantom(window, truth / "window", f"window{seed:03d}")


def predict(pipeline: Pipeline, truth: Path, automatic: Path, given: Path) -> dict[str, dict]:
    """Runs every scan, twice where it has a mask. Returns what the files do not tell, by the name of the scan."""
    about = {}
    for files in find_scans(truth):
        print(files.name, file=sys.stderr)
        scan = read_ct(files.ct, force=True)
        annotation = read_annotation(files, scan.image)
        result = pipeline.run(scan.image)
        write_outputs(automatic, files.name, "segmentation", scan, result, run_json(pipeline, scan, result, {}, 0.0))
        inside = result.box.contains(annotation.centroids.positions) if result.box else np.zeros(0)
        about[files.name] = {
            "inside": int(inside.sum()),
            "annotated": len(annotation.centroids),
            "seconds": sum(result.seconds.values()),
        }
        if annotation.mask is not None:
            true = annotation.centroids.only(levels_of_mask(annotation.mask))
            result = pipeline.run(scan.image, centroids=true)
            run = run_json(pipeline, scan, result, {"centroids": "truth"}, 0.0)
            write_outputs(given, files.name, "segmentation", scan, result, run)
    return about


def scan_row(result: ScanResult, given: ScanResult | None, about: dict) -> dict:
    """The numbers of one scan."""
    row = {"scan": result.scan, "levels": f"{result.annotated[0].name}-{result.annotated[-1].name}"}
    row |= {key: result.value(key) for key in ("id_rate", "d_mean", "dice", "assd", "hd", "mixing")}
    row["mixing_worst"] = max(result.per_level("mixing").values(), default=float("nan"))
    stated = list(result.complete.values())
    row["complete"] = float(np.mean([true == found for true, found in stated])) if stated else float("nan")
    if given is not None:
        row |= {f"{key}_given": given.value(key) for key in ("dice", "assd", "mixing")}
        row["mixing_worst_given"] = max(given.per_level("mixing").values(), default=float("nan"))
    row |= {"shift": result.labelling.best_shift or None, "box": f"{about['inside']}/{about['annotated']}", **about}
    return row


def mean_row(dataset: str, rows: list[dict]) -> dict:
    """Means over the scans, of the worst mixing the worst, of the box the sum."""
    mean = {"scan": f"**mean, {dataset}**"}
    for key in SCANS:
        values = [row[key] for row in rows if isinstance(row.get(key), float) and not np.isnan(row[key])]
        if values:
            mean[key] = float(max(values) if key.startswith("mixing_worst") else np.mean(values))
    mean["id_rate_worst"] = min(row["id_rate"] for row in rows)
    inside, annotated = (sum(row[key] for row in rows) for key in ("inside", "annotated"))
    return {**mean, "box": f"{inside}/{annotated}", "inside": inside, "annotated": annotated}


def level_rows(automatic: list[ScanResult], given: list[ScanResult]) -> list[dict]:
    """The numbers of one data set by level."""
    rows = []
    for level in COLUMN:
        row = {"level": level.name, "masks": pooled(automatic, "dice", False, level.__eq__)[1]}
        row["id_rate"], row["count"] = pooled(automatic, "id_rate", False, level.__eq__)
        for key in ("d_mean", "dice"):
            row[key] = pooled(automatic, key, False, level.__eq__)[0]
        for key in ("dice", "assd"):
            row[f"{key}_given"] = pooled(given, key, False, level.__eq__)[0]
        if row["count"]:
            rows.append(row)
    return rows


def what_failed(result: ScanResult) -> str:
    """One sentence on a scan."""
    labelling = result.labelling
    # A missing vertebra has its neighbour nearest, which may well be named right.
    named = {true: name for true, name in labelling.named.items() if not labelling.hits.get(name, False)}
    parts = [f"{sum(labelling.hits.values())} of {len(labelling.hits)} identified"]
    if wrong := [f"{true.name} as {name.name}" for true, name in named.items()]:
        parts.append("named wrong: " + ", ".join(wrong))
    if far := [f"{level.name} {away:.0f} mm" for level, away in labelling.distances.items() if away > 8]:
        parts.append("off by more than 8 mm: " + ", ".join(far))
    if labelling.missing:
        parts.append("missing: " + ", ".join(level.name for level in labelling.missing))
    dice = result.per_level("dice")
    if poor := [f"{level.name} {value:.2f}" for level, value in dice.items() if value < 0.8]:
        parts.append("Dice under 0.8: " + ", ".join(poor))
    return "; ".join(parts)


def write_worst(evaluation: Evaluation, folder: Path) -> list[str]:
    """Pictures of the worst scans of every data set, truth beside prediction; returns a line about each."""
    folder.mkdir()
    lines = []
    results = [result for result in evaluation.results if result.method == AUTOMATIC]
    for dataset in dict.fromkeys(result.dataset for result in results):
        mine = [result for result in results if result.dataset == dataset]
        for result in sorted(mine, key=lambda r: (r.value("id_rate"), -np.nan_to_num(r.value("d_mean"))))[:SHOWN]:
            path = folder / f"{result.scan}.jpg"
            path.write_bytes(evaluation.pictures[AUTOMATIC, dataset, result.scan])
            lines.append(f"* `{folder.name}/{path.name}`: {what_failed(result)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--phantoms", type=int, default=12)
    parser.add_argument("--weights", type=Path, metavar="DIR", help="weights before the shipped ones")
    parser.add_argument("--output", type=Path, default=Path("runs/accuracy"))
    add_stages(parser)
    arguments = parser.parse_args()
    output: Path = arguments.output
    shutil.rmtree(output, ignore_errors=True)
    collect(arguments.data, arguments.phantoms, output / "truth")
    folders = {AUTOMATIC: output / "automatic", GIVEN: output / "given"}
    for folder in folders.values():
        folder.mkdir()
    pipeline = pipeline_of(arguments, arguments.weights)
    about = predict(pipeline, output / "truth", *folders.values())
    evaluation = evaluate(output / "truth", folders, output / "report")

    found = {dataset: {AUTOMATIC: [], GIVEN: []} for dataset in dict.fromkeys(r.dataset for r in evaluation.results)}
    for result in evaluation.results:
        # A scan without a mask was not run from its centroids.
        if result.method == AUTOMATIC or result.segmentation is not None:
            found[result.dataset][result.method].append(result)
    scans, means, levels = {}, {}, {}
    for dataset, results in found.items():
        given = {result.scan: result for result in results[GIVEN]}
        scans[dataset] = [scan_row(r, given.get(r.scan), about[r.scan]) for r in results[AUTOMATIC]]
        means[dataset] = mean_row(dataset, scans[dataset])
        levels[dataset] = level_rows(results[AUTOMATIC], results[GIVEN])
    table = confidence_table([result for result in evaluation.results if result.method == AUTOMATIC])
    confidence = [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    text = [markdown(SCANS, (row for dataset in scans for row in [*scans[dataset], means[dataset]]))]
    text += ["Confidence: " + table.about, markdown(CONFIDENCE, confidence)]
    for dataset, rows in levels.items():
        text += [f"By level, {dataset}", markdown(LEVELS, rows)]
    text += ["Worst scans", "\n".join(write_worst(evaluation, output / "pictures"))]
    (output / "results.md").write_text("\n\n".join(text) + "\n")
    values = {**measured(pipeline), "scans": scans, "means": means, "levels": levels, "confidence": confidence}
    write_results(values, output / "results.json")
    print(f"{os.cpu_count()} cores\n" + "\n\n".join(text))


if __name__ == "__main__":
    main()
