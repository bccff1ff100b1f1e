"""Whether the column could also lie elsewhere, and be named otherwise for it.

The verdict weighs the names that the places of the best column may have. But a collapsed vertebra that was passed over,
or one that was taken twice, changes how many there are, and with it every name on one side of it. So the best column
is looked for that goes through other places and names one of those given otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..anatomy import S1
from .readings import Kind
from .steps import FARTHEST, steps
from .verdict import mixed

OTHERWISE, ELSEWHERE = 1, 2
"""Bits of the state of a path: it names a place of the column otherwise, it goes through other places."""


def rival(
    candidates: NDArray,
    unary: NDArray,
    places: NDArray,
    names: NDArray[np.int_],
    kinds: Sequence[Kind],
    size: float,
    spread: float,
) -> float:
    """How much better (nats) than any column of these names is the best one with more or fewer vertebrae in between.

    Most often less than 0. Such a column passes over one of the places or takes one twice, and one of them has another
    name in it. One that is shorter or longer at its ends is none: the verdict weighs its names.

    Args:
        candidates: (N, 3) LPS mm, from the head down.
        unary: (N, 27) or (N, 2, 27) what speaks for a vertebra of each level there, and for S1 (:func:`verdict.mixed`).
        places: (K, 3) of the column, from the head down, each a candidate's or of an overlooked vertebra between.
        names: (K,) the ranks of these, or ``S1``.
        kinds: of columns that may be.
        size, spread: of this person, as :func:`distances.score` expects them.
    """
    away = np.linalg.norm(candidates[:, None] - places[None], axis=2)
    first, last = (int(v) for v in away[:, [0, -1]].argmin(0))
    number = away.argmin(1)
    given = np.where((np.arange(len(candidates)) < first) | (np.arange(len(candidates)) > last), -1, names[number])
    pairs = [_best(candidates, unary, number, given, kind, size, spread) for kind in kinds]
    same, other = (max(scores) for scores in zip(*pairs, strict=True))
    return other - same


def _best(
    candidates: NDArray,
    unary: NDArray,
    number: NDArray[np.int_],
    given: NDArray[np.int_],
    kind: Kind,
    size: float,
    spread: float,
) -> tuple[float, float]:
    """The best scores down a kind of column: of paths that name nothing otherwise, of those that do and lie elsewhere.

    Args:
        number: (N,) of the place nearest to each candidate; ``given``: the rank that it has, -1 beyond the ends.
    """
    down, ranks, alike = steps(kind, sacrum=True), np.array(kind.ranks), np.array(kind.alike)
    said = np.array([mixed(row, ranks, alike) for row in unary])
    begun = np.where(ranks == S1, -np.inf, said - kind.cost * (ranks != alike))
    otherwise = (ranks != given[:, None]) & (given[:, None] >= 0)
    end = number.max()
    best = np.full((len(candidates), len(ranks), 4), -np.inf)
    for j, place in enumerate(candidates):
        here = best[j]
        here[:, 0] = begun[j]
        for i in range(max(j - 1 - FARTHEST, 0), j):
            scores = down.scores(candidates[i], place, size, spread) + said[j, down.lower]
            for reach in (1, 2):
                these = down.lower - down.upper == reach
                through = best[i, :-reach] + scores[these, None]
                if number[j] == 0 or number[i] == end or reach == number[j] - number[i]:
                    np.maximum(here[reach:], through, out=here[reach:])
                else:
                    moved = np.maximum(through[:, :ELSEWHERE], through[:, ELSEWHERE:])
                    np.maximum(here[reach:, ELSEWHERE:], moved, out=here[reach:, ELSEWHERE:])
        changed = otherwise[j]
        for to in (ELSEWHERE | OTHERWISE, OTHERWISE):
            here[changed, to] = np.maximum(here[changed, to], here[changed, to - OTHERWISE])
            here[changed, to - OTHERWISE] = -np.inf
    return float(best[..., [0, ELSEWHERE]].max()), float(best[..., OTHERWISE | ELSEWHERE].max())
