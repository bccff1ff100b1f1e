"""The border of a mask that a coarse network drew, moved to where the scan shows bone to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..parts import Corner
from ..resampling import AIR, resample
from ..spine import SpineBox, rounded
from .mask import HALF, VertebraMask

BRIGHT = 200.0  # HU: what is brighter and touches the mask joins it
DARK = 100.0  # HU: what is darker and lies at its border leaves it


def hu_of(ct: sitk.Image, corner: Corner, shape: tuple[int, ...]) -> np.ndarray:
    """The scan (HU, z, y, x) on the part of the 1 mm lattice that begins at a corner x,y,z; air beyond the scan."""
    last = np.add(corner, shape[::-1]) - 1.0
    box = SpineBox(rounded(np.subtract(corner, 0.25)), rounded(last + 0.25))
    return sitk.GetArrayFromImage(resample(ct, 1.0, box, AIR))


def without_soft_surface(probability: np.ndarray, hu: np.ndarray, darkest: float) -> np.ndarray:
    """Mask values (uint8, 0..255) with the outermost voxels below ``darkest`` (HU) just under one half.

    Just under: the border on the scan's grid is interpolated and lies where these voxels were, and what keeps the mask
    in memory still knows them.
    """
    inside = probability >= HALF
    surface = inside & ~ndimage.binary_erosion(inside)
    return np.where(surface & (hu < darkest), HALF - 1, probability).astype(np.uint8)


def along_bone(mask: VertebraMask, ct: sitk.Image, reach: int) -> VertebraMask:
    """The mask with its border where bone ends in the scan, at most ``reach`` mm outwards and 1 mm inwards.

    A network whose voxels are 2 mm wide draws steps; the scan knows better. New voxels are as unsure as can be, so that
    a neighbour that claims them keeps them.
    """
    if not (mask.probability >= HALF).any():
        return mask
    probability = np.pad(mask.probability, reach)
    x, y, z = mask.corner
    corner = x - reach, y - reach, z - reach
    hu = hu_of(ct, corner, probability.shape)
    inside = probability >= HALF
    grown = ndimage.binary_dilation(inside, iterations=reach, mask=inside | (hu > BRIGHT))
    probability = np.where(grown & ~inside, HALF, probability).astype(np.uint8)
    probability = without_soft_surface(probability, hu, DARK)
    return replace(mask, probability=probability, corner=corner)
