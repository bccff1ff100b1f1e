"""Which of the things that a traversal met are the column, and where it passed one of its vertebrae over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .distances import DISTANCE
from .lessmann_sequence import NAMES

NEAREST = 6.0  # mm: what lies nearer is the same vertebra, met twice
FARTHEST = 100.0  # mm between two vertebrae that follow each other: one between them may have been passed over
ASIDE = 25.0  # mm to the left or right from one to the next
ALONG = 0.6  # least share of that way that goes along the body
PASSED = 1.7  # times the usual distance, from which a vertebra is missing between
ANY = 0.05  # what a vertebra counts whose name is out of the question: it is better named than left out

_DEPTH = np.cumsum([0.0, *(DISTANCE[level] for level in NAMES[:-1])])  # mm from C1 down, in the mean person


class Chain(NamedTuple):
    """A column among what was met.

    Attributes:
        order: which, from the head down.
        places: how many names each lies below the first; more than one further where one was passed over.
    """

    order: list[int]
    places: list[int]


def column(bodies: np.ndarray, chances: np.ndarray) -> Chain:
    """The chain of neighbours whose names fit best together: the sum of their probabilities is the largest.

    Pieces of hip or skull fit into none: they lie aside, too far, or where no vertebra may follow.

    Args:
        bodies: (N, 3) LPS mm; ``chances``: (N, 25) probabilities of their names.
    """
    order = np.argsort(-bodies[:, 2], kind="stable")
    gain = chances + ANY
    best = gain.copy()
    before: dict[tuple[int, int], tuple[int, int]] = {}
    for place, one in enumerate(order):
        for earlier in order[:place]:
            if not _follows(bodies[earlier], bodies[one]):
                continue
            length = float(np.linalg.norm(bodies[one] - bodies[earlier]))
            for name in range(len(NAMES) - 1):
                below = name + _steps(length, name)
                total = best[earlier, name] + gain[one, min(below, len(NAMES) - 1)]
                if below < len(NAMES) and total > best[one, below]:
                    best[one, below] = total
                    before[int(one), below] = int(earlier), name
    if not len(order):
        return Chain([], [])
    state: tuple[int, int] | None = divmod(int(best.argmax()), len(NAMES))
    states = []
    while state is not None:
        states.append(state)
        state = before.get(state)
    states.reverse()
    return Chain([one for one, _ in states], [name - states[0][1] for _, name in states])


def _follows(upper: np.ndarray, lower: np.ndarray) -> bool:
    """Whether one place (LPS mm) may be that of the next vertebra, or the next but some, below another."""
    way = lower - upper
    length = float(np.linalg.norm(way))
    return NEAREST <= length <= FARTHEST and abs(way[0]) <= ASIDE and -way[2] >= ALONG * length


def _steps(length: float, name: int) -> int:
    """How many names further a vertebra is that lies so far (mm) below one of ``NAMES``."""
    further = _DEPTH[name + 1 :] - _DEPTH[name]
    return 1 if length < PASSED * further[0] else int(np.abs(further - length).argmin()) + 1
