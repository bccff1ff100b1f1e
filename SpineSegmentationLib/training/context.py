"""Samples for the context network: projections of windows of whole scans, and the height of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..labelling.context import HEIGHT, SPACING, project
from .deformation import Deformation
from .evidence import column_of
from .loop import Task
from .subjects import Subject, rarity, shares
from .synthesis import scanned
from .views import batched

BEYOND = 60.0  # mm above and below the outermost centroids in which the height is extrapolated
SHORTEST = 15  # rows of a window
SOURCES = {"real": 0.7, "atlas": 0.15, "phantom": 0.15}


@dataclass(frozen=True)
class Scan:
    """HU (z, y, x) int16 and the height of every row in mm, NaN where it is not known; the rows of the centroids."""

    hu: NDArray[np.int16]
    heights: NDArray[np.float32]
    centres: NDArray


@dataclass(frozen=True)
class Window:
    """Projections of a part of a scan, and the heights of its rows."""

    sagittal: Tensor
    coronal: Tensor
    heights: NDArray[np.float32]


class ContextTask(Task):
    """Draws people, windows of them, and scores a network on these."""

    spacing = SPACING
    batch = 8
    reuse = 8

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.subjects = [s for s in subjects if len(s.levels) >= 2 and (s.hu is None or not s.whole)]
        self.subjects = [s for s in self.subjects if s.hu is not None or s.whole]
        few = [s for s in self.subjects if s.source == "real"]
        rare = dict(zip((s.name for s in few), np.sqrt(rarity(few)) if few else (), strict=True))
        weights = np.array([rare.get(s.name, 1.0) for s in self.subjects])
        self.weights = shares(self.subjects, weights, SOURCES)

    def draw(self, rng: np.random.Generator) -> Scan:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        subject = self.subjects[rng.choice(len(self.subjects), p=self.weights)]
        places, centres = column_of(subject)
        size = tuple(int(n) for n in np.minimum(subject.shape, (260, 110, 130)))
        middle = np.array(subject.shape) / 2
        if size[0] < subject.shape[0]:
            middle[0] = np.clip(centres[rng.integers(len(centres)), 0], size[0] / 2, subject.shape[0] - size[0] / 2)
        deformation = Deformation(rng, size, middle, rotation=5, scale=0.12, bend=0.5, wavelength=25)
        hu = scanned(subject, deformation.grid(), SPACING, rng, generator)
        points = deformation.to_sample(centres)
        heights = _row_heights(size[0], points[:, 0], HEIGHT[places])
        return Scan(hu.round().clamp(-1024, 3071).to(torch.int16).numpy(), heights, points)

    def vary(self, scan: Scan, rng: np.random.Generator) -> Window:
        """A part of the scan: some rows, often a narrower field of view, another intensity."""
        rows = np.flatnonzero(np.isfinite(scan.heights))
        count = len(scan.heights)
        length = int(rng.uniform(min(SHORTEST, count), count + 1)) if rng.random() < 0.7 else count
        first = int(np.clip(rng.choice(rows) - rng.integers(length), 0, count - length))
        low, high = np.array([first, 0, 0]), np.array([first + length, *scan.hu.shape[1:]])
        if rng.random() < 0.5:
            middle = np.median(scan.centres, axis=0)
            for axis in (1, 2):
                reach = rng.uniform(14, 60, 2)
                low[axis] = max(middle[axis] - reach[0], 0)
                high[axis] = max(min(middle[axis] + reach[1], high[axis]), low[axis] + 8)
        hu = scan.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float32)
        hu = (
            hu * rng.uniform(0.9, 1.1)
            + rng.uniform(-30, 30)
            + rng.standard_normal(hu.shape, np.float32) * rng.uniform(0, 25)
        )
        views = [torch.from_numpy(view) for view in project(hu)]
        return Window(views[0], views[1], scan.heights[first : first + length])

    def loss(self, network: nn.Module, batch: list[Window]) -> Tensor:
        device = next(network.parameters()).device
        views = [batched([w.sagittal for w in batch], 0.0), batched([w.coronal for w in batch], 0.0)]
        height, spread = network(*(view.to(device) for view in views)).unbind(1)
        truth = np.full(tuple(height.shape), np.nan, np.float32)
        for row, window in zip(truth, batch, strict=True):
            row[: len(window.heights)] = window.heights
        target = torch.from_numpy(truth).to(device)
        known = target.isfinite()
        spread = spread.clamp(1.0, 6.0)
        error = (height - target.nan_to_num()).abs() / spread.exp() + spread  # Laplace: robust to oddly built people
        return (error * known).sum() / known.sum().clamp(min=1)


def _row_heights(rows: int, centres: NDArray, heights: NDArray) -> NDArray[np.float32]:
    """Heights of all rows from those of the centroids' rows, at most ``BEYOND`` extrapolated; row 0 is the lowest."""
    order = np.argsort(centres)
    at, known = centres[order], heights[order]
    row = np.arange(rows, dtype=float)
    result = np.interp(row, at, known)
    above, below = row > at[-1], row < at[0]
    result[above] = known[-1] - (row[above] - at[-1]) * SPACING
    result[below] = known[0] + (at[0] - row[below]) * SPACING
    result[(row > at[-1] + BEYOND / SPACING) | (row < at[0] - BEYOND / SPACING)] = np.nan
    return result.astype(np.float32)
