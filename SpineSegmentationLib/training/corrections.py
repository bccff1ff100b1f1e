"""What people corrected is learnt: results of a cohort that were reviewed or mended (VerSe paper, sec. 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from ..anatomy import BONES
from ..cohort.layout import COHORT
from ..cohort.results import ScanResult, read_results
from ..errors import SpineError
from ..io.ct import read_ct
from ..io.image_files import read_label_map
from ..io.values import read_centroids
from ..resampling import same_grid
from ..results.files import CENTROIDS, LABEL_MAP
from .loop import Task
from .own_masks import believable
from .subjects import Subject, _make

CORRECTED = "corrected"
"""Below ``cohort/``: label maps and centroids that a person exported from Slicer, called as those of the results."""

RATE = 2e-4
"""Learning rate: a tenth of that from nothing."""

FORGOTTEN = 1.1
"""The loss on phantoms may grow by this factor."""

SAMPLES = 16
"""Batches of phantoms on which forgetting is measured."""


def corrected_subjects(folder: Path, spacing: float) -> Iterator[Subject]:
    """The results in a folder that a person has checked, with the scans they are of.

    Those exported to ``cohort/corrected/`` are taken as they are. Of those whose names were reviewed and applied, the
    names are a person's and the masks are not: only vertebrae that look whole keep theirs
    (:func:`own_masks.believable`).

    Raises:
        SpineError: a result that cannot be read, or whose scan has changed.
    """
    results, problems = read_results(folder)
    if problems:
        raise SpineError(problems[0])
    for result in results:
        mended = folder / COHORT / CORRECTED
        if (mended / CENTROIDS.format(result.name)).is_file():
            yield _subject(result, mended, spacing, trusted=True)
        elif result.run.get("review"):
            yield _subject(result, folder, spacing, trusted=False)


def _subject(result: ScanResult, folder: Path, spacing: float, trusted: bool) -> Subject:
    content, given = result.content, result.run["given"]
    if content is None or not content.is_of(result.scan):
        raise SpineError(f"{result.scan} is not the scan any more that the result of {result.name} is of")
    ct = read_ct(result.scan, series=given["series"], force=given["force"]).image
    centroids = read_centroids(folder / CENTROIDS.format(result.name), ct)
    if not centroids:
        raise SpineError(f"{result.name} has no vertebra to learn from; remove it from {folder}")
    points = {point.level: np.array(point.position) for point in centroids}
    labels, path = None, folder / LABEL_MAP.format(result.name)
    if path.is_file():
        label_map = read_label_map(path)
        if not same_grid(label_map, ct):
            raise SpineError(f"{path} does not lie on the grid of {result.scan}")
        kept = set(points) if trusted else set(believable(ct, label_map, centroids))
        # A sacrum that the network drew, and nobody is asked to mend, is nothing to learn from.
        left_out = {int(bone): 0 for bone in BONES.values() if bone not in kept}
        labels = sitk.ChangeLabel(label_map, left_out) if kept else None
    return _make(f"{result.name}, corrected", ct, labels, False, points, spacing)


def forgetting(task: Task, seed: int) -> list:
    """Batches of a task, always the same, to measure a network on before and after it learns something else."""
    rng = np.random.default_rng([seed, 2**31])
    return [[task.draw(rng) for _ in range(task.batch)] for _ in range(SAMPLES)]


def mean_loss(task: Task, network: nn.Module, batches: list) -> float:
    """The mean loss of a network over batches; the network stays as it is."""
    trains = network.training
    network.eval()
    with torch.inference_mode():
        found = float(np.mean([float(task.loss(network, batch)) for batch in batches]))
    network.train(trains)
    return found


def check_forgetting(before: float, after: float) -> None:
    """Raises SpineError when a network that learnt from corrections is worse on phantoms than it was."""
    if not after <= FORGOTTEN * before:
        raise SpineError(
            f"the loss on phantoms rose from {before:.3f} to {after:.3f}: the network forgets what it knew, and is not "
            "kept; give fewer --steps, more --phantoms, or more corrections"
        )
