"""The ways in which a run of neighbouring vertebrae may be named: every window of every kind of column."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..anatomy import COLUMN, S1, Level


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


@cache
def readings(count: int) -> np.ndarray:
    """All ways to name ``count`` neighbouring vertebrae: (R, count) ranks, those of the usual column first."""
    found: dict[tuple[int, ...], None] = {}
    for column in COLUMNS.values():
        for start in range(len(column) - count + 1):
            found[column[start : start + count]] = None
    return np.array(list(found), int).reshape(-1, count)


@cache
def usual(count: int) -> np.ndarray:
    """(R,) which of :func:`readings` the usual column allows."""
    return np.arange(len(readings(count))) < max(len(COLUMNS["usual"]) - count + 1, 0)
