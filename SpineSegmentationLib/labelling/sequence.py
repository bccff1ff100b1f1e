"""From candidates to the column: the likeliest sequence of levels, by dynamic programming over candidates and levels.

Each candidate says how likely it is a vertebra at all, and which. A column is a chain of candidates from the head
down whose levels follow each other (:func:`anatomy.may_follow`), whose distances fit those of the levels, and in
which at most one vertebra at a time was overlooked. The best chain gives the places; :mod:`.verdict` weighs every way
to name these.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..anatomy import COLUMN, may_follow
from ..spine import Centroid, Centroids, rounded
from .distances import BETWEEN_PEOPLE, DISTANCE, VARIANT, WITHIN_PERSON, is_variant, score
from .verdict import verdict

OVERLOOKED = 3.5  # cost (nats) of a vertebra that no candidate shows
FARTHEST = 6  # candidates that may lie between two of the chain
UNUSUAL = 1e4  # cost of what cannot be
SHARPNESS = 0.25  # the vertebrae of a scan are judged by one network and err together: four count as one


@dataclass(frozen=True, eq=False)
class Candidate:
    """A place that may be a vertebra.

    Attributes:
        position: LPS mm, rounded as centroids are, so that a centroid tells the candidate it comes from.
        probability: that it is one, 0..1.
        levels: probability of each level of ``COLUMN`` if it is one, (26,).
        evidence: what else speaks for each level, in nats against chance and already weighed, (26,); 0 for nothing.
    """

    position: tuple[float, float, float]
    probability: float
    levels: np.ndarray
    evidence: np.ndarray | float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", rounded(self.position))


def _steps() -> list[tuple[int, int, float, float, int | None]]:
    """Allowed steps: rank above, rank below, cost, expected distance, rank of the vertebra overlooked between."""
    steps: list[tuple[int, int, float, float, int | None]] = []
    direct: dict[int, list[tuple[int, float]]] = {}
    for above in COLUMN:
        for below in COLUMN:
            if may_follow(above, below):
                direct.setdefault(above.rank, []).append((below.rank, VARIANT if is_variant(above, below) else 0.0))
    for upper, followers in direct.items():
        for lower, cost in followers:
            steps.append((upper, lower, cost, DISTANCE[COLUMN[upper]], None))
            for last, more in direct.get(lower, []):
                length = DISTANCE[COLUMN[upper]] + DISTANCE[COLUMN[lower]]
                steps.append((upper, last, cost + more + OVERLOOKED, length, lower))
    return steps


STEPS = _steps()
_FROM, _TO = (np.array([step[i] for step in STEPS]) for i in (0, 1))
_COST, _LENGTH = (np.array([step[i] for step in STEPS]) for i in (2, 3))


def _step_scores(upper: Candidate, lower: Candidate, size: float = 1.0, spread: float = BETWEEN_PEOPLE) -> np.ndarray:
    """Log score of every step of ``STEPS`` between two candidates of a person of the given size (1 is the mean)."""
    distance = float(np.linalg.norm(np.subtract(upper.position, lower.position)))
    return score(distance, _LENGTH * size, spread) - _COST


def _unary(candidate: Candidate, sharpness: float) -> np.ndarray:
    """Log odds of being a vertebra plus log likelihood of each level, against the likeliest.

    What speaks for a name does not make a vertebra of a place; a clear name does a little.
    """
    p = np.clip(candidate.probability, 1e-3, 1 - 1e-3)
    levels = np.clip(candidate.levels / candidate.levels.sum(), 1e-4, None)
    chance = np.log(levels * len(COLUMN))
    names = sharpness * chance + candidate.evidence
    return np.log(p / (1 - p)) + 1.5 + SHARPNESS * chance.max() + names - names.max()


def best_sequence(candidates: list[Candidate], sharpness: float = SHARPNESS, *, usual: bool = False) -> Centroids:
    """The centroids of the likeliest column.

    Solved twice: first for the mean person, then with distances scaled to the size that the first answer shows.

    Args:
        candidates: any order, at most one per place.
        sharpness: how much the networks' levels count against distances and order.
        usual: whether to take it that the person has twelve thoracic and five lumbar vertebrae.

    Returns:
        Each with the probability of its level as confidence, and the verdict on the names. A vertebra overlooked
        between two others is put between them at half its confidence. Empty without candidates.
    """
    if not candidates:
        return Centroids()
    chain = sorted(candidates, key=lambda c: -c.position[2])
    unary = np.array([_unary(candidate, sharpness) for candidate in chain])
    if usual:
        unary[:, [level.rank for level in COLUMN if level.is_transitional]] = -UNUSUAL
    size, spread = 1.0, BETWEEN_PEOPLE
    path = _solve(chain, unary, size, spread)
    ratios = [
        np.linalg.norm(np.subtract(chain[i].position, chain[j].position)) / _LENGTH[step]
        for (i, _, _), (j, _, step) in itertools.pairwise(path)
    ]
    if len(ratios) >= 3:
        size, spread = float(np.clip(np.median(ratios), 0.5, 1.5)), WITHIN_PERSON
        path = _solve(chain, unary, size, spread)

    positions: list[np.ndarray] = []
    rows: list[np.ndarray | None] = []
    for j, _, step in path:
        position = np.array(chain[j].position, float)
        if step is not None and STEPS[step][4] is not None:
            share = DISTANCE[COLUMN[STEPS[step][0]]] / _LENGTH[step]
            positions.append(positions[-1] + share * (position - positions[-1]))
            rows.append(None)
        positions.append(position)
        rows.append(unary[j])
    if not positions:
        return Centroids()
    numbering, confidences = verdict(rows, np.array(positions), size, spread, usual=usual)
    points = [
        Centroid(level, tuple(position), confidence / (1 if row is not None else 2))
        for level, position, confidence, row in zip(
            numbering.readings[0].levels, positions, confidences, rows, strict=True
        )
    ]
    return Centroids(tuple(points), numbering)


def _solve(chain: list[Candidate], unary: np.ndarray, size: float, spread: float) -> list[tuple[int, int, int | None]]:
    """The best path from the head down, empty when no candidate is likelier a vertebra than not.

    A path is a list of (candidate, rank, number of the step of ``STEPS`` that led there, None for the first).
    """
    best = unary.copy()
    back: dict[tuple[int, int], tuple[int, int]] = {}
    for j in range(len(chain)):
        for i in range(max(j - 1 - FARTHEST, 0), j):
            through = best[i, _FROM] + _step_scores(chain[i], chain[j], size, spread) + unary[j, _TO]
            for step in np.flatnonzero(through > best[j, _TO]):
                if through[step] > best[j, _TO[step]]:
                    best[j, _TO[step]] = through[step]
                    back[j, int(_TO[step])] = (i, int(step))
    j, rank = (int(v) for v in np.unravel_index(np.argmax(best), best.shape))
    path: list[tuple[int, int, int | None]] = []
    if best[j, rank] > 0:
        while (j, rank) in back:
            i, number = back[j, rank]
            path.append((j, rank, number))
            j, rank = i, STEPS[number][0]
        path.append((j, rank, None))
    return path[::-1]
