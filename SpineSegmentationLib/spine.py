"""The values of the pipeline: spine box, centroids, segmentation. Points are LPS millimetres in float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike

from .anatomy import Level
from .errors import SpineError
from .numbering import Numbering, Reading

Point = tuple[float, float, float]

DIGITS = 3
"""Places are whole thousandths of a millimetre. Files, nodes and transforms give a place back with tiny differences;
rounded it is the same place, so that nothing computed from it, and no comparison, depends on them."""


def rounded(values: Iterable[float]) -> Point:
    """Coordinates as a place has them.

    >>> rounded([0.5 + 3e-14, -1 / 3, -0.0001])
    (0.5, -0.333, 0.0)
    """
    # Adding 0 makes -0.0 the same text as 0.0.
    return tuple((np.round([float(value) for value in values], DIGITS) + 0.0).tolist())


def _point(values: Iterable[float], what: str) -> Point:
    point = rounded(values)
    if len(point) != 3 or not np.all(np.isfinite(point)):
        raise SpineError(f"{what} must be three finite numbers (LPS mm), not {point}")
    return point


@dataclass(frozen=True)
class SpineBox:
    """The part of the scan that holds the spine: an axis-aligned box, corners in LPS mm, rounded to ``DIGITS``.

    Raises:
        SpineError: a corner is not finite, or the box has no extent.
    """

    lower: Point
    upper: Point

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", _point(self.lower, "the lower corner of the spine box"))
        object.__setattr__(self, "upper", _point(self.upper, "the upper corner of the spine box"))
        if not all(low < high for low, high in zip(self.lower, self.upper, strict=True)):
            raise SpineError(
                f"the spine box has no extent: {self.lower} to {self.upper}; give the smaller corner first"
            )

    @classmethod
    def around(cls, points: ArrayLike, lower_margin: Iterable[float], upper_margin: Iterable[float]) -> SpineBox:
        """The box of points (N, 3) in LPS mm, widened by margins in mm below and above each axis."""
        points = np.asarray(points, float).reshape(-1, 3)
        lower, upper = np.asarray(lower_margin, float), np.asarray(upper_margin, float)
        return cls(rounded(points.min(0) - lower), rounded(points.max(0) + upper))

    @classmethod
    def of_image(cls, image: sitk.Image) -> SpineBox:
        """The axis-aligned LPS bounding box of a whole image, voxel borders included."""
        size = np.array(image.GetSize(), float)
        corners = np.array([[(0, s)[bit >> axis & 1] - 0.5 for axis, s in enumerate(size)] for bit in range(8)])
        return cls.around([image.TransformContinuousIndexToPhysicalPoint(c) for c in corners], (0,) * 3, (0,) * 3)

    @property
    def size(self) -> np.ndarray:
        """Edge lengths in mm."""
        return np.subtract(self.upper, self.lower)

    def contains(self, points: ArrayLike) -> np.ndarray:
        """Boolean (N,) for points (N, 3): inside or on the border."""
        points = np.asarray(points, float).reshape(-1, 3)
        return np.all((points >= self.lower) & (points <= self.upper), axis=1)

    def intersection(self, other: SpineBox) -> SpineBox | None:
        """The common part, None if there is none."""
        lower, upper = np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper)
        return SpineBox(rounded(lower), rounded(upper)) if np.all(lower < upper) else None


@dataclass(frozen=True)
class Centroid:
    """The centre of a vertebral body.

    Attributes:
        level: which vertebra.
        position: LPS mm, rounded to ``DIGITS``.
        confidence: how sure the labelling is of the level, 0..1; 1 for a point a person set.
    """

    level: Level
    position: Point
    confidence: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "level", Level(self.level))
        object.__setattr__(self, "position", _point(self.position, f"the centroid of {self.level.name}"))
        if not 0.0 <= self.confidence <= 1.0:
            raise SpineError(f"the confidence of {self.level.name} must lie in 0..1, not {self.confidence}")


@dataclass(frozen=True)
class Centroids:
    """The centroids of one scan, each level at most once, kept in the order of the column from the head down.

    Attributes:
        points: one for every vertebra.
        numbering: the labeller's verdict on the names; None when a person set or changed any of the centroids.

    Raises:
        SpineError: a level occurs twice, or a verdict is on another number of vertebrae.
    """

    points: tuple[Centroid, ...] = ()
    numbering: Numbering | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        points = tuple(sorted(self.points, key=lambda point: point.level.rank))
        for upper, lower in zip(points, points[1:], strict=False):
            if upper.level == lower.level:
                raise SpineError(f"{upper.level.name} is given twice; rename or delete one of the two")
        object.__setattr__(self, "points", points)
        if self.numbering and any(len(reading.levels) != len(points) for reading in self.numbering.readings):
            raise SpineError("the verdict on the names belongs to another number of vertebrae")

    def __iter__(self) -> Iterator[Centroid]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __contains__(self, level: Level) -> bool:
        return any(point.level == level for point in self.points)

    def __getitem__(self, level: Level) -> Centroid:
        """Raises KeyError when the level is not there."""
        for point in self.points:
            if point.level == level:
                return point
        raise KeyError(Level(level).name)

    @property
    def levels(self) -> tuple[Level, ...]:
        return tuple(point.level for point in self.points)

    @property
    def positions(self) -> np.ndarray:
        """(N, 3) LPS mm."""
        return np.array([point.position for point in self.points], float).reshape(-1, 3)

    def only(self, levels: Iterable[Level]) -> Centroids:
        """Those of the given levels."""
        wanted = set(levels)
        return Centroids(tuple(point for point in self.points if point.level in wanted))

    def moved(self, level: Level, position: Point) -> Centroids:
        """With one centroid at another place, confirmed by a person (confidence 1)."""
        old = self[level]
        return Centroids(tuple(replace(p, position=position, confidence=1.0) if p is old else p for p in self.points))

    def read_as(self, reading: Reading) -> Centroids:
        """The same places, named as in a reading that a person chose (confidence 1)."""
        pairs = zip(self.points, reading.levels, strict=True)
        return Centroids(tuple(replace(point, level=level, confidence=1.0) for point, level in pairs))


@dataclass(frozen=True)
class Segmentation:
    """The label map and what it was made from.

    Attributes:
        label_map: uint8 image of VerSe codes on the grid of the CT, 0 = no vertebra.
        centroids: the centroids that the label map belongs to.
    """

    label_map: sitk.Image
    centroids: Centroids
