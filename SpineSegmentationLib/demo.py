"""The demonstration: a synthetic CT through the whole pipeline, and the result against the known truth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from .anatomy import Level
from .evaluation.metrics import labelling_scores, segmentation_scores
from .io.ct import read_ct
from .phantom import PhantomSpec, Scoliosis, make_phantom
from .pipeline import Pipeline, Progress
from .results.outputs import run_json, write_outputs, write_phantom

SPEC = PhantomSpec(seed=7, margin=20.0, scoliosis=(Scoliosis(Level.T10, 18.0),), noise=20.0)
SPACING = (1.0, 1.0, 1.5)
NAME = "phantom"


def run_demo(folder: Path, device: str, progress: Callable[[str], None]) -> tuple[list[list[str]], list[Path]]:
    """Makes, segments and scores the demo's phantom.

    Returns:
        The scores as rows of text, first the headings, then one row per vertebra, at last the mean; and the files.

    Raises:
        SpineError: weights missing or damaged, device unknown, files that cannot be written.
    """
    progress("making a synthetic CT")
    phantom = make_phantom(SPEC, SPACING)
    path = write_phantom(phantom, folder / "truth", NAME)
    pipeline = Pipeline(device=device)
    start = time.perf_counter()
    scan = read_ct(path)
    reading = time.perf_counter() - start

    def report(step: Progress) -> None:
        if not step.done or step.level:
            progress(f"{step.stage}, {step.done} of {step.total}")

    result = pipeline.run(scan.image, progress=report)
    progress("writing and scoring")
    run = run_json(pipeline, scan, result, {}, reading)
    files = write_outputs(folder, NAME, "segmentation", scan, result, run)

    labelling = labelling_scores(phantom.centroids, result.centroids)
    masks = segmentation_scores(phantom.label_map, result.label_map)

    def row(name: str, identified: str, *values: float) -> list[str]:
        return [name, identified, *("-" if math.isnan(value) else f"{value:.2f}" for value in values)]

    rows = [["vertebra", "identified", "distance [mm]", "Dice", "HD [mm]", "ASSD [mm]"]]
    nan = math.nan
    for level in phantom.centroids.levels:
        scores = (s.get(level, nan) for s in (labelling.distances, masks.dice, masks.hd, masks.assd))
        rows.append(row(level.name, "yes" if labelling.hits[level] else "no", *scores))
    means = (labelling.d_mean, masks.dice_mean, masks.hd_mean, masks.assd_mean)
    rows.append(row("mean", f"{100 * labelling.id_rate:.0f} %", *means))
    return rows, [*files, path]
