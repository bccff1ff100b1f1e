"""Masks of several weights in one run, from true centroids: the numbers of docs/results.md.

    python benchmarks/masks.py [DATA] [--weights DIR ...] [--phantoms N] [--system NAME] [--output DIR]

DATA is a folder with ``ct/<case>/`` (see CONTRIBUTING); without it only phantoms are measured. Measured are the shipped
weights and those of every DIR that train wrote, on every case that has a mask: as it is, thinned to slices of 3, 5 and
8 mm (judged on the grid and the mask of the untouched scan), and cut by the border of the scan beside the middle
vertebra (judged on that vertebra); and on N phantoms in views. Cases that are no validation cases have been trained on,
which the table says. Written: ``results.json`` and ``results.md``, which is also printed.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from accuracy import PHANTOM_SPACING, VIEWS, as_in_verse
from measuring import add_stages, markdown, measured, pipeline_of, write_results
from robustness import cropped, thick

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.dataset import levels_of_mask
from SpineSegmentationLib.evaluation.metrics import SegmentationScores, segmentation_scores
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.mask import VertebraMask, merge
from SpineSegmentationLib.spine import Centroids
from SpineSegmentationLib.training.subjects import VALIDATION

SLICES = (3.0, 5.0, 8.0)  # mm
CUTS = {
    "left": (0, 15.0), "right": (0, -15.0), "behind": (1, 35.0), "in front": (1, -5.0), "above": (2, 8.0),
    "below": (2, -8.0),
}  # fmt: skip
"""Where a scan is cut: across which axis (L, P, S), and how many mm from the centroid of its middle vertebra."""

SHIPPED = "shipped"
COLUMNS = {
    "weights": ("weights", ""), "scan": ("scan", ""), "view": ("view", ""), "learnt": ("trained on", ""),
    "masks": ("masks", "d"), "dice": ("Dice", ".3f"), "worst": ("worst", ""), "assd": ("ASSD [mm]", ".2f"),
    "hd": ("HD [mm]", ".1f"), "mixing": ("mixing, worst", ".3f"),
}  # fmt: skip
LEVELS = {"weights": ("weights", ""), "set": ("set", "")} | {
    level.name: (level.name, ".2f") for level in sorted(Level, key=lambda level: level.rank)
}


def cut(ct: sitk.Image, mask: sitk.Image, centre: tuple[float, ...], axis: int, away: float) -> list[sitk.Image]:
    """CT and mask without what lies beyond a plane ``away`` mm from a point."""
    lower, upper = np.full(3, -np.inf), np.full(3, np.inf)
    (upper if away > 0 else lower)[axis] = centre[axis] + away
    return [cropped(image, lower, upper) for image in (ct, mask)]


def real_views(folder: Path) -> Iterator[tuple[str, sitk.Image, sitk.Image, Centroids]]:
    """What is shown of a case: name of the view, CT to segment, true mask, centroids of the vertebrae to judge."""
    ct = read_ct(folder / "ct.nii.gz", force=True).image
    mask = sitk.ReadImage(str(folder / "seg-vert_msk.nii.gz"), sitk.sitkUInt8)
    annotated = read_centroids(folder / "centroids.json", ct)
    marked = annotated.only(levels_of_mask(mask))
    yield "as it is", ct, mask, marked
    for slices in SLICES:
        yield f"{slices:g} mm", thick(ct, slices), mask, marked
    middle = marked.points[len(marked) // 2]
    for side, (axis, away) in CUTS.items():
        part, truth = cut(ct, mask, middle.position, axis, away)
        yield f"cut {side}", part, truth, marked.only([middle.level])


def phantom_view(seed: int) -> tuple[str, sitk.Image, sitk.Image, Centroids]:
    """A person as in accuracy.py: neck, back, or the whole column."""
    person = PhantomSpec.random(seed, field=(150.0, 170.0), noise=20.0)
    first, last = VIEWS[seed % len(VIEWS)]
    if person.thoracic != 12 and last not in person.levels[:12]:
        first = Level.C1
    spec = replace(person, first=first, last=last, margin=25.0, offset=(0.0, 0.0, 0.0))
    phantom = as_in_verse(make_phantom(spec, PHANTOM_SPACING))
    return "as it is", phantom.ct, phantom.label_map, phantom.centroids


def judge(pipeline: Pipeline, ct: sitk.Image, truth: sitk.Image, centroids: Centroids) -> SegmentationScores:
    """The scores of the masks of these vertebrae, on the grid of the true mask."""
    return scores_of(pipeline.find(ct, centroids=centroids).vertebrae, truth)


def scores_of(masks: dict[Level, VertebraMask], truth: sitk.Image) -> SegmentationScores:
    """The scores of these masks alone, on the grid of the true mask."""
    others = {int(level): 0 for level in Level if level not in masks}
    return segmentation_scores(sitk.ChangeLabel(truth, others), merge(masks, truth))


def row_of(scores: SegmentationScores) -> dict:
    """The numbers of one scan in one view."""
    worst = min(scores.dice, key=scores.dice.get)
    return {
        "masks": len(scores.dice),
        "dice": scores.dice_mean,
        "worst": f"{worst.name} {scores.dice[worst]:.2f}",
        "assd": scores.assd_mean,
        "hd": scores.hd_mean,
        "mixing": max(scores.mixing.values()),
        "levels": {level.name: value for level, value in scores.dice.items()},
    }


def level_rows(rows: list[dict]) -> list[dict]:
    """Mean Dice by level of the untouched scans, for real CT and phantoms apart."""
    result = []
    for weights in dict.fromkeys(row["weights"] for row in rows):
        for kind in ("real", "phantom"):
            found: dict[str, list[float]] = {}
            for row in rows:
                if row["weights"] == weights and row["set"] == kind and row["view"] == "as it is":
                    for level, value in row["levels"].items():
                        found.setdefault(level, []).append(value)
            means = {level: float(np.mean(values)) for level, values in found.items()}
            result.append({"weights": weights, "set": kind, **means})
    return result


def mean_rows(rows: list[dict]) -> list[dict]:
    """Over the scans of a set, by weights and view; cuts together."""
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for row in rows:
        view = "cut" if row["view"].startswith("cut") else row["view"]
        groups.setdefault((row["weights"], f"**mean, {row['set']}**", view), []).append(row)
    return [
        {"weights": weights, "scan": scan, "view": view, "masks": sum(row["masks"] for row in group)}
        | {key: float(np.nanmean([row[key] for row in group])) for key in ("dice", "assd", "hd")}
        | {"mixing": max(row["mixing"] for row in group)}
        for (weights, scan, view), group in groups.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path, nargs="+", default=[], metavar="DIR")
    parser.add_argument("--phantoms", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("runs/masks"))
    add_stages(parser)
    arguments = parser.parse_args()
    pipelines = {SHIPPED: pipeline_of(arguments)}
    pipelines |= {folder.name: pipeline_of(arguments, folder) for folder in arguments.weights}
    cases = (arguments.data / "ct").iterdir() if arguments.data else ()
    folders = sorted(folder for folder in cases if (folder / "seg-vert_msk.nii.gz").exists())
    rows = []

    def measure(kind: str, scan: str, learnt: str, view: str, *shown: object) -> None:
        for weights, pipeline in pipelines.items():
            row = {"weights": weights, "set": kind, "scan": scan, "learnt": learnt, "view": view}
            rows.append(row | row_of(judge(pipeline, *shown)))
            print(f"{scan}, {view}, {weights}: {rows[-1]['dice']:.3f}", flush=True)

    for folder in folders:
        for shown in real_views(folder):
            measure("real", folder.name, "" if folder.name in VALIDATION else "yes", *shown)
    for seed in range(arguments.phantoms):  # training uses seeds from 1000 on
        measure("phantom", f"view{seed:03d}", "", *phantom_view(seed))

    means, levels = mean_rows(rows), level_rows(rows)
    text = "\n\n".join([markdown(COLUMNS, [*means, *rows]), markdown(LEVELS, levels)])
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "results.md").write_text(text + "\n")
    used = {name: measured(pipeline) for name, pipeline in pipelines.items()}
    write_results({"used": used, "means": means, "rows": rows, "levels": levels}, arguments.output / "results.json")
    print("\n" + text)


if __name__ == "__main__":
    main()
