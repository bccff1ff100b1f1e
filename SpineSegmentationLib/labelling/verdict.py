"""The names of a column as a whole: how likely each way to read it is, and whether that can be relied on.

The vertebrae of one scan are judged by the same networks and err together. So the scores of the readings are divided by
a temperature, fitted on people that no training saw, before they count as probabilities; and what happens to one scan
in twenty, that all are one level off however sure they are, is reckoned with.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..anatomy import COLUMN, S1
from ..numbering import Certainty, Numbering, Reading
from .distances import DISTANCE, VARIANT, is_variant, score
from .readings import COLUMNS, readings
from .readings import usual as is_usual

TEMPERATURE = 1.25
OFF_BY_ONE = 0.05  # share of views of people unseen in training that were named one level off as a whole
CERTAIN, DOUBTFUL = 0.92, 0.6  # least probability of the best reading to be called so


@cache
def ways(count: int, usual: bool) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """The ways (R, count) to name so many neighbours, as ranks in ``COLUMN``, and the cost (R,) of unusual columns."""
    kept = ~(readings(count) == S1).any(1)
    if usual:
        kept &= is_usual(count)
    found = readings(count)[kept]
    steps = [[is_variant(COLUMN[a], COLUMN[b]) for a, b in itertools.pairwise(way)] for way in found]
    first = np.array([COLUMN[way[0]].is_transitional for way in found])
    return found, VARIANT * (np.array(steps, float).reshape(len(found), -1).sum(1) + first)


def verdict(
    rows: Sequence[NDArray | None], positions: NDArray, size: float, spread: float, *, usual: bool = False
) -> tuple[Numbering, list[float]]:
    """The verdict on a column, and the probability of each vertebra's name in the best reading.

    Args:
        rows: what speaks for each level of ``COLUMN``, in nats (26,), for every vertebra from the head down; None for
            one that no candidate showed.
        positions: (N, 3) LPS mm.
        size, spread: of this person, as :func:`distances.score` expects distances.
        usual: whether to take it that the person has twelve thoracic and five lumbar vertebrae.
    """
    found, cost = ways(len(rows), usual)
    scores = -cost
    for column, row in zip(found.T, rows, strict=True):
        if row is not None:
            scores = scores + row[column]
    length = np.array([DISTANCE[level] for level in COLUMN])
    shown = [i for i, row in enumerate(rows) if row is not None]
    for a, b in itertools.pairwise(shown):
        expected = length[found[:, a:b]].sum(1) * size
        scores = scores + score(float(np.linalg.norm(positions[a] - positions[b])), expected, spread)
    scores = scores / TEMPERATURE
    probability = np.exp(scores - np.logaddexp.reduce(scores))
    beside = _one_off(found, found[int(np.argmax(probability))])
    if beside.any():
        share = np.where(beside, np.exp(scores - scores[beside].max()), 0.0)
        probability = (1 - OFF_BY_ONE) * probability + OFF_BY_ONE * share / share.sum()
    order = np.argsort(-probability, kind="stable")[:2]
    best = [Reading(tuple(COLUMN[rank] for rank in found[i]), float(min(probability[i], 1.0))) for i in order]
    confidences = [float(min(probability[column == column[order[0]]].sum(), 1.0)) for column in found.T]
    return Numbering(_certainty(best[0].probability), tuple(best)), confidences


def _one_off(found: NDArray[np.int_], way: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Which ways (R, count) of the usual column lie one level above or below a way; none if that is no usual one."""
    place = {rank: number for number, rank in enumerate(COLUMNS["usual"])}
    if not set(way.tolist()) <= set(place):
        return np.zeros(len(found), bool)
    mine = np.array([place[rank] for rank in way.tolist()])
    others = np.array([[place.get(rank, -9) for rank in other] for other in found.tolist()])
    return np.abs(others - mine).min(1) + np.abs(others - mine).max(1) == 2


def _certainty(probability: float) -> Certainty:
    if probability >= CERTAIN:
        return Certainty.CERTAIN
    return Certainty.DOUBTFUL if probability >= DOUBTFUL else Certainty.UNKNOWN
