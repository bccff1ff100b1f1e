"""The dens: bone of C2 that stands in the ring of C1, and that segmenters of single vertebrae give to C1.

What a segmenter is pointed at is C1's centroid, which lies in or beside the dens. But the dens goes on into the body of
C2 without a border, and a joint parts it from the ring: a thin dark line between two bright ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..resampling import AIR, resample
from ..spine import Point, SpineBox, rounded
from .mask import HALF, VertebraMask, bounds, common, whole

REACH = 24
"""mm to every side of the middle between the centroids of C1 and C2, within which the dens lies."""

APART = 4.0
"""mm between two points from which they give a direction."""

WIDE = 7.0
"""mm from the line through the centroids, within which the body of C2 goes on into the dens, ..."""

BASE = 12
"""... and mm3 of it that do, with bone of C1's mask ``STEP`` mm further up."""

STEP = 2

CORE = (3.0, 8.0)
"""Radius and height in mm of what is surely dens, above its base; ..."""

RING = 9.0
"""... and mm from its axis beyond which bone is surely the ring's."""

LINE = ndimage.generate_binary_structure(3, 1)
"""What is narrower than this (3 mm) counts as a line ..."""

DARK = 0.15
"""... where it is darker than what lies round it by this share."""

NOTHING = VertebraMask(np.zeros((1, 1, 1), np.uint8), (0, 0, 0))


def dens(ct: sitk.Image, atlas: VertebraMask, axis: VertebraMask, upper: Point, lower: Point) -> VertebraMask:
    """The part of C1's mask that is C2's, with its probabilities; empty where there is none.

    A watershed in the depth of the bone, cut at dark lines, from C2 and the core of the dens on the one hand, from
    what lies far from its axis on the other.

    Args:
        ct: HU.
        atlas, axis: masks of C1 and C2.
        upper, lower: their centroids, LPS mm.
    """
    apart = np.subtract(upper, lower)[::-1]
    if np.linalg.norm(apart) < APART or apart[0] <= 0:  # no direction, or no C1
        return NOTHING
    up = apart / np.linalg.norm(apart)
    corner = np.rint(np.add(upper, lower) / 2) - REACH
    here = VertebraMask(np.zeros((2 * REACH + 1,) * 3, np.uint8), whole(corner))
    ring, body = _within(atlas, here), _within(axis, here)
    its = (ring >= HALF) & (ring >= body)
    other = (body >= HALF) & ~its
    lattice = np.moveaxis(np.indices(its.shape), 0, -1) + corner[::-1]

    height, away = _tube(lattice, np.array(lower[::-1]), up)
    onward = np.roll(its, -np.rint(STEP * up).astype(int), (0, 1, 2))
    stem = lattice[other & onward & (height > 0) & (away < WIDE)]
    if len(stem) < BASE:
        return NOTHING
    base = stem.mean(0)
    height, away = _tube(lattice, base, up)

    box = SpineBox(rounded(corner), rounded(corner + 2 * REACH))
    hu = sitk.GetArrayFromImage(resample(ct, 1.0, box, AIR))
    around = ndimage.grey_closing(hu, footprint=LINE)
    line = its & (height > 0) & (around - hu > DARK * around)
    depth = ndimage.distance_transform_edt((its | other) & ~line)
    seeds = np.zeros(its.shape, np.uint8)
    seeds[its & (away > RING)] = 1
    seeds[other | its & (away < CORE[0]) & (height > 0) & (height < CORE[1])] = 2
    relief = np.where(its | other, -depth, 1).astype(np.float32)
    flooded = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(relief), sitk.GetImageFromArray(seeds), False, True
    )
    found = its & (sitk.GetArrayFromImage(flooded) == 2)
    # The soft border goes with it, or the dens would end early on the grid of the scan.
    soft = (ring < HALF) & ndimage.binary_dilation(found)
    probability = np.where(found | soft, ring, 0).astype(np.uint8)
    where = bounds(probability)
    if where is None:
        return NOTHING
    start = [side.start for side in reversed(where)]
    return VertebraMask(np.ascontiguousarray(probability[where]), whole(corner + start))


def without(mask: VertebraMask, part: VertebraMask) -> VertebraMask:
    """The mask without the voxels of a part of it."""
    shared = common(mask, part)
    if shared is None:
        return mask
    probability = mask.probability.copy()
    probability[shared[0]][part.probability[shared[1]] > 0] = 0
    return replace(mask, probability=probability)


def joined(mask: VertebraMask, part: VertebraMask) -> VertebraMask:
    """The mask and a part of another one, with the larger probability of both."""
    if not part.probability.any():
        return mask
    low = np.minimum(mask.corner, part.corner)
    high = np.maximum(*(np.add(one.corner, one.probability.shape[::-1]) for one in (mask, part)))
    both = VertebraMask(np.zeros((high - low)[::-1], np.uint8), whole(low))
    return replace(mask, probability=np.maximum(_within(mask, both), _within(part, both)), corner=both.corner)


def _tube(lattice: np.ndarray, origin: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height over an origin along a line, and distance from that line, of positions (..., 3)."""
    relative = lattice - origin
    height = relative @ along
    return height, np.linalg.norm(relative - height[..., None] * along, axis=-1)


def _within(mask: VertebraMask, here: VertebraMask) -> np.ndarray:
    """The probabilities of a mask at the place of another, 0 where it has none."""
    values = np.zeros_like(here.probability)
    shared = common(here, mask)
    if shared is not None:
        values[shared[0]] = mask.probability[shared[1]]
    return values
