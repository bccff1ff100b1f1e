"""The mask of one vertebra, and many masks merged to one label map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import Level

HALF = 128
"""Probability one half in the stored scale 0..255."""


@dataclass(frozen=True, eq=False)
class VertebraMask:
    """Where one vertebra is, on the 1 mm lattice that all vertebrae of a scan share.

    Attributes:
        probability: uint8 (z, y, x), 0..255 for 0..1, cropped to where it is not 0.
        corner: lattice position of its first voxel, x,y,z; times 1 mm this is LPS.
    """

    probability: np.ndarray
    corner: tuple[int, int, int]

    @classmethod
    def of(cls, probability: np.ndarray, image: sitk.Image) -> VertebraMask:
        """From probabilities 0..1 (z, y, x) on the 1 mm lattice grid ``image``; chances below 2 % count as none."""
        scaled = np.rint(probability * 255).astype(np.uint8)
        scaled[scaled < 5] = 0
        first = np.rint(image.GetOrigin()).astype(int)
        where = ndimage.find_objects(scaled > 0, max_label=1)
        if not where:
            return cls(np.zeros((1, 1, 1), np.uint8), tuple(int(v) for v in first))
        corner = first + [axis.start for axis in reversed(where[0])]
        return cls(np.ascontiguousarray(scaled[where[0]]), tuple(int(v) for v in corner))

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Lattice positions z,y,x of the array."""
        z, y, x = ((c, c + n) for c, n in zip(self.corner[::-1], self.probability.shape, strict=True))
        return slice(*z), slice(*y), slice(*x)


def merge(masks: Mapping[Level, VertebraMask], grid: sitk.Image) -> sitk.Image:
    """The label map on the grid of the scan: the largest probability wins, one connected piece per vertebra.

    Pieces are judged at 1 mm, where thin processes are still whole, and only then resampled (linear interpolation
    of the probability, one half is the border), so a coarse grid does not cut a process off. Which vertebra wins
    does not depend on its name, so renaming never moves a border.

    Args:
        masks: any number of vertebrae.
        grid: any image; its size, spacing, origin and direction count.
    """
    ordered = sorted(masks.items(), key=lambda item: (-item[1].corner[2], item[1].corner))
    owned = _own_pieces([mask for _, mask in ordered])
    labels = np.zeros(grid.GetSize()[::-1], np.uint8)
    best = np.full(labels.shape, HALF - 1, np.uint8)
    for (level, _), mask in zip(ordered, owned, strict=True):
        for place, value in _on_grid(mask, grid):
            wins = value > best[place]
            best[place][wins] = value[wins]
            labels[place][wins] = int(level)
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(grid)
    return image


def _own_pieces(masks: list[VertebraMask]) -> list[VertebraMask]:
    """Each mask without the voxels that another vertebra wins and without pieces apart from its largest."""
    if not masks:
        return []
    low = np.min([[s.start for s in mask.place] for mask in masks], axis=0)
    high = np.max([[s.stop for s in mask.place] for mask in masks], axis=0)
    best = np.zeros(high - low, np.uint8)
    winner = np.full(best.shape, -1, np.int8)
    places = [tuple(slice(s.start - c, s.stop - c) for s, c in zip(mask.place, low, strict=True)) for mask in masks]
    for number, (mask, place) in enumerate(zip(masks, places, strict=True)):
        wins = (mask.probability > best[place]) & (mask.probability >= HALF)
        best[place][wins] = mask.probability[wins]
        winner[place][wins] = number
    result = []
    for number, (mask, place) in enumerate(zip(masks, places, strict=True)):
        mine = winner[place] == number
        pieces, count = ndimage.label(mine, np.ones((3, 3, 3)))
        if count > 1:
            mine = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        kept = np.where(mine | (mask.probability < HALF), mask.probability, 0).astype(np.uint8)
        result.append(VertebraMask(kept, mask.corner))
    return result


def _on_grid(mask: VertebraMask, grid: sitk.Image) -> Iterable[tuple[tuple[slice, slice, slice], np.ndarray]]:
    """The mask on its part of the grid: (place z,y,x, uint8 values); nothing where they do not meet."""
    sure = ndimage.find_objects(mask.probability >= HALF, max_label=1)
    if not sure or sure[0] is None:
        return
    image = sitk.GetImageFromArray(mask.probability)
    image.SetOrigin([float(v) for v in mask.corner])
    ends = [(s.start - 1, s.stop) for s in reversed(sure[0])]
    corners = [[ends[axis][bit >> axis & 1] for axis in range(3)] for bit in range(8)]
    points = np.array(
        [grid.TransformPhysicalPointToContinuousIndex(image.TransformIndexToPhysicalPoint(c)) for c in corners]
    )
    start = np.maximum(np.floor(points.min(0)).astype(int), 0)
    stop = np.minimum(np.ceil(points.max(0)).astype(int) + 1, grid.GetSize())
    if np.any(stop <= start):
        return
    part = sitk.Image([int(v) for v in stop - start], sitk.sitkUInt8)
    part.SetOrigin(grid.TransformIndexToPhysicalPoint([int(v) for v in start]))
    part.SetSpacing(grid.GetSpacing())
    part.SetDirection(grid.GetDirection())
    values = sitk.GetArrayFromImage(sitk.Resample(image, part, sitk.Transform(), sitk.sitkLinear, 0))
    yield tuple(slice(int(a), int(b)) for a, b in zip(start[::-1], stop[::-1], strict=True)), values
