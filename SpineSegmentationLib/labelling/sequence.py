"""From candidates to the column: the likeliest sequence of levels, by dynamic programming over candidates and levels.

Each candidate says how likely it is a vertebra at all, and which. A path is a chain of candidates from the head down
through one of the columns that people have (:mod:`.readings`), whose distances fit those of the levels, and in which
at most one vertebra at a time was overlooked. The best chain gives the places, and what looks like S1 below it
one more; :mod:`.verdict` weighs every way to name these. S1 is no vertebra of the result, but L5 is above it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..anatomy import COLUMN, S1, Level
from ..spine import Centroid, Centroids, rounded
from .confidence import confidences
from .distances import BETWEEN_PEOPLE, DISTANCE, LAST, WITHIN_PERSON, misfits
from .readings import COLUMNS, KINDS, Kind
from .rivals import rivals
from .steps import FARTHEST, steps
from .verdict import against, beside, mixed, verdict

NEXT = (0.6, 1.5)  # of the usual distance: where S1 lies below the last vertebra
COUNTED = (Level.L5, Level.L6)
"""Last levels above which vertebrae can be counted up to the last rib. Elsewhere ribs that are short, missing or
mistaken would make unusual columns of usual ones."""

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
        ribs: what speaks for each level, and S1, by whether ribs are seen, in nats, (27,); a vertebra that looks like
            its neighbour has ribs by its own name all the same.
    """

    position: tuple[float, float, float]
    probability: float
    levels: np.ndarray
    evidence: np.ndarray | float = 0.0
    sacral: float | None = None
    ribs: np.ndarray | float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", rounded(self.position))


def _unary(candidate: Candidate, sharpness: float) -> np.ndarray:
    """What it looks like, and what its ribs say of each level and of S1, (2, 27) as :func:`verdict.mixed` takes them.

    The first: log odds of being a vertebra plus log likelihood of each level, against the likeliest; of S1 alike.

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
    return np.array([odds + names - names.max(), np.broadcast_to(candidate.ribs, len(names))])


def best_sequence(candidates: list[Candidate], sharpness: float = SHARPNESS, *, usual: bool = False) -> Centroids:
    """The centroids of the likeliest column.

    Solved twice: first for the mean person, then with distances scaled to the size that the first answer shows.

    Args:
        candidates: any order, at most one per place.
        sharpness: how much the networks' levels count against distances and order.
        usual: whether to take it that the person has twelve thoracic and five lumbar vertebrae.

    Returns:
        Each with how sure its name is as confidence (:mod:`.confidence`), and the verdict on the names. A vertebra
        overlooked between two others is put between them, for half its share of the readings. Where S1 ends the column,
        the verdict holds its place. Ribs speak for names where the column ends with one of ``COUNTED``. Empty without
        candidates.
    """
    if not candidates:
        return Centroids()
    chain = sorted(candidates, key=lambda c: -c.position[2])
    unary = np.array([_unary(candidate, sharpness) for candidate in chain])
    looks = unary[:, 0]
    kinds = [kind for kind in KINDS if kind.ranks == COLUMNS["usual"] or not usual]
    size, spread = 1.0, BETWEEN_PEOPLE
    path = _best(chain, looks, kinds, size, spread)
    ratios = [
        np.linalg.norm(np.subtract(chain[a.candidate].position, chain[b.candidate].position)) / b.length
        for a, b in itertools.pairwise(path)
    ]
    if len(ratios) >= 3:
        size, spread = float(np.clip(np.median(ratios), 0.5, 1.5)), WITHIN_PERSON
        path = _best(chain, looks, kinds, size, spread)
    if not path:
        return Centroids()
    below = _sacral(chain, looks, path[-1].candidate, size)
    if below is not None:
        path.append(Found(below))

    positions: list[np.ndarray] = []
    numbers: list[int | None] = []
    for found in path:
        position = np.array(chain[found.candidate].position, float)
        if found.overlooked:
            positions.append(positions[-1] + found.overlooked * (position - positions[-1]))
            numbers.append(None)
        positions.append(position)
        numbers.append(found.candidate)
    for said in (looks, unary):
        rows = [None if number is None else said[number] for number in numbers]
        numbering, shares = verdict(rows, np.array(positions), size, spread, usual=usual)
        levels = numbering.readings[0].levels
        if levels[-1] not in COUNTED:
            break
    ranks = [*(level.rank for level in levels), S1][: len(positions)]
    all_places = np.array([one.position for one in chain])
    others = rivals(all_places, said, np.array(positions), np.array(ranks), kinds, size, spread)
    shares = [share / (1 if row is not None else 2) for share, row in zip(shares, rows, strict=False)]
    sure = confidences(shares, numbering.readings[0].probability, others)
    numbering = beside(numbering, others.column)
    named, below_it = positions[: len(levels)], positions[len(levels) :]
    numbering = against(numbering, misfits(levels, np.array(named), size, spread))
    numbering = against(numbering, _left_out(chain, looks, path[-1].candidate, levels[-1], size))
    if below_it:
        numbering = replace(numbering, sacrum=tuple(below_it[0]))
    points = [
        Centroid(level, tuple(position), confidence)
        for level, position, confidence in zip(levels, named, sure, strict=True)
    ]
    return Centroids(tuple(points), numbering)


def _left_out(chain: list[Candidate], unary: np.ndarray, last: int, level: Level, size: float) -> list[str]:
    """Phrases on what is likely a vertebra, and not S1, one step below the last lumbar one that ends the column."""
    if level not in (Level.L5, Level.L6):
        return []
    for i in _next(chain, last, size):
        if chain[i].probability > 0.5 and unary[i, S1] < 0:
            return [f"what looks like a vertebra below {level.name} has no name"]
    return []


def _next(chain: list[Candidate], last: int, size: float) -> list[int]:
    """The candidates one step of L5 below the last vertebra."""
    places = np.array([one.position for one in chain])
    away = np.linalg.norm(places - places[last], axis=1) / (DISTANCE[Level.L5] * size)
    return [i for i in range(last + 1, len(chain)) if NEXT[0] < away[i] < NEXT[1]]


def _sacral(chain: list[Candidate], unary: np.ndarray, last: int, size: float) -> int | None:
    """The candidate one step below the last vertebra that is likelier S1 than a vertebra or nothing, None without."""
    found = {i: unary[i, S1] for i in _next(chain, last, size) if unary[i, S1] > max(unary[i, :S1].max(), 0.0)}
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
    down, ranks, alike = steps(kind), np.array(kind.ranks[:-1]), np.array(kind.alike[:-1])
    said = np.array([mixed(row, ranks, alike) for row in unary])
    best = said - kind.cost * (ranks != alike)
    back: dict[tuple[int, int], tuple[int, int]] = {}
    for j in range(len(chain)):
        for i in range(max(j - 1 - FARTHEST, 0), j):
            step_scores = down.scores(chain[i].position, chain[j].position, size, spread)
            through = best[i, down.upper] + step_scores + said[j, down.lower]
            for better in np.flatnonzero(through > best[j, down.lower]):
                if through[better] > best[j, down.lower[better]]:
                    best[j, down.lower[better]] = through[better]
                    back[j, int(down.lower[better])] = (i, int(better))
    j, member = (int(v) for v in np.unravel_index(np.argmax(best), best.shape))
    if best[j, member] <= 0:
        return 0.0, []
    total = float(best[j, member])
    path: list[Found] = []
    while (j, member) in back:
        i, step = back[j, member]
        upper, length = int(down.upper[step]), float(down.length[step])
        between = DISTANCE[COLUMN[ranks[upper]]] / length if member - upper > 1 else 0.0
        path.append(Found(j, length, between))
        j, member = i, upper
    return total, [Found(j), *path[::-1]]
