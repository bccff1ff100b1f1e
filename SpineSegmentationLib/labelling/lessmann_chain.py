"""Which of the things that a traversal met are the column, and where it passed one of its vertebrae over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .distances import DISTANCE, score
from .lessmann_sequence import NAMES

NEAREST = 6.0  # mm: what lies nearer is the same vertebra, met twice
FARTHEST = 100.0  # mm between two vertebrae that follow each other: one between them may have been passed over
ASIDE = 25.0  # mm to the left or right from one to the next
ALONG = 0.5  # least share of that way that goes along the body
FURTHER = 4  # names at most from one to the next: three may have been passed over
SPREAD = 0.2  # relative: the middles of single masks are less exact than those that distances were measured from
DISTANCES = 0.2  # weight of how well the distances fit, beside the probabilities of names
ROOM = 1.7  # times the usual distance, from which one was passed over for certain
PASSED = 0.5  # what it costs that vertebrae were passed over: half a certain name
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
    """The chain of neighbours whose names fit best together and to the distances between them.

    What counts is the sum of the names' probabilities and of the distances' scores (:func:`distances.score`), less what
    vertebrae passed over cost. So there are such where the distance says so, or where more than one name does.
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
            for further in range(1, FURTHER + 1):
                fits = DISTANCES * score(length, _DEPTH[further:] - _DEPTH[:-further], SPREAD)
                if further == 1:
                    fits[length > ROOM * np.diff(_DEPTH)] = -np.inf
                totals = best[earlier, :-further] + gain[one, further:] + fits - PASSED * (further > 1)
                for name in np.flatnonzero(totals > best[one, further:]):
                    best[one, name + further] = totals[name]
                    before[int(one), int(name) + further] = int(earlier), int(name)
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
