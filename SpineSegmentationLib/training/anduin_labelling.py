"""Samples for labelling: projections of a spine box at 2 mm and one Gaussian per vertebra (VerSe paper, B.3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..anatomy import COLUMN
from ..labelling.anduin import SPACING, middle_curve, project
from ..networks.blocks import normalise_hu
from .deformation import Deformation
from .loop import Task
from .losses import heatmap_loss, median_frequency_weights
from .subjects import Subject, rarity, shares
from .synthesis import scanned
from .views import Views, batched, degraded, mirrored, resized, stacked, window

SIGMA = 5.0  # mm
BACKGROUND_WEIGHT = 0.5
LONGEST = 260  # rows of a training window: 520 mm
STACKED = 0.2  # share of samples made of two people


class LabellingTask(Task):
    """Draws projected samples and scores a network on them. Projections are used again with other windows."""

    spacing = SPACING
    batch = 8
    reuse = 16

    def __init__(self, subjects: list[Subject]) -> None:
        self.subjects = [s for s in subjects if len(s.levels) >= 2]
        counts = torch.zeros(len(COLUMN))
        for s in self.subjects:
            for level in s.levels:
                counts[level.rank] += 1
        self.class_weights = median_frequency_weights(counts)
        whole = np.array([4.0 if s.hu is None and s.whole else 1.0 for s in self.subjects])
        few = [s for s in self.subjects if s.source == "real"]
        rare = dict(zip((s.name for s in few), rarity(few), strict=True))
        weights = np.array([rare.get(s.name, w) for s, w in zip(self.subjects, whole, strict=True)])
        self.weights = shares(self.subjects, weights, {"real": 0.5, "atlas": 0.2, "phantom": 0.3})

    def draw(self, rng: np.random.Generator) -> Views:
        """The views of one person, or of two: the one's column down to a level, the other's from there."""
        views = self._person(rng)
        if rng.random() < STACKED:
            views = stacked(views, self._person(rng), rng)
        return views

    def _person(self, rng: np.random.Generator) -> Views:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        subject = self.subjects[rng.choice(len(self.subjects), p=self.weights)]
        positions, shape = subject.positions, subject.shape
        margin = rng.uniform(8, 22, 2)  # pixels beyond the outermost vertebrae, as far as the source goes
        top, bottom = positions[:, 0].max() + margin[0], positions[:, 0].min() - margin[1]
        top, bottom = min(top, shape[0] - 1), max(bottom, 0)
        if top - bottom > LONGEST:
            bottom = rng.uniform(bottom, top - LONGEST)
            top = bottom + LONGEST
        inside = positions[(positions[:, 0] > bottom) & (positions[:, 0] < top)]
        size = (
            int(top - bottom),
            int(np.ptp(inside[:, 1]) + rng.uniform(42, 66)),
            int(np.ptp(inside[:, 2]) + rng.uniform(36, 92)),
        )
        # The box reaches further behind the bodies (processes) than in front of them.
        centre = np.array(
            [
                (top + bottom) / 2,
                (inside[:, 1].max() + inside[:, 1].min()) / 2 + rng.uniform(-4, 6),
                (inside[:, 2].max() + inside[:, 2].min()) / 2 + rng.normal(0, 3),
            ]
        )
        deformation = Deformation(rng, size, centre, rotation=9, scale=0.18, bend=2.0, wavelength=32)
        hu = scanned(subject, deformation.grid(), SPACING, rng, generator)
        points = deformation.to_sample(positions)
        if rng.random() < 0.4:
            hu = _with_vessel(hu, points, rng)
        keep = np.all((points >= -0.5) & (points <= np.array(size) - 0.5), axis=1)
        ranks = np.array([level.rank for level in subject.levels])
        return Views(*project(hu, _doubtful_curve(points, size, rng)), ranks[keep], points[keep])

    def vary(self, views: Views, rng: np.random.Generator) -> Views:
        """Another window along the column, another intensity, perhaps mirrored: cheap, on the projections."""
        rows = views.sagittal.shape[1]
        low, high = 0, rows
        if rng.random() < 0.7:
            # Half of them short: cropped necks are common, and the hardest to name.
            longest = min(90, rows) if rng.random() < 0.5 else rows
            length = int(rng.integers(min(36, rows), longest + 1))
            low = int(rng.integers(0, rows - length + 1))
            high = low + length
        part = window(views, low, high)
        if rng.random() < 0.5:
            part = mirrored(part)
        if rng.random() < 0.5:
            part = resized(part, rng)
        gain, offset = rng.uniform(0.8, 1.25), rng.uniform(-60, 60)
        sagittal, coronal = (
            degraded(view * gain + offset, rng).clamp(-1024, 3071) for view in (part.sagittal, part.coronal)
        )
        return Views(sagittal, coronal, part.ranks, part.positions)

    def loss(self, network: nn.Module, batch: list[Views]) -> Tensor:
        views = [batched([b.sagittal for b in batch]), batched([b.coronal for b in batch])]
        device = next(network.parameters()).device
        layout = torch.channels_last
        logits = network(*(normalise_hu(v).to(device).contiguous(memory_format=layout) for v in views))
        total = torch.zeros((), device=device)
        for axis, (view, prediction) in enumerate(zip(views, logits, strict=True), start=1):
            targets, weights = [], []
            for one in batch:
                source = one.sagittal if axis == 1 else one.coronal
                target = level_distribution(one.ranks, one.positions[:, [0, axis]], tuple(view.shape[2:]))
                weight = BACKGROUND_WEIGHT * target[0] + (target[1:] * self.class_weights[:, None, None]).sum(0)
                valid = torch.zeros(view.shape[2:])
                valid[: source.shape[1], : source.shape[2]] = 1
                targets.append(target)
                weights.append(weight * valid)
            total = total + heatmap_loss(prediction, torch.stack(targets).to(device), torch.stack(weights).to(device))
        return total


def _with_vessel(hu: Tensor, points: np.ndarray, rng: np.random.Generator) -> Tensor:
    """A bright vessel along the column, as the aorta full of contrast is, in the volume (z, y, x) of HU."""
    order = np.argsort(points[:, 0])
    rows = np.arange(hu.shape[0])
    side, front, radius = rng.choice([-1, 1]) * rng.uniform(5, 18), rng.uniform(2, 16), rng.uniform(4, 9)
    wander = np.interp(rows, np.linspace(0, len(rows), 4), rng.normal(0, 4, 4))
    x, y = (np.interp(rows, points[order, 0], points[order, axis]) for axis in (2, 1))
    away_x = torch.arange(hu.shape[2])[None] - torch.from_numpy(x + side + wander)[:, None]
    away_y = torch.arange(hu.shape[1])[None] - torch.from_numpy(y - front)[:, None]
    inside = away_x[:, None, :].square() + away_y[:, :, None].square() < radius**2
    # Bone keeps its place: a vessel lies beside it.
    return torch.where(inside & (hu < 120), torch.tensor(rng.uniform(130, 480)), hu)


def _doubtful_curve(points: np.ndarray, size: tuple[int, int, int], rng: np.random.Generator) -> Tensor:
    """The column through points (N, 3) as a labeller may know it: the middle of the box, or itself with an error."""
    curve = middle_curve(size)
    if rng.random() < 0.3:
        return curve
    order = np.argsort(points[:, 0])
    rows = np.arange(size[0])
    for column, axis in enumerate((1, 2)):
        error = np.interp(rows, np.linspace(0, size[0], 5), rng.normal(0, rng.uniform(0, 4), 5))
        true = np.interp(rows, points[order, 0], points[order, axis])
        curve[:, column] = torch.from_numpy((true + error).astype(np.float32))
    return curve


def level_distribution(ranks: np.ndarray, points: np.ndarray, size: tuple[int, ...]) -> Tensor:
    """(1 + levels, *size): background and one Gaussian per vertebra, summing to one at every pixel."""
    maps = torch.zeros(1 + len(COLUMN), *size)
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in size)
    width = SIGMA / SPACING
    for rank, (row, column) in zip(ranks, points, strict=True):
        vertical = torch.exp(-0.5 * ((rows - float(row)) / width).square())
        maps[1 + int(rank)] = vertical[:, None] * torch.exp(-0.5 * ((columns - float(column)) / width).square())
    highest = maps.amax(0)
    maps *= highest / maps.sum(0).clamp(min=1e-6)
    maps[0] = 1 - highest
    return maps
