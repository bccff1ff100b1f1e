"""Projected samples of the labeller, and what is done to them: joined, cropped, stretched, degraded (VerSe paper, B.3).

All of it is cheap beside the projection of a volume, so that every projection can be shown in many ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Views:
    """Projections (3, z, y) and (3, z, x) in HU, and the vertebrae: ranks (N,), positions (N, 3) in pixels z,y,x."""

    sagittal: Tensor
    coronal: Tensor
    ranks: np.ndarray
    positions: np.ndarray


def stacked(upper: Views, lower: Views, rng: np.random.Generator) -> Views:
    """The upper person down to a vertebra, from there the lower person; the upper one where they share no level.

    Few real scans show more than a third of the column; so any thorax may stand on any lumbar spine.
    """
    shared = np.intersect1d(upper.ranks, lower.ranks)
    if not len(shared):
        return upper
    rank = rng.choice(shared)
    above, below = (views.positions[views.ranks == rank][0] for views in (upper, lower))
    joint = round(below[0])  # rows of the lower person that stay; row 0 is its lowest
    start = max(round(above[0]), 0)
    shift = np.array([joint - start, *np.round(above - below)[1:]])
    result = []
    for mine, theirs, axis in ((upper.sagittal, lower.sagittal, 1), (upper.coronal, lower.coronal, 2)):
        columns = np.clip(np.arange(mine.shape[2]) - int(shift[axis]), 0, theirs.shape[2] - 1)
        view = torch.cat([theirs[:, :joint, columns], mine[:, start:]], 1)
        near = slice(max(joint - 3, 0), joint + 3)
        view[:, near] = functional.avg_pool2d(view[None], (5, 1), 1, (2, 0), count_include_pad=False)[0, :, near]
        result.append(view)
    kept, taken = upper.ranks <= rank, lower.ranks > rank
    positions = [upper.positions[kept] + [shift[0], 0, 0], lower.positions[taken] + [0, *shift[1:]]]
    ranks = np.concatenate([upper.ranks[kept], lower.ranks[taken]])
    return Views(result[0], result[1], ranks, np.concatenate(positions))


def window(views: Views, low: int, high: int) -> Views:
    """Rows ``low`` to ``high`` (not included), and the vertebrae there."""
    points = views.positions - [low, 0, 0]
    keep = (points[:, 0] >= -0.5) & (points[:, 0] <= high - low - 0.5)
    return Views(views.sagittal[:, low:high], views.coronal[:, low:high], views.ranks[keep], points[keep])


def mirrored(views: Views) -> Views:
    """Left and right exchanged."""
    positions = views.positions * [1, 1, -1] + [0, 0, views.coronal.shape[2] - 1]
    return Views(views.sagittal, views.coronal.flip(2), views.ranks, positions)


def resized(views: Views, rng: np.random.Generator) -> Views:
    """A taller, smaller, wider or narrower person: rows and columns stretched, each by its own factor."""
    tall, wide = rng.uniform(0.85, 1.15), rng.uniform(0.9, 1.1)
    result = []
    for view in (views.sagittal, views.coronal):
        size = [max(round(n * by), 8) for n, by in zip(view.shape[1:], (tall, wide), strict=True)]
        result.append(functional.interpolate(view[None], size=size, mode="bilinear", align_corners=False)[0])
    rows, depth = (np.divide(result[0].shape[1:], views.sagittal.shape[1:])).tolist()
    factors = np.array([rows, depth, result[1].shape[2] / views.coronal.shape[2]])
    return Views(result[0], result[1], views.ranks, (views.positions + 0.5) * factors - 0.5)


def degraded(view: Tensor, rng: np.random.Generator) -> Tensor:
    """A view (channels, z, columns) in HU with noise and, now and then, thick slices, coarse pixels, a hidden part."""
    view = view + torch.randn(view.shape) * rng.uniform(0, 25)
    if rng.random() < 0.25:
        factor = [rng.uniform(1, 2.5), rng.uniform(1, 2.0)]
        size = [max(int(n / by), 4) for n, by in zip(view.shape[1:], factor, strict=True)]
        coarse = functional.interpolate(view[None], size=size, mode="area")
        view = functional.interpolate(coarse, size=view.shape[1:], mode="bilinear", align_corners=False)[0]
    if rng.random() < 0.3:  # the channels depend on the depth of the field of view, each in its own way
        view = view * torch.from_numpy(rng.uniform(0.85, 1.15, (3, 1, 1)).astype(np.float32))
        view = view + torch.from_numpy(rng.normal(0, 40, (3, 1, 1)).astype(np.float32))
    if rng.random() < 0.25:
        rows, columns = view.shape[1:]
        tall, wide = rng.uniform(0.05, 0.25) * rows, rng.uniform(0.2, 0.6) * columns
        row, column = int(rng.uniform(0, rows - tall)), int(rng.uniform(0, columns - wide))
        hidden = (slice(None), slice(row, row + int(tall)), slice(column, column + int(wide)))
        view[hidden] = view[hidden].mean((1, 2), keepdim=True)
    return view


def batched(views: list[Tensor], fill: float = -1000.0) -> Tensor:
    """A batch of the largest size; beyond each view lies ``fill``, air if nothing else is said."""
    rows, columns = max(v.shape[1] for v in views), max(v.shape[2] for v in views)
    batch = torch.full((len(views), views[0].shape[0], rows, columns), fill)
    for target, view in zip(batch, views, strict=True):
        target[:, : view.shape[1], : view.shape[2]] = view
    return batch
