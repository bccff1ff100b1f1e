"""Masks of real scans judged without any truth, the strangest first: measures and pictures.

    python benchmarks/plausible.py DATA [--weights DIR] [--coarsest MM] [--pictures N] [--output DIR]

DATA is a folder with ``ct/<case>/`` (see CONTRIBUTING). Every scan is segmented from its true centroids. Written:
``vertebrae.csv``, ``results.md``, which is also printed, and a picture of each of the N strangest vertebrae.
"""

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib import pyplot
from measuring import add_stages, markdown, pipeline_of

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.pictures.snapshot import look_up
from SpineSegmentationLib.segmentation.mask import VertebraMask, merge
from SpineSegmentationLib.segmentation.plausibility import (
    asymmetry,
    missed_bone,
    no_bone,
    overlap,
    sizes,
    tissue,
    unlike_neighbours,
)
from SpineSegmentationLib.spine import Centroids

WIDE = {"missed": 0.1, "empty": 0.02, "asymmetry": 0.1, "overlap": 0.05, "volume": 0.15, "height": 0.15, "depth": 0.1}
"""How far each measure may lie from its median: a vertebra is as strange as its strangest measure, in these units."""

COLUMNS = {
    "scan": ("scan", ""), "level": ("level", ""), "strange": ("strange", ".1f"), "why": ("by", ""),
    "missed": ("bone missed", ".2f"), "empty": ("no bone", ".3f"), "asymmetry": ("asymmetry", ".2f"),
    "overlap": ("overlap", ".2f"), "volume": ("volume", ".2f"), "height": ("height", ".2f"), "depth": ("depth", ".2f"),
}  # fmt: skip
SIDE, PIXEL = 120.0, 0.6  # mm, of a picture


def judged(
    ct: sitk.Image, masks: Mapping[Level, VertebraMask], label_map: sitk.Image, centroids: Centroids
) -> list[dict]:
    """A row per vertebra of a scan; sizes are divided by what the neighbours suggest."""
    values = tissue(ct, centroids)
    measures = {
        "missed": missed_bone(ct, label_map, centroids, values.bone),
        "empty": no_bone(ct, label_map, values.dark),
        "asymmetry": asymmetry(label_map, centroids),
        "overlap": overlap(masks),
    }
    factors = unlike_neighbours(sizes(label_map, centroids))
    for number, name in enumerate(("volume", "height", "depth")):
        measures[name] = {level: factor[number] for level, factor in factors.items()}
    return [
        {"level": level, **{name: found.get(level, float("nan")) for name, found in measures.items()}}
        for level in centroids.levels
    ]


def rank(rows: list[dict]) -> None:
    """Says of every row how strange it is, and by what, and puts the strangest first."""
    middle = {name: np.nanmedian([row[name] for row in rows]) for name in WIDE}
    for row in rows:
        away = {name: abs(row[name] - middle[name]) / wide for name, wide in WIDE.items()}
        away = {name: value for name, value in away.items() if not np.isnan(value)}
        row["why"] = max(away, key=away.get)
        row["strange"] = away[row["why"]]
    rows.sort(key=lambda row: -row["strange"])


def draw(ct: sitk.Image, label_map: sitk.Image, centre: np.ndarray, level: Level, title: str, path: Path) -> None:
    """Sagittal, coronal and axial plane through a vertebra, its mask in red and all others in blue."""
    steps = np.arange(-SIDE / 2, SIDE / 2, PIXEL)
    middle = centre + [0.0, 15.0, 0.0]
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for plot, (across, down) in zip(axes, ((1, 2), (0, 2), (0, 1)), strict=True):
        points = np.broadcast_to(centre if (across, down) == (0, 2) else middle, (len(steps), len(steps), 3)).copy()
        points[..., across] = middle[across] + steps[None, :]
        points[..., down] = (middle[down] + steps[:, None]) if down == 1 else (centre[2] - steps[:, None])
        plot.imshow(look_up(ct, points, -1000, order=1), cmap="gray", vmin=-250, vmax=1000)
        labels = look_up(label_map, points, 0)
        for shown, colour in ((labels == level, "red"), ((labels > 0) & (labels != level), "deepskyblue")):
            if shown.any() and not shown.all():
                plot.contour(shown, levels=[0.5], colors=colour, linewidths=0.9)
        plot.axis("off")
    figure.suptitle(title)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def report(rows: list[dict], output: Path) -> str:
    """Writes the table of all vertebrae and returns its top and what is usual as markdown."""
    with open(output / "vertebrae.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(COLUMNS))
        writer.writeheader()
        writer.writerows({key: row[key] for key in COLUMNS} for row in rows)
    usual = [
        {"scan": f"**{percent} of 100 lie under**"}
        | {name: float(np.nanpercentile([row[name] for row in rows], percent)) for name in WIDE}
        for percent in (5, 50, 95)
    ]
    return markdown(COLUMNS, [*usual, *rows[:40]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, metavar="DIR")
    parser.add_argument("--coarsest", type=float, default=3.5, metavar="MM", help="voxels, of the scans to judge")
    parser.add_argument("--pictures", type=int, default=20, metavar="N")
    parser.add_argument("--output", type=Path, default=Path("runs/plausible"))
    add_stages(parser)
    arguments = parser.parse_args()
    pipeline = pipeline_of(arguments, arguments.weights)
    rows, scans = [], {}
    for folder in sorted((arguments.data / "ct").iterdir()):
        ct = read_ct(folder / "ct.nii.gz", force=True).image
        if max(ct.GetSpacing()) > arguments.coarsest:
            continue
        centroids = read_centroids(folder / "centroids.json", ct)
        masks = pipeline.find(ct, centroids=centroids).masks
        scans[folder.name] = ct, merge(masks, ct), centroids
        rows += [{"scan": folder.name, **row} for row in judged(ct, masks, scans[folder.name][1], centroids)]
    finish(rows, scans, arguments.pictures, arguments.output)


def finish(
    rows: list[dict], scans: Mapping[str, tuple[sitk.Image, sitk.Image, Centroids]], pictures: int, output: Path
) -> None:
    """Ranks the rows of all scans (CT, label map, centroids) and writes table and pictures."""
    rank(rows)
    output.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows[:pictures], start=1):
        ct, label_map, centroids = scans[row["scan"]]
        centre = np.array(centroids[row["level"]].position)
        title = f"{number}  {row['scan']} {row['level'].name}: {row['why']} {row[row['why']]:.2f}"
        draw(ct, label_map, centre, row["level"], title, output / f"{number:02d}.png")
    for row in rows:
        row["level"] = row["level"].name
    text = report(rows, output)
    (output / "results.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
