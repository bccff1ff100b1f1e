"""What changes of a scan cost, and what is found where there is no spine: the numbers of docs/results.md.

    python benchmarks/robustness.py [DATA] [--system NAME] [--labeller NAME ...] [--output DIR]

DATA is a folder with ``ct/<case>/`` and ``full/<case>/`` (see CONTRIBUTING); without it only the synthetic scans
without a spine are run. Every validation scan is detected and labelled as it is and in each variation; both answers are
scored on the vertebrae that the variation shows. Then come variations that are harder than anyone should expect to be
named right: they tell whether wrong names have a low confidence. Written: ``results.json`` and ``results.md``, which is
also printed.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from measuring import add_stages, markdown, measured, pipeline_of, write_results

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.confidence import area_under_curve
from SpineSegmentationLib.evaluation.metrics import labelling_scores, mean
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.resampling import AIR, resample
from SpineSegmentationLib.spine import Centroids, SpineBox
from SpineSegmentationLib.training.subjects import VALIDATION

WINDOWS = 6
"""Random windows per scan."""

SHORTEST = 3  # vertebrae of a window
SLICES = 3.0  # mm
NOISE = 40.0  # HU
FIELD = 120.0  # mm
SIDE = 100.0  # mm at the border of a chest

HARD_SLICES = 8.0  # mm
HARD_NOISE = 150.0  # HU
HARD_FIELD = 80.0  # mm

VARIATIONS = {
    "variation": ("variation", ""), "scans": ("scans", "d"), "vertebrae": ("vertebrae", "d"),
    "id_rate_before": ("id.rate, untouched", ".3f"), "id_rate": ("id.rate", ".3f"), "points": ("points", "+.1f"),
    "worst": ("worst scan", ".2f"), "d_mean_before": ("d_mean, untouched [mm]", ".1f"),
    "d_mean": ("d_mean [mm]", ".1f"), "right": ("right names", "d"), "wrong": ("wrong", "d"),
    "area": ("area under the ROC curve of their confidence", ".2f"),
}  # fmt: skip
SCANS = {
    "variation": ("variation", ""), "scan": ("scan", ""), "levels": ("levels", ""),
    "id_rate_before": ("id.rate, untouched", ".2f"), "id_rate": ("id.rate", ".2f"),
    "d_mean_before": ("d_mean, untouched [mm]", ".1f"), "d_mean": ("d_mean [mm]", ".1f"), "found": ("found", ""),
}  # fmt: skip
EMPTY = {
    "scan": ("scan", ""), "empty": ("empty answer", ""), "box": ("box", ""), "found": ("named", ""),
    "confidence": ("highest confidence", ".2f"),
}  # fmt: skip


def shows_landmark(levels: tuple[Level, ...]) -> bool:
    """Whether a level can be told from what is in view.

    The landmarks of the VerSe paper (section 4.4): the cranium, the cervico-thoracic and the thoraco-lumbar junction
    (with it the first and the last rib), the sacrum. A junction takes both its vertebrae. C2 counts as well: no other
    has a dens.
    """
    found = set(levels)
    return bool(
        found & {Level.C1, Level.C2, Level.L5, Level.L6}
        or {Level.C7, Level.T1} <= found
        or (found & {Level.T12, Level.T13} and Level.L1 in found)
    )


def cropped(ct: sitk.Image, lower: np.ndarray, upper: np.ndarray) -> sitk.Image:
    """The voxels whose centres lie between two corners (LPS mm, infinite for the border of the scan)."""
    scan = SpineBox.of_image(ct)
    corners = np.clip([lower, upper], scan.lower, scan.upper)
    index = np.array([ct.TransformPhysicalPointToContinuousIndex(corner) for corner in corners])
    start = np.clip(np.ceil(index.min(0)), 0, np.array(ct.GetSize()) - 1).astype(int)
    stop = np.clip(np.floor(index.max(0)) + 1, start + 1, ct.GetSize()).astype(int)
    return sitk.RegionOfInterest(ct, (stop - start).tolist(), start.tolist())


def windows(ct: sitk.Image, truth: Centroids, rng: np.random.Generator, landmark: bool = True) -> Iterator[sitk.Image]:
    """Random parts of the column with three vertebrae or more and a landmark, or without any; as many as there are.

    The next vertebra above and below is cut between the disc and its centre; where none is annotated, the part ends
    with the scan.
    """
    levels, z = truth.levels, truth.positions[:, 2]
    runs = [(i, j) for i in range(len(levels)) for j in range(i + SHORTEST, len(levels) + 1)]
    runs = [run for run in runs if run != (0, len(levels)) and shows_landmark(levels[slice(*run)]) == landmark]
    for number in rng.permutation(len(runs))[:WINDOWS]:
        first, last = runs[number][0], runs[number][1] - 1
        above, below = rng.uniform(0.5, 0.9, 2)
        upper = z[first] + above * (z[first - 1] - z[first]) if first > 0 else np.inf
        lower = z[last] + below * (z[last + 1] - z[last]) if last + 1 < len(z) else -np.inf
        infinite = np.array([np.inf, np.inf])
        yield cropped(ct, np.array([*-infinite, lower]), np.array([*infinite, upper]))


def thick(ct: sitk.Image, slices: float) -> sitk.Image:
    """Resampled to slices of that many mm, as fine as it is in the plane."""
    nearest = np.abs(np.reshape(ct.GetDirection(), (3, 3))).argmax(axis=1)
    width, depth, _ = np.array(ct.GetSpacing())[nearest]
    return resample(ct, (width, depth, slices))


def noisy(ct: sitk.Image, hu: float, rng: np.random.Generator) -> sitk.Image:
    """With Gaussian noise of that many HU."""
    values = sitk.GetArrayFromImage(ct) + rng.normal(0, hu, ct.GetSize()[::-1])
    image = sitk.GetImageFromArray(np.clip(np.rint(values), AIR, 3071).astype(np.int16))
    image.CopyInformation(ct)
    return image


def narrow(ct: sitk.Image, truth: Centroids, field: float) -> sitk.Image:
    """A field of view of that many mm round the column."""
    middle = (truth.positions.min(0) + truth.positions.max(0)) / 2
    reach = np.array([field / 2, field / 2, np.inf])
    return cropped(ct, middle - reach, middle + reach)


def variations(ct: sitk.Image, truth: Centroids, seed: int) -> Iterator[tuple[str, sitk.Image]]:
    """The changes of a scan that should cost nothing, each with its name."""
    rng = np.random.default_rng(seed)
    for window in windows(ct, truth, rng):
        yield f"window of {SHORTEST} vertebrae or more with a landmark", window
    yield "stored along other axes, all flipped", sitk.DICOMOrient(ct, "IAR")
    yield f"slices of {SLICES:g} mm", thick(ct, SLICES)
    yield f"noise of {NOISE:g} HU added", noisy(ct, NOISE, rng)
    yield f"field of view of {FIELD:g} mm", narrow(ct, truth, FIELD)


def hard_variations(ct: sitk.Image, truth: Centroids, seed: int) -> Iterator[tuple[str, sitk.Image]]:
    """Changes that leave too little to name every level by, each with its name."""
    rng = np.random.default_rng([seed, 1])
    for window in windows(ct, truth, rng, landmark=False):
        yield f"window of {SHORTEST} vertebrae or more without a landmark", window
    yield f"slices of {HARD_SLICES:g} mm", thick(ct, HARD_SLICES)
    yield f"noise of {HARD_NOISE:g} HU added", noisy(ct, HARD_NOISE, rng)
    yield f"field of view of {HARD_FIELD:g} mm", narrow(ct, truth, HARD_FIELD)


def variation_rows(pipeline: Pipeline, data: Path) -> tuple[list[dict], list[dict]]:
    """Every validation scan in its variations and its hard ones, scored against the truth, and untouched."""
    rows, hard = [], []
    for number, case in enumerate(VALIDATION):
        ct = read_ct(data / "ct" / case / "ct.nii.gz", force=True).image
        truth = read_centroids(data / "ct" / case / "centroids.json", ct)
        untouched = labelling_scores(truth, pipeline.run(ct, until="labelling").centroids)
        changed = ((rows, variations(ct, truth, number)), (hard, hard_variations(ct, truth, number)))
        for lines, (name, image) in ((lines, change) for lines, changes in changed for change in changes):
            print(f"{case}, {name}", file=sys.stderr)
            inside = SpineBox.of_image(image).contains(truth.positions)
            shown = [level for level, kept in zip(truth.levels, inside, strict=True) if kept]
            found = pipeline.run(image, until="labelling").centroids
            scores = labelling_scores(truth.only(shown), found)
            lines.append({
                "variation": name,
                "scan": case,
                "levels": f"{shown[0].name}-{shown[-1].name}",
                "vertebrae": len(shown),
                "id_rate_before": mean(float(untouched.hits[level]) for level in shown),
                "id_rate": scores.id_rate,
                "d_mean_before": mean(untouched.distances[one] for one in shown if one in untouched.distances),
                "d_mean": scores.d_mean,
                "found": f"{found.levels[0].name}-{found.levels[-1].name}" if found else "none",
                "right": [scores.confidence[level] for level, right in scores.right.items() if right],
                "wrong": [scores.confidence[level] for level, right in scores.right.items() if not right],
            })  # fmt: skip
    return rows, hard


def summary(rows: list[dict]) -> list[dict]:
    """Means over the scans (windows) of each variation and of all, and the difference of the id.rates in points."""
    result = []
    for name in [*dict.fromkeys(row["variation"] for row in rows), "all"]:
        mine = [row for row in rows if name in (row["variation"], "all")]
        line = {"variation": name, "scans": len(mine), "vertebrae": sum(row["vertebrae"] for row in mine)}
        line |= {key: mean(r[key] for r in mine) for key in ("id_rate_before", "id_rate", "d_mean_before", "d_mean")}
        line["points"] = 100 * (line["id_rate"] - line["id_rate_before"])
        line["worst"] = min(row["id_rate"] for row in mine)
        right, wrong = ([value for row in mine for value in row[key]] for key in ("right", "wrong"))
        result.append({**line, "right": len(right), "wrong": len(wrong), "area": area_under_curve(right, wrong)})
    return result


def without_spine(data: Path | None) -> Iterator[tuple[str, sitk.Image]]:
    """Scans that show no spine, each with its name: parts of chests beside it, and synthetic ones of 200x200x300 mm."""
    for folder in sorted((data / "full").glob("*/")) if data is not None else ():
        ct = read_ct(folder / "ct.nii.gz", force=True).image
        lower, upper = (np.array(corner) for corner in (SpineBox.of_image(ct).lower, SpineBox.of_image(ct).upper))
        yield f"{folder.name}, right {SIDE:g} mm", cropped(ct, lower, np.array([lower[0] + SIDE, *upper[1:]]))
        yield f"{folder.name}, left {SIDE:g} mm", cropped(ct, np.array([upper[0] - SIDE, *lower[1:]]), upper)
    shape, rng = (150, 100, 100), np.random.default_rng(0)
    _, y, x = np.indices(shape)
    rod = np.hypot(x - 50, y - 50) < 5
    for name, hu in (
        ("air", np.full(shape, -1000)),
        ("water", np.zeros(shape)),
        ("noise of 100 HU", rng.normal(0, 100, shape)),
        ("upright rod of 1000 HU, 20 mm thick, in water", np.where(rod, 1000, 0)),
    ):
        image = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
        image.SetSpacing((2.0, 2.0, 2.0))
        yield name, image


def empty_rows(pipeline: Pipeline, data: Path | None) -> list[dict]:
    """What is found where nothing should be."""
    rows = []
    for name, image in without_spine(data):
        print(name, file=sys.stderr)
        result = pipeline.run(image, until="labelling")
        rows.append({
            "scan": name,
            "empty": "no" if result.centroids else "yes",
            "box": "yes" if result.box else "none",
            "found": " ".join(level.name for level in result.centroids.levels),
            "confidence": max((point.confidence for point in result.centroids), default=float("nan")),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--output", type=Path, default=Path("runs/robustness"))
    add_stages(parser)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    pipeline = pipeline_of(arguments)
    rows, hard = ([], []) if arguments.data is None else variation_rows(pipeline, arguments.data)
    empty = empty_rows(pipeline, arguments.data)
    means, hard_means = (summary(lines) if lines else [] for lines in (rows, hard))
    tables = ((VARIATIONS, means), (VARIATIONS, hard_means), (SCANS, [*rows, *hard]), (EMPTY, empty))
    text = "\n\n".join(markdown(columns, lines) for columns, lines in tables if lines)
    (arguments.output / "results.md").write_text(text + "\n")
    values = {
        **measured(pipeline),
        "means": means,
        "scans": rows,
        "hard_means": hard_means,
        "hard_scans": hard,
        "without_spine": empty,
    }
    write_results(values, arguments.output / "results.json")
    print(text)


if __name__ == "__main__":
    main()
