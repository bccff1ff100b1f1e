"""Subjects whose vertebrae are marked voxel by voxel, and how much of them may be shown to a network."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..anatomy import COLUMN, Level, may_follow
from ..resampling import AIR
from .deformation import sample
from .subjects import Subject
from .synthesis import scan, scanned


class Marked:
    """A subject with masks: which voxels may be shown, and where each vertebra is."""

    def __init__(self, subject: Subject) -> None:
        assert subject.labels is not None
        self.subject = subject
        places = ndimage.find_objects(subject.labels, max(Level))
        there = [level for level in COLUMN if places[level - 1] is not None]
        # Vertebrae that nobody marked must not be taught as background: the longest run without a gap is shown.
        runs: list[list[Level]] = []
        for level in there:
            if runs and may_follow(runs[-1][-1], level):
                runs[-1].append(level)
            else:
                runs.append([level])
        self.levels = max(runs, key=len)
        self.places = {level: places[level - 1] for level in self.levels}
        shape = subject.labels.shape
        self.low, self.high = 0, shape[0]
        if subject.source in ("real", "own") and not subject.whole:
            first, last = self.levels[0], self.levels[-1]
            if last not in (Level.L5, Level.L6):
                self.low = self.places[last][0].start
            if first is not Level.C1:
                self.high = self.places[first][0].stop
        self.volumes = {
            level: int((subject.labels[place] == level).sum()) for level, place in self.places.items()
        }  # fmt: skip
        self.whole = {
            level: all(s.start > 0 and s.stop < n for s, n in zip(place, shape, strict=True))
            for level, place in self.places.items()
        }

    def hidden(self, height: Tensor) -> Tensor:
        """Where, of source positions along z, vertebrae may lie that nobody marked."""
        return (height < self.low) | (height >= self.high)


def marked(subjects: list[Subject]) -> list[Marked]:
    """Those of the subjects that have marked vertebrae."""
    return [Marked(s) for s in subjects if s.labels is not None and np.isin(s.labels, COLUMN).any()]


def seen(
    subject: Subject, grid: Tensor, spacing: float, rng: np.random.Generator, generator: torch.Generator
) -> Tensor:
    """What a scanner may show of a subject with masks at source positions (z, y, x, 3): HU (z, y, x).

    Real scans keep most of what they are: the masks were drawn on them.
    """
    if subject.hu is None or subject.whole:
        return scanned(subject, grid, spacing, rng, generator)
    hu = sample(subject.hu, grid, AIR)
    if rng.random() < 0.5:
        hu = hu * rng.uniform(0.8, 1.25) + rng.uniform(-40, 40)
    return scan(hu, spacing, rng, generator, strength=0.6)
