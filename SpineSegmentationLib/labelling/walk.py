"""Walking along a column past its ends and over its gaps, as long as the patches show bodies there.

Rods, fusions and thick slices hide vertebrae from the projections; from a sure vertebra, the next is one step away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .distances import TOO_LONG, WITHIN_PERSON, longer

STEPS = (0.75, 0.9, 1.05, 1.2, 1.35)  # places looked at, in steps of the neighbours' distance
SURE = 2.5  # nats: least log odds of a body to walk on to it
CLOSE = 0.6  # of a step: nearer than this, it is the same vertebra
FARTHEST = 8  # steps beyond each end
ENOUGH = 4  # sure vertebrae that show a way

Ask = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Positions (N, 3) in LPS mm to the log odds (N,) of a body's centre there; -inf outside the box."""


def beyond(column: NDArray[np.float64], expected: NDArray[np.float64], ask: Ask) -> NDArray[np.float64]:
    """Positions (M, 3) of bodies that continue a column (N, 3) upwards and downwards or lie in its gaps, LPS mm.

    Args:
        column: the sure vertebrae from the head down; fewer than ``ENOUGH`` show no way.
        expected: (N,) mm from each to the next in the mean person.
        ask: what the patches say.
    """
    if len(column) < ENOUGH:
        return np.zeros((0, 3))
    found: list[NDArray[np.float64]] = []
    lengths = np.linalg.norm(np.diff(column, axis=0), axis=1)
    steps = expected[:-1] * np.median(lengths / expected[:-1])
    for upper, lower, length, near in zip(column, column[1:], lengths, steps, strict=False):
        if np.log(length / near) > TOO_LONG * longer(near, WITHIN_PERSON):
            shares = np.linspace(0, 1, max(round(length / 4), 3))[1:-1]
            places = upper + shares[:, None] * (lower - upper)
            inside = np.minimum(shares, 1 - shares) * length > CLOSE * near
            found += _best(places[inside], ask)
    for end in (column, column[::-1]):
        last, before = end[-1], end[-2]
        for _ in range(FARTHEST):
            places = last + np.outer(STEPS, last - before)
            best = _best(places, ask)
            if not best:
                break
            before, last = last, best[0]
            found.append(last)
    return np.array(found).reshape(-1, 3)


def _best(places: NDArray[np.float64], ask: Ask) -> list[NDArray[np.float64]]:
    """The mean of the surest place and its sure neighbours, nothing when none is sure."""
    if not len(places):
        return []
    odds = ask(places)
    best = int(np.argmax(odds))
    if odds[best] < SURE:
        return []
    near = slice(max(best - 1, 0), best + 2)
    weight = 1 / (1 + np.exp(-np.clip(odds[near], -30, 30)))
    return [weight @ places[near] / weight.sum()]
