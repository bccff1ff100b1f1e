"""From candidates to the column: the likeliest sequence of levels, by dynamic programming over candidates and levels.

Each candidate says how likely it is a vertebra at all, and which. A column is a chain of candidates from the head
down whose levels follow each other (:func:`anatomy.may_follow`), whose distances fit those of the levels, and in
which at most one vertebra at a time was overlooked. The best chain gives the labels; summing over all chains gives
each label's probability, its confidence.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..anatomy import COLUMN, Level, may_follow
from ..spine import Centroid, Centroids

# Mean distance (mm) from each level's centroid to the next below, C1 to L5, measured on the training cases.
DISTANCE = dict(
    zip(
        COLUMN,
        (17.2, 20.1, 16.9, 16.4, 16.2, 17.0, 18.9)
        + (20.5, 21.4, 21.7, 21.5, 21.6, 22.3, 24.0, 24.4, 26.5, 27.2, 30.1, 31.1, 31.1)
        + (34.2, 35.4, 35.6, 35.4, 35.4, 35.4),
        strict=True,
    )
)
BETWEEN_PEOPLE = 0.17  # relative standard deviation of a distance
WITHIN_PERSON = 0.17  # the same once the size of this person is known
OVERLOOKED = 3.5  # cost (nats) of a vertebra that no candidate shows
VARIANT = 4.0  # cost of T13, of L6, of a missing T12
FARTHEST = 6  # candidates that may lie between two of the chain
SHARPNESS = 0.25  # the vertebrae of a scan are judged by one network and err together: four count as one


@dataclass(frozen=True)
class Candidate:
    """A place that may be a vertebra.

    Attributes:
        position: LPS mm.
        probability: that it is one, 0..1.
        levels: probability of each level of ``COLUMN`` if it is one, (26,).
    """

    position: tuple[float, float, float]
    probability: float
    levels: np.ndarray


def _steps() -> list[tuple[int, int, float, float, int | None]]:
    """Allowed steps: rank above, rank below, cost, expected distance, rank of the vertebra overlooked between."""
    steps = []
    direct: dict[int, list[tuple[int, float]]] = {}
    for upper in COLUMN:
        for lower in COLUMN:
            if may_follow(upper, lower):
                unusual = lower.is_transitional or (upper, lower) == (Level.T11, Level.L1)
                direct.setdefault(upper.rank, []).append((lower.rank, VARIANT if unusual else 0.0))
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
    distance = np.linalg.norm(np.subtract(upper.position, lower.position))
    deviation = np.log(max(distance, 1e-3) / (_LENGTH * size)) / spread
    return -_COST - 0.5 * np.minimum(deviation**2, 60.0)


def _unary(candidate: Candidate, sharpness: float) -> np.ndarray:
    """Log odds of being a vertebra plus log likelihood of each level against chance."""
    p = np.clip(candidate.probability, 1e-3, 1 - 1e-3)
    levels = np.clip(candidate.levels / candidate.levels.sum(), 1e-4, None)
    return np.log(p / (1 - p)) + 1.5 + sharpness * np.log(levels * len(COLUMN))


def best_sequence(candidates: list[Candidate], sharpness: float = SHARPNESS) -> Centroids:
    """The centroids of the likeliest column.

    Solved twice: first for the mean person, then with distances scaled to the size that the first answer shows.

    Args:
        candidates: any order, at most one per place.
        sharpness: how much the networks' levels count against distances and order.

    Returns:
        Each with the probability of its level as confidence. A vertebra overlooked between two others is put midway
        between them at half their lower confidence. Empty without candidates.
    """
    if not candidates:
        return Centroids()
    chain = sorted(candidates, key=lambda c: -c.position[2])
    unary = np.array([_unary(candidate, sharpness) for candidate in chain])
    path, posterior = _solve(chain, unary, 1.0, BETWEEN_PEOPLE)
    ratios = [
        np.linalg.norm(np.subtract(chain[i].position, chain[j].position)) / _LENGTH[step]
        for (i, _, _), (j, _, step) in itertools.pairwise(path)
    ]
    if len(ratios) >= 3:
        size = float(np.clip(np.median(ratios), 0.5, 1.5))
        path, posterior = _solve(chain, unary, size, WITHIN_PERSON)

    points: list[Centroid] = []
    for j, rank, step in path:
        marginal = np.exp(posterior[j] - np.logaddexp.reduce(posterior[j]))
        point = Centroid(COLUMN[rank], chain[j].position, float(np.clip(marginal[rank], 0, 1)))
        if step is not None and (between := STEPS[step][4]) is not None:
            share = DISTANCE[points[-1].level] / _LENGTH[step]
            middle = np.array(points[-1].position) + share * np.subtract(point.position, points[-1].position)
            doubt = min(points[-1].confidence, point.confidence) / 2
            points.append(Centroid(COLUMN[between], tuple(middle), doubt))
        points.append(point)
    return Centroids(tuple(points))


def _solve(
    chain: list[Candidate], unary: np.ndarray, size: float, spread: float
) -> tuple[list[tuple[int, int, int | None]], np.ndarray]:
    """The best path from the head down and the log probability, up to a constant, of every state over all paths.

    A path is a list of (candidate, rank, number of the step of ``STEPS`` that led there, None for the first).
    """
    best, ahead, back = unary.copy(), unary.copy(), {}
    pairs = [(i, j) for j in range(len(chain)) for i in range(max(j - 1 - FARTHEST, 0), j)]
    scores = {(i, j): _step_scores(chain[i], chain[j], size, spread) for i, j in pairs}
    for i, j in pairs:
        through = best[i, _FROM] + scores[i, j] + unary[j, _TO]
        for step in np.flatnonzero(through > best[j, _TO]):
            if through[step] > best[j, _TO[step]]:
                best[j, _TO[step]] = through[step]
                back[j, int(_TO[step])] = (i, int(step))
        np.logaddexp.at(ahead[j], _TO, ahead[i, _FROM] + scores[i, j] + unary[j, _TO])
    behind = np.zeros_like(unary)
    for i, j in sorted(pairs, reverse=True):
        np.logaddexp.at(behind[i], _FROM, scores[i, j] + unary[j, _TO] + behind[j, _TO])

    j, rank = (int(v) for v in np.unravel_index(np.argmax(best), best.shape))
    path: list[tuple[int, int, int | None]] = []
    if best[j, rank] > 0:
        while (j, rank) in back:
            i, step = back[j, rank]
            path.append((j, rank, step))
            j, rank = i, STEPS[step][0]
        path.append((j, rank, None))
    return path[::-1], ahead + behind
