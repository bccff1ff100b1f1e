"""Which of the things that a traversal met are the column, and where it passed one of its vertebrae over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..anatomy import Level
from .distances import DISTANCE
from .lessmann_sequence import NAMES

NEAREST = 6.0  # mm: what lies nearer is the same vertebra, met twice
FARTHEST = 100.0  # mm between two vertebrae that follow each other: one between them may have been passed over
ASIDE = 25.0  # mm to the left or right from one to the next
ALONG = 0.6  # least share of that way that goes along the body
PASSED = 1.7  # times the usual distance, from which a vertebra is missing between


def column(bodies: np.ndarray, volumes: np.ndarray) -> list[int]:
    """The chain of neighbours that holds the most bone, from the head down; pieces of hip or skull are in none.

    Args:
        bodies: (N, 3) LPS mm; ``volumes``: (N,).
    """
    order = np.argsort(-bodies[:, 2])
    best = np.array(volumes, float)
    before = np.full(len(order), -1)
    for place, one in enumerate(order):
        for earlier in order[:place]:
            way = bodies[one] - bodies[earlier]
            length = float(np.linalg.norm(way))
            follows = NEAREST <= length <= FARTHEST and abs(way[0]) <= ASIDE and -way[2] >= ALONG * length
            if follows and best[earlier] + volumes[one] > best[one]:
                best[one], before[one] = best[earlier] + volumes[one], earlier
    chain: list[int] = []
    last = int(best.argmax()) if len(order) else -1
    while last >= 0:
        chain.append(last)
        last = int(before[last])
    return chain[::-1]


def steps(bodies: np.ndarray, numbers: Sequence[float] | np.ndarray) -> list[int]:
    """How many names each vertebra of a column (N, 3, LPS mm, from the head down) is below the first.

    Where the way to the next is much longer than usual for such numbers, one has been passed over.
    """
    places = [0]
    for number in range(1, len(bodies)):
        middle = (numbers[number - 1] + numbers[number]) / 2
        level: Level = NAMES[int(np.clip(np.rint(middle - 0.5), 1, len(NAMES))) - 1]
        times = float(np.linalg.norm(bodies[number] - bodies[number - 1])) / DISTANCE[level]
        places.append(places[-1] + (1 if times < PASSED else round(times)))
    return places
