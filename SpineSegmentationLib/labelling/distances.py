"""Distances between neighbouring vertebrae, and how likely one is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..anatomy import COLUMN, Level

# Mean distance (mm) from each level's centroid to the next below, C1 to L5, measured on the training cases.
DISTANCE = dict(
    zip(
        COLUMN,
        (17.2, 20.1, 16.9, 16.4, 16.2, 17.0, 18.9)
        + (20.5, 21.4, 21.7, 21.5, 21.6, 22.3, 24.0, 24.4, 26.5, 27.2, 30.1, 31.1, 31.1)
        + (34.2, 35.4, 35.6, 35.4, 35.4, 35.4),
        strict=True,
    )
)
BETWEEN_PEOPLE = 0.08  # relative standard deviation of a distance, measured on the training cases
WITHIN_PERSON = 0.05  # the same once the size of this person is known
PLACED = 2.0  # mm, standard deviation of a distance by how exactly its ends are found, measured in cross-validation
COLLAPSE = 0.16  # relative: how much fractures and worn discs shorten a distance, which nothing makes longer
TOO_LONG = 2.5  # standard deviations: a distance that has room for a vertebra between
TOO_SHORT = 0.7  # of what is expected of two neighbouring distances together: one vertebra was taken twice

LAST = (Level.L4, Level.L5, Level.L6)
"""Levels that S1 may follow."""


def score(distance: float, expected: NDArray, spread: float) -> NDArray[np.float64]:
    """Log score of a distance (mm) where others are expected: normal in its logarithm, cut where nothing fits.

    Args:
        spread: relative standard deviation of true distances, such as ``WITHIN_PERSON``.
    """
    deviation = np.log(max(distance, 1e-3) / np.asarray(expected))
    width = np.where(deviation > 0, longer(expected, spread), np.hypot(spread, COLLAPSE))
    return -0.5 * np.minimum((deviation / width) ** 2, 60.0)


def longer(expected: NDArray | float, spread: float) -> NDArray[np.float64]:
    """The relative standard deviation of distances (mm) that are found longer than expected."""
    return np.hypot(spread, PLACED / np.asarray(expected, float))


def misfits(levels: Sequence[Level], positions: NDArray, size: float, spread: float) -> list[str]:
    """Phrases on distances that the neighbours of a column cannot have.

    C1 and C2 are left out: the dens joins them, and C1's centre is hard to place.

    Args:
        levels: from the head down; positions: (N, 3) LPS mm.
        size, spread: of this person, as :func:`score` expects them.
    """
    found = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    expected = np.array([DISTANCE[level] for level in levels[:-1]]) * size
    phrases = [
        f"{upper.name} and {lower.name} lie as far apart as if a vertebra were missing between them"
        for upper, lower, excess, width in zip(
            levels, levels[1:], np.log(found / expected), longer(expected, spread), strict=False
        )
        if upper is not Level.C1 and excess > TOO_LONG * width
    ]
    pairs = (found[:-1] + found[1:]) / (expected[:-1] + expected[1:])
    return phrases + [
        f"{one.name}, {two.name} and {three.name} lie as close as if one had been taken twice"
        for one, two, three, share in zip(levels, levels[1:], levels[2:], pairs, strict=False)
        if share < TOO_SHORT
    ]
