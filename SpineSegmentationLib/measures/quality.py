"""How sure measures are: what voxels of a size can tell, and when they can tell it no more.

The formulas follow the errors on phantoms with voxels of 1, 2 and 3 mm (``benchmarks/measures.py``, docs/results.md),
with a floor, since masks of real scans are less exact than those of phantoms.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .quantity import Quantity, missing

LARGEST_HEIGHT_ERROR = 0.12
"""Part of a height beyond which its uncertainty leaves it out: more than half of Genant's mildest loss."""

LARGEST_REDUCTION_ERROR = 6.0
"""Points beyond which a loss of height is too unsure for a grade, whose classes are 5 to 15 points wide."""

LARGEST_ANGLE_ERROR = 4.0
"""Degrees; readers of radiographs differ by 3 to 5 (Carman et al. 1990, J Bone Joint Surg Am 72:328-333)."""


def thickness_along(image: sitk.Image, direction: np.ndarray) -> float:
    """How long the voxels of an image are along a direction (3,), in mm."""
    parts = np.reshape(image.GetDirection(), (3, 3)).T @ direction / np.linalg.norm(direction)
    return float(np.linalg.norm(parts * image.GetSpacing()))


def height_error(thickness: float, middle: bool = False) -> float:
    """Standard deviation in mm of a distance between two end-plates, at their edges or in their middle."""
    return float(np.hypot(0.2, 0.13 * thickness**1.4) if middle else np.hypot(0.3, 0.25 * thickness**1.1))


def angle_error(thickness: float, length: float) -> float:
    """Standard deviation in degrees of the tilt of an end-plate that is ``length`` mm long."""
    return float(np.hypot(0.3, np.rad2deg(np.arctan(0.095 * thickness**2 / length))))


def height(value: float, thickness: float, middle: bool = False, spread: float = 0.0) -> Quantity:
    """A height in mm with its uncertainty; left out where the slices are too thick for it, or its mask too uneven.

    Args:
        spread: mm, by which both end-plates stray from smooth ones.
    """
    error = height_error(thickness, middle)
    if error > LARGEST_HEIGHT_ERROR * value:
        return missing(f"voxels of {thickness:.1f} mm along the vertebra are too long for a height of {value:.0f} mm")
    if np.hypot(error, spread) > LARGEST_HEIGHT_ERROR * value:
        return missing("the end-plates of the mask are too uneven for a height")
    return Quantity(value, float(np.hypot(error, spread)))


def angle(value: float, *errors: float) -> Quantity:
    """An angle in degrees between end-plates of the given errors; left out where these are too large."""
    error = float(np.hypot.reduce(errors)) if errors else 0.0
    if error > LARGEST_ANGLE_ERROR:
        return missing(f"slices too thick or mask too uneven for an angle (uncertain by {error:.0f} degrees)")
    return Quantity(value, error)
