"""Samples for the evidence network: runs of neighbouring vertebrae of one person, named together.

A run is scored as the column is decoded later: every way to name it (:mod:`labelling.readings`) has the sum of its
vertebrae's log probabilities, and the right one must win. So a patch that shows a landmark learns to speak loudly, one
in the middle of the chest to keep its voice down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..anatomy import COLUMN, S1
from ..labelling.distances import LAST
from ..labelling.patches import AIR, SPACING, patches
from ..labelling.readings import RIBBED, readings
from ..networks.evidence import Answers
from .deformation import Deformation
from .fields import field_of_view, thick
from .loop import Task
from .subjects import Subject, rarity, shares
from .synthesis import scanned

LONGEST = 8  # vertebrae of a run
TALLEST = 86  # voxels between the first and the last vertebra of a volume
SIDE = 28  # voxels beyond the outermost centroids
NOTHING = 1  # patches of a run that show no vertebra in their middle
SACRAL = 3.0  # how much more often those are drawn who show the sacrum: the surest landmark, and a rare one
SOURCES = {"real": 0.55, "atlas": 0.2, "phantom": 0.25}


@dataclass(frozen=True)
class Column:
    """A deformed person: HU (z, y, x) int16, places (N,) and centres (N, 3) in voxels z,y,x from the head down."""

    hu: NDArray[np.int16]
    places: NDArray
    centres: NDArray


@dataclass(frozen=True)
class Run:
    """Patches (M, 1, z, y, x) in HU; the first N = len(places) show neighbouring vertebrae, the others none."""

    hu: NDArray[np.float32]
    places: NDArray


class EvidenceTask(Task):
    """Draws people, runs from them, and scores a network on these."""

    spacing = SPACING
    batch = 8
    reuse = 4

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.subjects = [s for s in subjects if len(s.levels)]
        self.empty = [s for s in subjects if not len(s.levels) and s.hu is not None]
        few = [s for s in self.subjects if s.source == "real"]
        rare = dict(zip((s.name for s in few), np.sqrt(rarity(few)) if few else (), strict=True))
        weights = np.array([rare.get(s.name, 4.0 if s.hu is None and s.whole else 1.0) for s in self.subjects])
        weights = weights * np.array([1.0 if s.sacrum is None else SACRAL for s in self.subjects])
        self.weights = shares(self.subjects, weights, SOURCES)

    def draw(self, rng: np.random.Generator) -> Column:
        """One person, deformed and scanned, whose vertebrae are shown in many runs."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        if self.empty and rng.random() < 0.04:
            subject = self.empty[rng.integers(len(self.empty))]
            places, centres = np.zeros(0, int), np.zeros((0, 3))
            middle = rng.uniform(0, 1, 3) * subject.shape
            extent = np.zeros(3)
        else:
            subject = self.subjects[rng.choice(len(self.subjects), p=self.weights)]
            places, centres = column_of(subject)
            start = int(rng.integers(len(places)))
            near = np.abs(centres[:, 0] - centres[start, 0]) < TALLEST / 2
            places, centres = places[near], centres[near]
            middle, extent = (centres.max(0) + centres.min(0)) / 2, np.ptp(centres, axis=0)
        size = tuple(int(v) for v in extent + [2 * SIDE, 2 * SIDE, 2 * SIDE])
        deformation = Deformation(rng, size, middle, rotation=14, scale=0.18, bend=1.0, wavelength=22)
        hu = scanned(subject, deformation.grid(), SPACING, rng, generator)
        return Column(hu.round().clamp(-1024, 3071).to(torch.int16).numpy(), places, deformation.to_sample(centres))

    def vary(self, column: Column, rng: np.random.Generator) -> Run:
        """Some neighbours of the column as another scan might show them: cropped, brighter, displaced."""
        count = min(int(rng.integers(1, LONGEST + 1)), len(column.places))
        start = int(rng.integers(len(column.places) - count + 1))
        if S1 in column.places and rng.random() < 0.4:
            start = len(column.places) - count
        places, centres = column.places[start : start + count], column.centres[start : start + count]
        hu = column.hu.astype(np.float32)
        if rng.random() < 0.3:
            hu = thick(hu, rng.uniform(1.5, 3.0))
        low, high = field_of_view(centres, hu.shape, SPACING, rng)
        view = np.full_like(hu, AIR)
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grain = rng.standard_normal(hu[inside].shape, np.float32) * rng.uniform(0, 30)
        view[inside] = hu[inside] * rng.uniform(0.85, 1.2) + rng.uniform(-50, 50) + grain
        wrong = rng.normal(0, (1.1, 0.8, 0.8), centres.shape) * rng.choice([0.5, 1.0, 2.0], p=[0.4, 0.5, 0.1])
        nothing = _elsewhere(column.centres, hu.shape, rng)
        return Run(patches(view, np.concatenate([centres + wrong, nothing])), places)

    def loss(self, network: nn.Module, batch: list[Run]) -> Tensor:
        device = next(network.parameters()).device
        answers: Answers = network(torch.from_numpy(np.concatenate([run.hu for run in batch])).to(device))
        total = torch.zeros((), device=device)
        first = 0
        for run in batch:
            mine = slice(first, first + len(run.places))
            total = total + _run_loss(answers, mine, run.places) / len(batch)
            shown = torch.zeros(len(run.hu), device=device)
            shown[: len(run.places)] = 1
            said = answers.vertebra[first : first + len(run.hu)]
            total = total + 0.3 * functional.binary_cross_entropy_with_logits(said, shown) / len(batch)
            first += len(run.hu)
        return total


def _run_loss(answers: Answers, mine: slice, places: NDArray) -> Tensor:
    """The loss of the names, ribs and sacrum of one run."""
    if not len(places):
        return answers.levels.sum() * 0
    levels = answers.levels[mine]
    truth = torch.from_numpy(np.ascontiguousarray(places)).to(levels.device)
    ways = readings(len(places))
    rows = torch.arange(len(places), device=levels.device)
    scores = levels[rows, torch.from_numpy(ways).to(levels.device)].sum(1)
    loss = functional.nll_loss(levels, truth)
    right = np.flatnonzero((ways == places).all(1))  # none for columns of two variants
    if len(right):
        loss = loss + 0.5 * functional.cross_entropy(scores[None], torch.from_numpy(right[:1]).to(levels.device))
    ribbed = torch.from_numpy(RIBBED[places].astype(np.float32)).to(levels.device)[:, None].expand(-1, 2)
    loss = loss + 0.3 * functional.binary_cross_entropy_with_logits(answers.ribs[mine], ribbed)
    if len(places) > 1:
        last = torch.from_numpy((places[1:] == S1).astype(np.float32)).to(levels.device)
        loss = loss + 0.3 * functional.binary_cross_entropy_with_logits(answers.sacrum[mine][:-1], last)
    return loss


def column_of(subject: Subject) -> tuple[NDArray, NDArray]:
    """Places and centres (voxels z,y,x) from the head down, S1 last where it is known."""
    order = np.argsort([level.rank for level in subject.levels])
    places = np.array([subject.levels[i].rank for i in order], int)
    centres = subject.positions[order]
    if subject.sacrum is not None and len(places) and COLUMN[places[-1]] in LAST:
        places, centres = np.append(places, S1), np.vstack([centres, subject.sacrum])
    return places, centres


def _elsewhere(centres: NDArray, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """``NOTHING`` places (voxels z,y,x) without the centre of a body: discs between them, beside, beyond the column."""
    found = []
    for _ in range(NOTHING):
        if len(centres) > 1 and rng.random() < 0.5:
            i = int(rng.integers(len(centres) - 1))
            place = centres[i] + (centres[i + 1] - centres[i]) * rng.uniform(0.42, 0.58)
            place = place + rng.normal(0, 1, 3)
        elif len(centres) and rng.random() < 0.6:
            away = rng.normal(0, 1, 3) * [0.6, 1, 1]
            place = centres[rng.integers(len(centres))] + away / np.linalg.norm(away) * rng.uniform(5, 16)
        else:
            place = rng.uniform(0, 1, 3) * shape
        if not len(centres) or np.linalg.norm(centres - place, axis=1).min() > 3:
            found.append(place)
    return np.array(found).reshape(-1, 3)
