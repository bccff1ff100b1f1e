"""Whether values are Hounsfield units; what is known to stand for them is mended, all else refused."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from ..resampling import AIR
from .planes import stacked

GREATEST_LOW, LEAST_HIGH = -50, 150
"""HU that the darkest voxel of a CT does not exceed, and that its brightest reaches."""

LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1


@dataclass
class Whole:
    """Turns planes of any real type into int16, and keeps count of what had to be mended.

    Numbers are rounded and cut off at the limits of the type. What is no number becomes air. Integers from 32768 to
    65535 are negative numbers that were stored as unsigned: no value in Hounsfield units is that high, with or without
    an offset, and padding of -2000 is 63536 then.
    """

    total: int = 0
    missing: int = 0
    unsigned: int = 0

    def __call__(self, plane: np.ndarray) -> np.ndarray:
        self.total += plane.size
        if plane.dtype == np.int16:
            return plane
        if plane.dtype.kind == "f":
            holes = ~np.isfinite(plane)
            self.missing += int(np.count_nonzero(holes))
            # In float64 the limits beyond the range of the input's type are right, too.
            return np.where(holes, AIR, np.clip(np.rint(plane.astype(np.float64)), LOWEST, HIGHEST)).astype(np.int16)
        wide = plane.astype(np.int64) if plane.dtype != np.uint64 else np.minimum(plane, 1 << 62).astype(np.int64)
        high = (wide > HIGHEST) & (wide < 1 << 16)
        self.unsigned += int(np.count_nonzero(high))
        return np.clip(np.where(high, wide - (1 << 16), wide), LOWEST, HIGHEST).astype(np.int16)

    def report(self, what: object, warnings: list[str]) -> None:
        """Adds a warning for each kind of mending.

        Raises:
            SpineError: no voxel is a number.
        """
        if self.missing == self.total:
            raise SpineError(f"{what} holds no number at all (every voxel is NaN or infinite); export it again")
        if self.missing:
            warnings.append(f"{self.missing} voxels are NaN or infinite; taken as air")
        if self.unsigned:
            warnings.append(f"{self.unsigned} voxels are negative numbers stored as unsigned ones; taken as negative")


@dataclass(frozen=True)
class _Histogram:
    """How often each value occurs from -1024 on, and how many voxels lie below, which are padding."""

    counts: np.ndarray
    padding: int

    @classmethod
    def of(cls, image: sitk.Image) -> _Histogram:
        voxels = sitk.GetArrayViewFromImage(image)
        # Twenty million voxels say as much as all; a step that shares no factor with the rows meets every column.
        step = max(voxels.size // 20_000_000, 1)
        while math.gcd(step, voxels.shape[2]) > 1:
            step += 1
        counts = np.zeros(1 << 16, np.int64)
        for plane in voxels:
            counts += np.bincount(plane.ravel()[::step].view(np.uint16), minlength=1 << 16)
        # From two's complement to ascending order.
        counts = np.roll(counts, 1 << 15)
        return cls(counts[(1 << 15) - 1024 :], int(counts[: (1 << 15) - 1024].sum()))

    def between(self, low: int, high: int) -> int:
        """Voxels with low <= value < high."""
        return int(self.counts[max(low + 1024, 0) : max(high + 1024, 0)].sum())

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    @property
    def range(self) -> tuple[int, int]:
        """The lowest and the highest value; padding counts as air."""
        found = (np.flatnonzero(self.counts) - 1024).tolist()
        values = [*([int(AIR)] if self.padding else []), *found[:1], *found[-1:]]
        return min(values), max(values)


def in_hounsfield(image: sitk.Image, what: object, force: bool, warnings: list[str]) -> sitk.Image:
    """The image in int16 Hounsfield units, from -1024 up. An int16 image is changed in place, never copied.

    Padding below air becomes air. Voxels that are no numbers become air; values with a lost offset of 1024 are
    shifted; each with a warning.

    Args:
        what: the file or volume, for the messages.
        force: take the values as they are.

    Raises:
        SpineError: the values cannot be Hounsfield units (unless ``force``), or none is a number.
    """
    if image.GetPixelID() != sitk.sitkInt16:
        voxels, whole = sitk.GetArrayViewFromImage(image), Whole()
        rounded = stacked(enumerate(map(whole, voxels)), len(voxels))
        rounded.CopyInformation(image)
        whole.report(what, warnings)
        image = rounded
    shift = 0
    if not force:
        histogram = _Histogram.of(image)
        if _has_offset(histogram):
            shift = -1024
            warnings.append("the values look like Hounsfield units plus 1024; 1024 subtracted")
        else:
            _check(histogram, what)
            warnings += _odd(histogram)
    for number, plane in enumerate(sitk.GetArrayViewFromImage(image)):
        if shift or plane.min() < AIR:
            image[:, :, number] = sitk.GetImageFromArray(np.maximum(plane, int(AIR) - shift) + np.int16(shift))
    return image


def _has_offset(histogram: _Histogram) -> bool:
    """Whether values are Hounsfield units plus 1024: next to none is negative, soft tissue lies near 1070."""
    body, soft = histogram.between(301, 1 << 15), histogram.between(850, 1200)
    negative = histogram.between(-1024, -200)
    if histogram.range[1] < LEAST_HIGH + 1024 or negative > 0.001 * histogram.total:
        return False
    return soft > 0.5 * body > 0.0025 * histogram.total


def _odd(histogram: _Histogram) -> list[str]:
    """A warning where values may be scaled, or moved by 1024 twice.

    Real scans had at least 9 % of their voxels above -300 HU; a lowest value above -700 HU only where next to no voxel
    was near it; and at most 0.28 times as many from -280 to -150 HU, beyond what lungs' edges bring, as in fat.
    """
    between, every, low = histogram.between, histogram.total + histogram.padding, histogram.range[0]
    moved = between(-300, 3000) < 0.04 * every
    halved = -700 < low < -250 and between(low, low + 60) > 0.05 * every
    doubled = between(-280, -150) - between(-450, -320) > 0.4 * between(-150, -40)
    told = "the values may be no Hounsfield units (scaled or moved?): air should be -1000, fat -100, muscle 50"
    return [told] if moved or halved or doubled else []


def _check(histogram: _Histogram, what: object) -> None:
    """Raises SpineError when the values are not spread as those of a body in Hounsfield units.

    The limits are far from all real scans that were looked at: of their voxels at most 7 % lay above 600 HU, and of
    those above -300 HU at least 75 % from -200 to 300 HU.
    """
    low, high = histogram.range
    advice = "give a CT, or --force to take them as they are"
    if low > GREATEST_LOW or high < LEAST_HIGH:
        raise SpineError(
            f"{what} holds values from {low:g} to {high:g}, which cannot be Hounsfield units (fat, lung and air "
            f"lie below {GREATEST_LOW}, bone above {LEAST_HIGH}); {advice}"
        )
    bright, dark = histogram.between(600, 1 << 15), histogram.between(-1024, -600) + histogram.padding
    if bright > max(0.15 * (histogram.total + histogram.padding), dark):
        raise SpineError(f"{what} is bright where Hounsfield units are dark, as if inverted; {advice}")
    body, soft = histogram.between(-300, 3000), histogram.between(-200, 300)
    if soft < 0.4 * body and body > 0.01 * histogram.total:
        raise SpineError(
            f"{what} is no CT in Hounsfield units: most of a body is soft tissue from -200 to 300, and here it is "
            f"{soft / body:.0%} (inverted, cone-beam CT or MR?); {advice}"
        )
