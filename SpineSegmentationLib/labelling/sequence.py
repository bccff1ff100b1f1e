"""From candidates to the column: the likeliest sequence of levels, by dynamic programming over candidates and levels.

Each candidate says how likely it is a vertebra at all, and which. A column is a chain of candidates from the head
down whose levels follow each other (:func:`anatomy.may_follow`), whose distances fit those of the levels, and in
which at most one vertebra at a time was overlooked. The best chain gives the labels; summing over all chains gives
each label's probability, its confidence.
"""

from __future__ import annotations

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
SPREAD = 0.17  # relative standard deviation of a distance, between people and within one
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


def _step_scores(upper: Candidate, lower: Candidate) -> np.ndarray:
    """Log score of every step of ``STEPS`` between two candidates."""
    distance = np.linalg.norm(np.subtract(upper.position, lower.position))
    deviation = np.log(max(distance, 1e-3) / _LENGTH) / SPREAD
    return -_COST - 0.5 * np.minimum(deviation**2, 60.0)


def _unary(candidate: Candidate, sharpness: float) -> np.ndarray:
    """Log odds of being a vertebra plus log likelihood of each level against chance."""
    p = np.clip(candidate.probability, 1e-3, 1 - 1e-3)
    levels = np.clip(candidate.levels / candidate.levels.sum(), 1e-4, None)
    return np.log(p / (1 - p)) + 1.5 + sharpness * np.log(levels * len(COLUMN))


def best_sequence(candidates: list[Candidate], sharpness: float = SHARPNESS) -> Centroids:
    """The centroids of the likeliest column.

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
    best, ahead, back = unary.copy(), unary.copy(), {}
    scores = {
        (i, j): _step_scores(chain[i], chain[j]) for j in range(len(chain)) for i in range(max(j - 1 - FARTHEST, 0), j)
    }
    for j in range(len(chain)):
        for i in range(max(j - 1 - FARTHEST, 0), j):
            through = best[i, _FROM] + scores[i, j] + unary[j, _TO]
            for step in np.flatnonzero(through > best[j, _TO]):
                if through[step] > best[j, _TO[step]]:
                    best[j, _TO[step]] = through[step]
                    back[j, int(_TO[step])] = (i, int(step))
            total = ahead[i, _FROM] + scores[i, j] + unary[j, _TO]
            np.logaddexp.at(ahead[j], _TO, total)
    behind = np.zeros_like(unary)
    for i in reversed(range(len(chain))):
        for j in range(i + 1, min(i + 2 + FARTHEST, len(chain))):
            np.logaddexp.at(behind[i], _FROM, scores[i, j] + unary[j, _TO] + behind[j, _TO])
    posterior = ahead + behind

    points: list[Centroid] = []
    state = tuple(int(v) for v in np.unravel_index(np.argmax(best), best.shape))
    if best[state] <= 0:
        return Centroids()
    while True:
        j, rank = state
        marginal = np.exp(posterior[j] - np.logaddexp.reduce(posterior[j]))
        points.append(Centroid(COLUMN[rank], chain[j].position, float(np.clip(marginal[rank], 0, 1))))
        if state not in back:
            break
        i, step = back[state]
        upper, _, _, _, between = STEPS[step]
        if between is not None:
            share = DISTANCE[COLUMN[upper]] / _LENGTH[step]
            middle = np.array(chain[i].position) + share * np.subtract(chain[j].position, chain[i].position)
            points.append(Centroid(COLUMN[between], tuple(middle), points[-1].confidence / 2))
        state = (i, upper)
    return Centroids(tuple(points))
