"""From candidates to the column: the likeliest sequence of levels, by dynamic programming over candidates and levels.

Each candidate says how likely it is a vertebra at all, and which. A path is a chain of candidates from the head down
through one of the columns that people have (:mod:`.readings`), whose distances fit those of the levels, and in which
at most one vertebra at a time was overlooked. The best chain gives the places, and what looks like S1 below it
one more; :mod:`.verdict` weighs every way to name these. S1 is no vertebra of the result, but L5 is above it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from ..anatomy import COLUMN, S1, Level
from ..spine import Centroid, Centroids, rounded
from .distances import BETWEEN_PEOPLE, DISTANCE, LAST, WITHIN_PERSON, score
from .readings import COLUMNS, KINDS, Kind
from .verdict import mixed, verdict

OVERLOOKED = 3.5  # cost (nats) of a vertebra that no candidate shows
NEXT = (0.6, 1.5)  # of the usual distance: where S1 lies below the last vertebra
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
        evidence: what else speaks for each level, in nats against chance and already weighed, (26,), with S1 (27,) if
            ``sacral`` is given; 0 for nothing.
        sacral: log odds that it is the centre of S1's body if it is no vertebra's; None where nobody was asked.
    """

    position: tuple[float, float, float]
    probability: float
    levels: np.ndarray
    evidence: np.ndarray | float = 0.0
    sacral: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", rounded(self.position))


class Steps(NamedTuple):
    """Steps down a column, as arrays: from and to which member, their cost in nats, the expected distance in mm."""

    upper: np.ndarray
    lower: np.ndarray
    cost: np.ndarray
    length: np.ndarray


@cache
def _steps(kind: Kind) -> Steps:
    """The steps of a kind of column, from one vertebra to the next or over one."""
    ranks, alike = kind.ranks[:-1], kind.alike
    length = np.cumsum([0.0, *(DISTANCE[COLUMN[rank]] for rank in ranks)])
    pairs = [(a, a + reach) for reach in (1, 2) for a in range(len(ranks) - reach)]
    upper, lower = np.array(pairs).T
    entered = [ranks[a] == alike[a] and ranks[a + 1 : b + 1] != alike[a + 1 : b + 1] for a, b in pairs]
    cost = OVERLOOKED * (lower - upper - 1) + kind.cost * np.array(entered)
    return Steps(upper, lower, cost, length[lower] - length[upper])


def _step_scores(upper: Candidate, lower: Candidate, steps: Steps, size: float, spread: float) -> np.ndarray:
    """Log score of every step between two candidates of a person of the given size (1 is the mean)."""
    distance = float(np.linalg.norm(np.subtract(upper.position, lower.position)))
    return score(distance, steps.length * size, spread) - steps.cost


def _unary(candidate: Candidate, sharpness: float) -> np.ndarray:
    """Log odds of being a vertebra plus log likelihood of each level, against the likeliest; of S1 alike, (27,).

    What speaks for a name does not make a vertebra of a place; a clear name does a little. The networks' levels know no
    S1: they take it for what lies above, so they do not speak against it.
    """
    p = np.clip(candidate.probability, 1e-3, 1 - 1e-3)
    levels = np.clip(candidate.levels / candidate.levels.sum(), 1e-4, None)
    chance = np.log(levels * len(COLUMN))
    odds = np.full(len(chance) + 1, np.log(p / (1 - p)) + 1.5 + SHARPNESS * chance.max())
    if candidate.sacral is None:
        names = np.append(sharpness * chance + candidate.evidence, -UNUSUAL)
    else:
        odds[S1] = candidate.sacral
        names = sharpness * np.append(chance, max(chance[level.rank] for level in LAST)) + candidate.evidence
    return odds + names - names.max()


def best_sequence(candidates: list[Candidate], sharpness: float = SHARPNESS, *, usual: bool = False) -> Centroids:
    """The centroids of the likeliest column.

    Solved twice: first for the mean person, then with distances scaled to the size that the first answer shows.

    Args:
        candidates: any order, at most one per place.
        sharpness: how much the networks' levels count against distances and order.
        usual: whether to take it that the person has twelve thoracic and five lumbar vertebrae.

    Returns:
        Each with the probability of its level as confidence, and the verdict on the names. A vertebra overlooked
        between two others is put between them at half its confidence. Where S1 ends the column, the verdict holds its
        place. Empty without candidates.
    """
    if not candidates:
        return Centroids()
    chain = sorted(candidates, key=lambda c: -c.position[2])
    unary = np.array([_unary(candidate, sharpness) for candidate in chain])
    kinds = [kind for kind in KINDS if kind.ranks == COLUMNS["usual"] or not usual]
    size, spread = 1.0, BETWEEN_PEOPLE
    path = _best(chain, unary, kinds, size, spread)
    ratios = [
        np.linalg.norm(np.subtract(chain[a.candidate].position, chain[b.candidate].position)) / b.length
        for a, b in itertools.pairwise(path)
    ]
    if len(ratios) >= 3:
        size, spread = float(np.clip(np.median(ratios), 0.5, 1.5)), WITHIN_PERSON
        path = _best(chain, unary, kinds, size, spread)
    if not path:
        return Centroids()
    below = _sacral(chain, unary, path[-1].candidate, size)
    if below is not None:
        path.append(Found(below))

    positions: list[np.ndarray] = []
    rows: list[np.ndarray | None] = []
    for found in path:
        position = np.array(chain[found.candidate].position, float)
        if found.overlooked:
            positions.append(positions[-1] + found.overlooked * (position - positions[-1]))
            rows.append(None)
        positions.append(position)
        rows.append(unary[found.candidate])
    numbering, confidences = verdict(rows, np.array(positions), size, spread, usual=usual)
    if len(numbering.readings[0].levels) < len(positions):
        *positions, sacrum = positions
        numbering = replace(numbering, sacrum=tuple(sacrum))
    points = [
        Centroid(level, tuple(position), confidence / (1 if row is not None else 2))
        for level, position, confidence, row in zip(
            numbering.readings[0].levels, positions, confidences, rows, strict=False
        )
    ]
    return Centroids(tuple(points), numbering)


def _sacral(chain: list[Candidate], unary: np.ndarray, last: int, size: float) -> int | None:
    """The candidate one step below the last vertebra that is likelier S1 than a vertebra or nothing, None without."""
    found = {}
    for i in range(last + 1, len(chain)):
        away = np.linalg.norm(np.subtract(chain[i].position, chain[last].position))
        if NEXT[0] < away / (DISTANCE[Level.L5] * size) < NEXT[1] and unary[i, S1] > max(unary[i, :S1].max(), 0.0):
            found[i] = unary[i, S1]
    return max(found, key=lambda i: found[i], default=None)


class Found(NamedTuple):
    """A vertebra of a path.

    Attributes:
        candidate: its number in the chain.
        length: mm expected from the one above.
        overlooked: which share of that a vertebra between them takes that no candidate shows, 0 without one.
    """

    candidate: int
    length: float = 0.0
    overlooked: float = 0.0


def _best(chain: list[Candidate], unary: np.ndarray, kinds: list[Kind], size: float, spread: float) -> list[Found]:
    """The best path of all kinds of columns, from the head down."""
    return max((_solve(chain, unary, kind, size, spread) for kind in kinds), key=lambda one: one[0])[1]


def _solve(
    chain: list[Candidate], unary: np.ndarray, kind: Kind, size: float, spread: float
) -> tuple[float, list[Found]]:
    """The score of the best path down a column, and that path: 0 and empty if no candidate is likelier one than not."""
    steps, ranks, alike = _steps(kind), np.array(kind.ranks[:-1]), np.array(kind.alike[:-1])
    said = np.array([mixed(row, ranks, alike) for row in unary])
    best = said - kind.cost * (ranks != alike)
    back: dict[tuple[int, int], tuple[int, int]] = {}
    for j in range(len(chain)):
        for i in range(max(j - 1 - FARTHEST, 0), j):
            step_scores = _step_scores(chain[i], chain[j], steps, size, spread)
            through = best[i, steps.upper] + step_scores + said[j, steps.lower]
            for better in np.flatnonzero(through > best[j, steps.lower]):
                if through[better] > best[j, steps.lower[better]]:
                    best[j, steps.lower[better]] = through[better]
                    back[j, int(steps.lower[better])] = (i, int(better))
    j, member = (int(v) for v in np.unravel_index(np.argmax(best), best.shape))
    if best[j, member] <= 0:
        return 0.0, []
    total = float(best[j, member])
    path: list[Found] = []
    while (j, member) in back:
        i, step = back[j, member]
        upper, length = int(steps.upper[step]), float(steps.length[step])
        between = DISTANCE[COLUMN[ranks[upper]]] / length if member - upper > 1 else 0.0
        path.append(Found(j, length, between))
        j, member = i, upper
    return total, [Found(j), *path[::-1]]
