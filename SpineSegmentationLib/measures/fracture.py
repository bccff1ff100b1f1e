"""How far a vertebral body has lost height: within itself, against its neighbours, and as a grade.

The grade is semiquantitative, after Genant et al. 1993 (J Bone Miner Res 8:1137-1148), who read T4 to L4: 1 (mild)
for a loss of 20 to 25 % of the anterior, middle or posterior height, 2 (moderate) for 25 to 40 %, 3 (severe) for more
than 40 %, against the adjacent vertebrae. A deformity is not always a fracture: Scheuermann's disease, remodelling and
variants lose height, too, and fresh fractures need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its stats are large, and loaded when they are first used

from ..anatomy import Level
from .heights import Heights
from .quality import LARGEST_REDUCTION_ERROR
from .quantity import Quantity, combined, missing

GRADES = (20.0, 25.0, 40.0)
"""Per cent of a height at which grades 1, 2 and 3 begin."""

SURE = 0.65
"""Probability of a grade below which none is given."""

REACH = 4
"""How many vertebrae above and below serve as neighbours."""

SPREAD = 0.04
"""Part by which the height of a sound vertebra strays from the trend of its neighbours: standard deviation. Between
people it is 5 to 10 % (Panjabi et al. 1991, 1992); the vertebrae of one person are nearer to each other."""


@dataclass(frozen=True)
class Deformity:
    """Loss of height in per cent; negative where there is more height than in front or beside.

    Attributes:
        wedge: of the anterior against the posterior height.
        biconcave: of the middle against the posterior height.
        crush: of the posterior height against what the neighbours tell.
        anterior, middle: of these heights against what the neighbours tell.
        grades: how probable grades 0 to 3 are; empty where the losses are not known.
        grade: 0 to 3; None where there is none.
        why: why there is no grade.
    """

    wedge: Quantity
    biconcave: Quantity
    crush: Quantity
    anterior: Quantity
    middle: Quantity
    grades: tuple[float, ...]
    grade: int | None
    why: str = ""

    @property
    def shape(self) -> str:
        """``"wedge"``, ``"biconcave"`` or ``"crush"`` by the height that lost most, ``""`` for grade 0 or none."""
        if not self.grade:
            return ""
        losses = {"wedge": self.anterior, "biconcave": self.middle, "crush": self.crush}
        return max(losses, key=lambda name: losses[name].value)


def grade_of(loss: float) -> int:
    """Genant's grade of a loss of height in per cent."""
    return sum(loss >= border for border in GRADES)


def grades_of(losses: Sequence[Quantity]) -> tuple[float, ...]:
    """How probable grades 0 to 3 are: the largest loss decides, and their errors are independent and normal.

    The largest of them stays below a border when all do.
    """
    below = [
        np.prod([scipy.stats.norm.cdf(border, one.value, max(one.uncertainty, 1e-6)) for one in losses])
        for border in GRADES
    ]
    return tuple(np.diff([0.0, *below, 1.0]).tolist())


def loss(height: Quantity, reference: Quantity) -> Quantity:
    """By how many per cent a height is less than a reference."""
    return combined(lambda own, other: 100 * (1 - own / other), height, reference)


def is_graded(level: Level) -> bool:
    """Whether Genant's method covers a level."""
    return Level.T4.rank <= level.rank <= Level.L4.rank


def expected(heights: Mapping[Level, Heights], level: Level, sound: frozenset[Level]) -> Heights:
    """The heights that the sound neighbours of a vertebra tell, by a robust line along the column (Theil-Sen).

    With three sound thoracic or lumbar vertebrae within ``REACH`` a line, with two on either side their mean.
    """
    near = [
        other
        for other in sound
        if other is not level and other.region != "cervical" and abs(other.rank - level.rank) <= REACH
    ]
    offsets = np.array([other.rank - level.rank for other in near], float)
    both_sides = len(near) == 2 and offsets.min() < 0 < offsets.max()
    if len(near) < 3 and not both_sides:
        why = "too few sound neighbours to compare with"
        return Heights(missing(why), missing(why), missing(why))
    found = []
    for part in range(3):
        values = np.array([heights[other].all[part].value for other in near])
        error = float(np.mean([heights[other].all[part].uncertainty for other in near])) / np.sqrt(len(near))
        centre = float(scipy.stats.theilslopes(values, offsets).intercept)
        found.append(Quantity(centre, float(np.hypot(error, SPREAD * centre / np.sqrt(2)))))
    return Heights(*found)


def deformities(heights: Mapping[Level, Heights]) -> dict[Level, Deformity]:
    """The deformity of every vertebra of one column; fractured ones do not serve as neighbours.

    Args:
        heights: of all vertebrae of the scan, missing ones included.
    """
    sound = frozenset(level for level, own in heights.items() if own)
    found: dict[Level, Deformity] = {}
    for _ in range(4):
        found = {level: _deformity(heights, level, sound) for level in heights}
        fractured = {level for level, one in found.items() if one.grades and one.grades[0] < 0.5}
        remaining = frozenset(level for level, own in heights.items() if own and level not in fractured)
        if remaining == sound:
            break
        sound = remaining
    return found


def _deformity(heights: Mapping[Level, Heights], level: Level, sound: frozenset[Level]) -> Deformity:
    own = heights[level]
    reference = expected(heights, level, sound)
    anterior, middle, crush = (loss(a, b) for a, b in zip(own.all, reference.all, strict=True))
    wedge, biconcave = loss(own.anterior, own.posterior), loss(own.middle, own.posterior)
    losses = (anterior, middle, crush)
    grades: tuple[float, ...] = ()
    grade, why = None, ""
    if not is_graded(level):
        why = "Genant's method covers T4 to L4"
    elif (unknown := next((one for one in losses if not one), None)) is not None:
        why = unknown.why
    elif max(one.uncertainty for one in losses) > LARGEST_REDUCTION_ERROR:
        why = "slices too thick or mask too uneven for a grade"
    else:
        grades = grades_of(losses)
        largest = max(losses, key=lambda one: one.value)
        grade = grade_of(largest.value)
        if grades[grade] < SURE:
            first, second = sorted(np.argsort(grades)[-2:])
            why = f"a loss of {largest.value:.0f} ± {largest.uncertainty:.0f} % may be grade {first} or {second}"
            grade = None
    return Deformity(wedge, biconcave, crush, anterior, middle, grades, grade, why)
