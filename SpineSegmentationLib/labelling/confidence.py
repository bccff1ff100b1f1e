"""How sure each name of a column is: the share of its readings that give it, against rivals, as often right as said.

A column of another number of vertebrae makes all names less sure, and those most that it would change: a vertebra that
it names otherwise, or passes over. The networks err together in such columns, more than in where all of one lies, so
their scores are divided by a temperature of their own. What is left is a score, made a share of right names by Platt
scaling (Platt 1999, "Probabilistic outputs for support vector machines", section 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .rivals import Rivals
from .verdict import OFF_BY_ONE

TEMPERATURE = 10.0
"""Of rivals; 6 to 15 tell right names from wrong ones as well."""
FARTHEST = -15.0
"""Nats: no rival counts for less. Of 19 columns in 20 one is nearer; where there are few candidates, none may show."""
OFFSET, SLOPE = 4.97, 7.54
"""From log odds of the score to those of being right, fitted in cross-validation (docs/results.md, "Names")."""


def confidences(shares: Sequence[float], best: float, rivals: Rivals) -> list[float]:
    """How sure the names are, 0 to 1.

    No name is surer than that the column is not one level off as a whole.

    Args:
        shares: of the readings that give each place its name (K,).
        best: the probability of the best reading, rivals left out.
        rivals: of the column.
    """
    against = sum(_odds(each) for each in (rivals.column, rivals.renamed[: len(shares)], rivals.passed[: len(shares)]))
    score = np.clip(np.asarray(shares) / (1 + best * against), 1e-6, 1 - 1e-6)
    surely = 1 / (1 + np.exp(-OFFSET - SLOPE * np.log(score / (1 - score))))
    return [float(one) for one in (1 - OFF_BY_ONE) * surely]


def _odds(better: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.clip(better, FARTHEST, 300.0) / TEMPERATURE)
