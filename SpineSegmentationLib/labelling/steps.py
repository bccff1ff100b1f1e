"""The steps from vertebra to vertebra that lead down the columns people have, and what each is worth."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..anatomy import COLUMN
from .distances import DISTANCE, score
from .readings import Kind

OVERLOOKED = 3.5  # cost (nats) of a vertebra that no candidate shows
FARTHEST = 6  # candidates that may lie between two of the chain


class Steps(NamedTuple):
    """Steps down a column, as arrays: from and to which member, their cost in nats, the expected distance in mm."""

    upper: NDArray[np.int_]
    lower: NDArray[np.int_]
    cost: NDArray[np.float64]
    length: NDArray[np.float64]

    def scores(self, above: ArrayLike, below: ArrayLike, size: float, spread: float) -> NDArray[np.float64]:
        """Log score of every step between two places (LPS mm) of a person of the given size (1 is the mean)."""
        distance = float(np.linalg.norm(np.subtract(above, below)))
        return score(distance, self.length * size, spread) - self.cost


@cache
def steps(kind: Kind, sacrum: bool = False) -> Steps:
    """The steps of a kind of column, from one vertebra to the next or over one; those to S1 too if ``sacrum``."""
    ranks, alike = kind.ranks, kind.alike
    length = np.cumsum([0.0, *(DISTANCE[COLUMN[rank]] for rank in ranks[:-1])])
    pairs = [(a, a + reach) for reach in (1, 2) for a in range(len(ranks) - (not sacrum) - reach)]
    upper, lower = np.array(pairs).T
    entered = [ranks[a] == alike[a] and ranks[a + 1 : b + 1] != alike[a + 1 : b + 1] for a, b in pairs]
    cost = OVERLOOKED * (lower - upper - 1) + kind.cost * np.array(entered)
    return Steps(upper, lower, cost, length[lower] - length[upper])
