"""Whether the column could also lie elsewhere, and be named otherwise for it.

The verdict weighs the names that the places of the best column may have. But a collapsed vertebra that was passed over,
or one that was taken twice, changes how many there are, and with it every name on one side of it. So the best columns
are looked for that go through other places: those that name any place of the column otherwise, and for each of its
places those that name it otherwise and those that pass it over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..anatomy import S1
from .readings import Kind
from .steps import FARTHEST, steps
from .verdict import mixed

ELSEWHERE = 1
"""State of a path that goes through other places; 0 for one that does not."""


class Rivals(NamedTuple):
    """How much better (nats) than any column of its names the best ones with more or fewer vertebrae in between are.

    Most often less than 0. Such a column passes over a place or takes one twice. One that is shorter or longer at its
    ends is none: the verdict weighs its names.

    Attributes:
        column: of those that name any place otherwise.
        renamed: (K,) of those that name this place otherwise.
        passed: (K,) of those that pass this place over, which has no name in them.
    """

    column: float
    renamed: NDArray[np.float64]
    passed: NDArray[np.float64]


class _Step(NamedTuple):
    """A step between two candidates, over ``reach`` members: its scores, and whether it goes through other places."""

    upper: int
    lower: int
    reach: int
    scores: NDArray[np.float64]
    elsewhere: bool


def rivals(
    candidates: NDArray,
    unary: NDArray,
    places: NDArray,
    names: NDArray[np.int_],
    kinds: Sequence[Kind],
    size: float,
    spread: float,
) -> Rivals:
    """The rivals of a column.

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
    beyond = (np.arange(len(candidates)) < first) | (np.arange(len(candidates)) > last)
    given = np.where(beyond, -1, names[number])
    found = [_of_kind(candidates, unary, number, given, kind, size, spread) for kind in kinds]
    same, renamed, passed = (np.max(scores, axis=0) for scores in zip(*found, strict=True))
    renamed, passed = renamed - same, passed - same
    return Rivals(float(renamed.max()), renamed, passed)


def _of_kind(
    candidates: NDArray,
    unary: NDArray,
    number: NDArray[np.int_],
    given: NDArray[np.int_],
    kind: Kind,
    size: float,
    spread: float,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The best scores down a kind of column: of paths that name nothing otherwise, and for each place of those that
    lie elsewhere and name it otherwise or pass it over.

    Args:
        number: (N,) of the place nearest to each candidate; ``given``: the rank that it has, -1 beyond the ends.
    """
    down, ranks, alike = steps(kind, sacrum=True), np.array(kind.ranks), np.array(kind.alike)
    said = np.array([mixed(row, ranks, alike) for row in unary])
    begun = np.where(ranks == S1, -np.inf, said - kind.cost * (ranks != alike))
    otherwise = (ranks != given[:, None]) & (given[:, None] >= 0)
    end = number.max()
    walk = []
    for j, place in enumerate(candidates):
        for i in range(max(j - 1 - FARTHEST, 0), j):
            scores = down.scores(candidates[i], place, size, spread) + said[j, down.lower]
            for reach in (1, 2):
                straight = number[j] == 0 or number[i] == end or reach == number[j] - number[i]
                walk.append(_Step(i, j, reach, scores[down.lower - down.upper == reach], not straight))
    same = float(_down(begun, walk, otherwise).max())
    above, below = _down(begun, walk, np.zeros_like(otherwise)), _up(begun.shape, walk)
    renamed, passed = np.full((2, end + 1), -np.inf)
    through = np.where(otherwise, _elsewhere(above, below), -np.inf).max(1)
    np.maximum.at(renamed, number, through)
    for step in walk:
        between = slice(number[step.upper] + 1, number[step.lower])
        if between.stop - between.start > step.reach - 1:
            upper = above[step.upper, : -step.reach] + step.scores[:, None]
            lower = below[step.lower, step.reach :]
            passed[between] = np.maximum(passed[between], _elsewhere(upper, lower, step.elsewhere).max())
    return same, renamed, passed


def _elsewhere(above: NDArray, below: NDArray, already: bool = False) -> NDArray[np.float64]:
    """The best score through each member that goes through other places above or below, or has done so already."""
    scores = above[..., :, None] + below[..., None, :]
    return scores.max((-2, -1)) if already else np.maximum(scores[..., ELSEWHERE, :], scores[..., ELSEWHERE]).max(-1)


def _down(begun: NDArray, walk: Sequence[_Step], barred: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The best scores (N, members, 2) of paths that end with a member at a candidate, by state.

    Args:
        barred: (N, members) where no path may go.
    """
    best = np.full((*begun.shape, 2), -np.inf)
    best[..., 0] = begun
    best[barred] = -np.inf
    for upper, lower, reach, scores, elsewhere in walk:
        here = best[lower, reach:]
        _better(here, best[upper, :-reach] + scores[:, None], elsewhere)
        here[barred[lower, reach:]] = -np.inf
    return best


def _up(shape: tuple[int, ...], walk: Sequence[_Step]) -> NDArray[np.float64]:
    """The best scores (N, members, 2) of what follows a member at a candidate, by state."""
    best = np.full((*shape, 2), -np.inf)
    best[..., 0] = 0.0
    for upper, lower, reach, scores, elsewhere in sorted(walk, key=lambda step: -step.upper):
        _better(best[upper, :-reach], best[lower, reach:] + scores[:, None], elsewhere)
    return best


def _better(here: NDArray, through: NDArray, elsewhere: bool) -> None:
    """Keeps the better scores (members, 2) in place; a step through other places leads to that state alone."""
    if elsewhere:
        np.maximum(here[:, ELSEWHERE], through.max(1), out=here[:, ELSEWHERE])
    else:
        np.maximum(here, through, out=here)
