"""The ways in which a run of neighbouring vertebrae may be named: every window of every kind of column."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ..anatomy import COLUMN, S1, STANDARD, Level


def _column(*left_out: Level) -> tuple[int, ...]:
    return (*(level.rank for level in COLUMN if level not in left_out), S1)


COLUMNS = {
    "usual": _column(Level.T13, Level.L6),
    "thirteen thoracic": _column(Level.L6),
    "eleven thoracic": _column(Level.T12, Level.T13, Level.L6),
    "six lumbar": _column(Level.T13),
    "four lumbar": _column(Level.T13, Level.L5, Level.L6),
}
"""The kinds of column people have, as ranks in ``COLUMN`` from the head down, ended by ``S1``."""

RIBBED = np.array([level.region == "thoracic" for level in COLUMN] + [False])
"""(27,) which levels of ``COLUMN`` bear ribs; S1, the last, does not."""

VARIANT = 4.0  # cost (nats) of a column of 11 or 13 thoracic, 4 or 6 lumbar vertebrae
SEEN_OFF = 3.0  # cost of a chest whose vertebrae all look like their neighbours'


@dataclass(frozen=True)
class Kind:
    """How a column may be seen.

    Attributes:
        ranks: of its members, as in ``COLUMNS``.
        alike: what each may look like beside its own rank, most often just that.
        cost: in nats, where members that may look like others are shown.
    """

    ranks: tuple[int, ...]
    alike: tuple[int, ...]
    cost: float


def _kind(column: str, looks: dict[Level, Level], cost: float) -> Kind:
    ranks = {level.rank: other.rank for level, other in looks.items()}
    return Kind(COLUMNS[column], tuple(ranks.get(rank, rank) for rank in COLUMNS[column]), cost)


_MIDDLE = STANDARD[STANDARD.index(Level.T4) : STANDARD.index(Level.L4)]
_HIGHER, _LOWER = ({level: STANDARD[STANDARD.index(level) + step] for level in _MIDDLE} for step in (-1, 1))


def _only(looks: dict[Level, Level], region: str) -> dict[Level, Level]:
    """Of looks those between levels of a region alone."""
    return {level: other for level, other in looks.items() if level.name[0] == other.name[0] == region}


KINDS = (
    _kind("usual", {}, 0.0),
    _kind("usual", _HIGHER, SEEN_OFF),
    _kind("usual", _LOWER, SEEN_OFF),
    _kind("thirteen thoracic", {**_only(_HIGHER, "T"), Level.T13: Level.T12}, VARIANT),
    _kind("eleven thoracic", _only(_LOWER, "T"), VARIANT),
    _kind("six lumbar", {Level.L4: Level.L3, Level.L5: Level.L4, Level.L6: Level.L5}, VARIANT),
    _kind("four lumbar", {Level.L2: Level.L3, Level.L3: Level.L4, Level.L4: Level.L5}, VARIANT),
)
"""The usual column; the same, should the networks take all of a tall or a short chest for one level off, as they err
together there and rarely where a landmark is; and the others: the last vertebra with ribs looks like T12 and the last
above the sacrum like L5, whatever their numbers, and those before them accordingly."""


@cache
def readings(count: int) -> np.ndarray:
    """All ways to name ``count`` neighbouring vertebrae: (R, count) ranks, those of the usual column first."""
    found: dict[tuple[int, ...], None] = {}
    for column in COLUMNS.values():
        for start in range(len(column) - count + 1):
            found[column[start : start + count]] = None
    return np.array(list(found), int).reshape(-1, count)
