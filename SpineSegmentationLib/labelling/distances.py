"""Distances between neighbouring vertebrae, and how likely one is."""

from __future__ import annotations

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
BETWEEN_PEOPLE = 0.17  # relative standard deviation of a distance
WITHIN_PERSON = 0.17  # the same once the size of this person is known


LAST = (Level.L4, Level.L5, Level.L6)
"""Levels that S1 may follow."""


def score(distance: float, expected: NDArray, spread: float) -> NDArray[np.float64]:
    """Log score of a distance (mm) where others are expected: normal in its logarithm, cut where nothing fits."""
    deviation = np.log(max(distance, 1e-3) / np.asarray(expected)) / spread
    return -0.5 * np.minimum(deviation**2, 60.0)
