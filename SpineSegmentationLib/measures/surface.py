"""A surface between voxels inside and outside a mask, found from the voxels themselves, however long they are.

A mask of thick slices knows where its border lies to half a slice, but where the border passes from one slice to the
next it knows it exactly. So no border is interpolated: the surface is the one that best tells the centres of voxels
inside from those outside. That is logistic regression (Hosmer and Lemeshow 2000, chapter 1) with a known scale. Spurs,
dents and places where the wall is notched do not count.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

BLUR = 0.25
"""mm, scale of the logistic function: how far masks stray from a smooth surface."""

FAR = 2.5
"""mm: voxels that lie so far on the wrong side of the surface are of something else."""


def between(
    design: np.ndarray, heights: np.ndarray, inside: np.ndarray, mean: np.ndarray, spread: np.ndarray, way: int
) -> np.ndarray:
    """Coefficients (k,) of the surface ``design @ coefficients`` between voxels inside and outside.

    What the voxels leave open is as ``mean`` says.

    Args:
        design: (n, k) terms of the surface at each voxel.
        heights: (n,) mm of the voxels.
        inside: (n,) boolean.
        mean, spread: (k,) what is expected of the coefficients, a normal distribution.
        way: 1 when the voxels inside lie below, -1 when they lie above.
    """
    found, kept = np.array(mean, float), np.ones(len(heights), bool)
    for _ in range(4):
        found = _regression(design[kept], heights[kept], inside[kept], found, mean, spread, way)
        apart = way * np.where(inside, 1, -1) * (design @ found - heights)
        if np.array_equal(kept, apart > -FAR):
            break
        kept = apart > -FAR
    return found


def misfit(design: np.ndarray, heights: np.ndarray, inside: np.ndarray, found: np.ndarray, way: int) -> int:
    """How many voxels lie on the wrong side of a surface, but not so far that they are of something else."""
    apart = way * np.where(inside, 1, -1) * (design @ found - heights)
    return int(np.count_nonzero((apart < 0) & (apart > -FAR)))


def _regression(
    design: np.ndarray,
    heights: np.ndarray,
    inside: np.ndarray,
    start: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray,
    way: int,
) -> np.ndarray:
    """Newton's method; the logarithm of the posterior has one maximum."""
    sign = way * np.where(inside, 1.0, -1.0) / BLUR
    weights = 1 / np.asarray(spread, float) ** 2

    def gain(coefficients: np.ndarray) -> float:
        apart = sign * (design @ coefficients - heights)
        return -float(np.logaddexp(0, -apart).sum() + (weights * (coefficients - mean) ** 2).sum() / 2)

    found, best = start, gain(start)
    for _ in range(40):
        wrong = expit(-sign * (design @ found - heights))
        slope = design.T @ (wrong * sign) - weights * (found - mean)
        bend = design.T @ (design * (wrong * (1 - wrong) * sign**2)[:, None]) + np.diag(weights)
        step = np.linalg.solve(bend, slope)
        while (now := gain(found + step)) < best and np.abs(step).max() > 1e-5:
            step /= 2
        if np.abs(step).max() <= 1e-4 or now < best:
            break
        found, best = found + step, now
    return found
