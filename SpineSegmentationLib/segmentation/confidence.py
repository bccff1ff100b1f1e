"""How good a mask is likely to be, told by the segmenter's own doubts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FAILED = 0.75
"""A mask with less confidence should be looked at."""

Calibration = Sequence[tuple[float, float]]
"""Expected Dice as the probabilities have it, rising, and the Dice coefficient that was measured there."""


def expected_dice(probability: np.ndarray) -> float:
    """Dice of a mask (probability at least one half) with a truth drawn from its own probabilities (0..1); 0 for none.

    ``2 E|M and T| / (|M| + E|T|)``: sharp borders give nearly 1, doubtful voxels less.
    """
    inside = probability[probability >= 0.5]
    return 2 * float(inside.sum()) / (len(inside) + float(probability.sum())) if len(inside) else 0.0


def confidence(probability: np.ndarray, calibration: Calibration) -> float:
    """The Dice coefficient that masks with such probabilities had, 0..1; beyond the calibration that of its end."""
    if not (probability >= 0.5).any():
        return 0.0
    expected, measured = zip(*calibration, strict=True)
    return float(np.interp(expected_dice(probability), expected, measured))
