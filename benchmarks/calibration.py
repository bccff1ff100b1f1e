"""How good a mask is by how sure its voxels are: what ``CALIBRATION`` of a segmenter should be.

    python benchmarks/calibration.py DATA [--weights DIR] [--phantoms N] [--output DIR]

DATA is a folder with ``ct/<case>/`` (see CONTRIBUTING). Every case with a mask is segmented from true centroids as it
is, in slices of 3, 5 and 8 mm, with noise, cut beside its middle vertebra, and from centroids that lie 8 to 20 mm
off; N phantoms as they are and from misplaced centroids. The calibration is fitted on the masks that people drew, as
the increasing function nearest to them, and judged on all. Printed: the calibration, and how well it tells good from
bad masks. Written: ``masks.csv`` with every mask, and ``calibration.svg``.
"""

import argparse
import csv
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from masks import phantom_view, real_views, scores_of
from matplotlib.figure import Figure
from measuring import add_stages, pipeline_of
from robustness import noisy
from scipy.optimize import isotonic_regression

from SpineSegmentationLib.evaluation.confidence import area_under_curve
from SpineSegmentationLib.evaluation.figures import svg
from SpineSegmentationLib.segmentation.confidence import FAILED
from SpineSegmentationLib.spine import Centroids
from SpineSegmentationLib.training.subjects import BONES_ONLY

NOISE = 120.0  # HU
MISPLACED = (8.0, 20.0)  # mm
POOR = 0.8  # Dice
SHARES = (0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)
"""Of the masks, the least sure first, that end where a knot's share ends: few are bad, and these count most."""

View = tuple[str, sitk.Image, sitk.Image, Centroids, Centroids]
"""Set, CT, true mask, true centroids, those that the segmenter is given."""


def misplaced(centroids: Centroids, rng: np.random.Generator) -> Centroids:
    """Every centroid 8 to 20 mm off in any direction."""
    away = rng.normal(size=(len(centroids), 3))
    away *= rng.uniform(*MISPLACED, (len(centroids), 1)) / np.linalg.norm(away, axis=1, keepdims=True)
    moved = (replace(c, position=tuple(c.position + step)) for c, step in zip(centroids, away, strict=True))
    return Centroids(tuple(moved))


def views(data: Path, phantoms: int) -> Iterator[View]:
    """Everything that is segmented."""
    rng = np.random.default_rng(0)
    for folder in sorted(path.parent for path in (data / "ct").glob("*/seg-vert_msk.nii.gz")):
        for view, ct, mask, centroids in real_views(folder):
            yield f"{folder.name}, {view}", ct, mask, centroids, centroids
            if view == "as it is":
                yield f"{folder.name}, noise", noisy(ct, NOISE, rng), mask, centroids, centroids
                yield f"{folder.name}, misplaced", ct, mask, centroids, misplaced(centroids, rng)
    for seed in range(phantoms):
        name, ct, mask, centroids = phantom_view(seed)
        yield f"phantom {name}", ct, mask, centroids, centroids
        yield f"phantom {name}, misplaced", ct, mask, centroids, misplaced(centroids, rng)


def kind_of(scan: str) -> str:
    if scan.startswith("phantom"):
        return "phantoms"
    return "bones alone" if scan.split(",")[0] in BONES_ONLY else "drawn by people"


def fitted(expected: np.ndarray, dice: np.ndarray) -> list[tuple[float, float]]:
    """The increasing function nearest to the masks, at the mean of every share."""
    order = np.argsort(expected)
    measured = isotonic_regression(dice[order]).x
    ends = [round(share * len(order)) for share in SHARES]
    parts = [slice(start, end) for start, end in itertools.pairwise(ends)]
    return [(float(expected[order][part].mean()), float(measured[part].mean())) for part in parts]


def told(expected: np.ndarray, dice: np.ndarray, calibration: list[tuple[float, float]]) -> str:
    """How well the calibration tells how good masks are."""
    confidence = np.interp(expected, *zip(*calibration, strict=True))
    warned, poor = confidence < FAILED, dice < POOR
    area = area_under_curve(confidence[~poor], confidence[poor])
    error = np.sqrt(np.mean((confidence - dice) ** 2))
    right = (warned & (dice < 0.85)).sum()
    return f"{len(dice)} | {error:.3f} | {poor.sum()} | {area:.2f} | {warned.sum()} | {right}"


def diagram(kinds: np.ndarray, expected: np.ndarray, dice: np.ndarray, calibration: list) -> Figure:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for kind in np.unique(kinds):
        axes.plot(expected[kinds == kind], dice[kinds == kind], ".", markersize=4, label=kind)
    axes.plot(*zip(*calibration, strict=True), color="black", label="calibration")
    axes.set(xlabel="expected Dice by the probabilities", ylabel="Dice")
    axes.legend(frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, metavar="DIR")
    parser.add_argument("--phantoms", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/calibration"))
    add_stages(parser)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pipeline = pipeline_of(arguments, arguments.weights)
    pipeline.stage("segmentation").calibration = ((0.0, 0.0), (1.0, 1.0))  # the confidence is the expected Dice itself
    rows = []
    for scan, ct, mask, truth, given in views(arguments.data, arguments.phantoms):
        found = pipeline.find(ct, centroids=given)
        expected, scores = found.mask_confidence, scores_of(found.vertebrae, mask)
        rows += [(scan, level.name, expected[level], scores.dice[level]) for level in truth.levels if level in expected]
        print(f"{scan}: {len(truth)} masks", flush=True)
    with open(arguments.output / "masks.csv", "w", newline="") as file:
        csv.writer(file).writerows([("scan", "level", "expected Dice", "Dice"), *rows])

    scans, _, expected, dice = (np.array(column) for column in zip(*rows, strict=True))
    kinds = np.array([kind_of(scan) for scan in scans])
    drawn = kinds == "drawn by people"
    calibration = fitted(expected[drawn], dice[drawn])
    (arguments.output / "calibration.svg").write_bytes(svg(diagram(kinds, expected, dice, calibration)))
    print("CALIBRATION = (" + ", ".join(f"({x:.3f}, {y:.3f})" for x, y in calibration) + ")")
    print(f"masks | number | rms error | Dice under {POOR} | area under the ROC curve | warned of | of them under 0.85")
    for kind in np.unique(kinds):
        print(f"{kind} | {told(expected[kinds == kind], dice[kinds == kind], calibration)}")


if __name__ == "__main__":
    main()
