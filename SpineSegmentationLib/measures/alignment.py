"""How vertebrae stand to each other, in the patient's coronal and sagittal plane (LPS of the scanner).

CT is taken lying: curves are smaller than standing (for scoliosis by about a tenth to a third), and slips may reduce.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import quality
from .body import EndPlate
from .frame import Frame
from .quantity import Quantity, missing

SLIP = 3.0
"""mm of slip from which it is called one (and not the error of reading or a rounded edge)."""

MEYERDING = (0.0, 25.0, 50.0, 75.0, 100.0)
"""Per cent of the lower end-plate beyond which a slip is of grade I, II, III, IV and V (Meyerding 1932, Surg Gynecol
Obstet 54:371-377; grade V, spondyloptosis, was added later)."""

FEWEST = 3
"""Vertebrae of the smallest curve."""


@dataclass(frozen=True, eq=False)
class Stance:
    """One bone of the column, as far as alignment needs it.

    Attributes:
        name: such as ``"L5"``; ``"S1"`` for the sacrum.
        upper, lower: end-plates; None where there is none to be seen.
        thickness: mm, length of the voxels across the end-plates.
        centre: (3,) LPS mm.
    """

    name: str
    upper: EndPlate | None
    lower: EndPlate | None
    thickness: float
    centre: np.ndarray

    def error(self, plate: EndPlate) -> float:
        """Standard deviation in degrees of the tilt of one of its end-plates."""
        uneven = np.rad2deg(np.arctan(2 * plate.spread / plate.depth))
        return float(np.hypot(quality.angle_error(self.thickness, plate.depth), uneven))


def sagittal_tilt(plate: EndPlate) -> float:
    """Degrees by which an end-plate leans forward."""
    return float(np.rad2deg(np.arctan2(-plate.normal[1], plate.normal[2])))


def coronal_tilt(plate: EndPlate) -> float:
    """Degrees by which an end-plate leans to the patient's left."""
    return float(np.rad2deg(np.arctan2(plate.normal[0], plate.normal[2])))


def axial_rotation(frame: Frame) -> float:
    """Degrees by which a vertebra is turned about the patient's long axis, positive when its left lies further back."""
    return float(np.rad2deg(np.arctan2(frame.left[1], frame.left[0])))


@dataclass(frozen=True, eq=False)
class Curve:
    """An angle between two end-plates of different vertebrae.

    Attributes:
        angle: degrees.
        upper, lower: names of the bones, the ends.
        lines: (2, 2, 3) LPS mm, the end-plates between which the angle lies: each from one side to the other.
        side: ``"left"`` or ``"right"`` to which a coronal curve is convex.
        apex: name of the bone furthest to that side.
    """

    angle: Quantity
    upper: str
    lower: str
    lines: np.ndarray | None = None
    side: str = ""
    apex: str = ""


def no_curve(why: str) -> Curve:
    return Curve(missing(why), "", "")


def largest_cobb(column: Sequence[Stance]) -> Curve:
    """The largest coronal Cobb angle (Cobb 1948, Instr Course Lect 5:261-275) with its end vertebrae.

    Between the upper end-plate of one vertebra and the lower end-plate of another, two or more below it. By the
    Scoliosis Research Society's definition a scoliosis is 10 degrees or more, standing.
    """
    seen = [(bone, bone.upper, bone.lower) for bone in column if bone.upper is not None and bone.lower is not None]
    if len(seen) < FEWEST:
        return no_curve(f"fewer than {FEWEST} vertebrae with both end-plates")
    pairs = [(a, b) for a in range(len(seen)) for b in range(a + FEWEST - 1, len(seen))]
    tops, bottoms = [coronal_tilt(plate) for _, plate, _ in seen], [coronal_tilt(plate) for _, _, plate in seen]
    first, last = max(pairs, key=lambda pair: abs(tops[pair[0]] - bottoms[pair[1]]))
    (upper, top, _), (lower, _, bottom) = seen[first], seen[last]
    angle = abs(tops[first] - bottoms[last])
    centres = np.array([bone.centre for bone, _, _ in seen[first : last + 1]])
    share = (centres[:, 2] - centres[0, 2]) / min(centres[-1, 2] - centres[0, 2], -1e-6)
    aside = centres[:, 0] - (centres[0, 0] + share * (centres[-1, 0] - centres[0, 0]))
    apex = int(np.argmax(np.abs(aside)))
    return Curve(
        quality.angle(angle, upper.error(top), lower.error(bottom)),
        upper.name,
        lower.name,
        np.stack([_line(top, 0), _line(bottom, 0)]),
        "left" if aside[apex] > 0 else "right",
        seen[first + apex][0].name,
    )


def kyphosis(column: Mapping[str, Stance], names: Sequence[str]) -> Curve:
    """The sagittal angle from the upper end-plate of T4 to the lower one of T12, or as far as is seen between them.

    Positive when bent forward. T4 to T12 is the usual choice, as shoulders hide the levels above (Bernhardt and
    Bridwell 1989, Spine 14:717-721: 37 degrees on the average from T3 to T12, standing).

    Args:
        names: of the vertebrae from T4 to T12 in the order of the column, T13 included where there is one.
    """
    seen = [column[name] for name in names if name in column]
    tops = [(bone, bone.upper) for bone in seen if bone.upper is not None]
    bottoms = [(bone, bone.lower) for bone in seen if bone.lower is not None]
    if not tops or not bottoms or names.index(bottoms[-1][0].name) - names.index(tops[0][0].name) < 4:
        return no_curve("fewer than five vertebrae between T4 and T12 are seen")
    return _sagittal(*tops[0], *bottoms[-1], 1)


def lordosis(column: Mapping[str, Stance], first: str, last: str) -> Curve:
    """The sagittal angle from the upper end-plate of ``first`` to the lower one of ``last`` (to the upper one of S1).

    Positive when bent backward. Normal adults have 40 to 60 degrees from L1 to S1, standing (Bernhardt and Bridwell
    1989: 44 degrees from T12 to L5; Vialle et al. 2005, J Bone Joint Surg Am 87:260-267: 43 from L1 to L5, 60 to S1).
    """
    upper, lower = column.get(first), column.get(last)
    if upper is None or upper.upper is None:
        return no_curve(f"{first} is not seen as a whole")
    bottom = None if lower is None else lower.upper if last == "S1" else lower.lower
    if lower is None or bottom is None:
        return no_curve(f"{last} is not seen as a whole" if last != "S1" else "no sacrum in the label map")
    return _sagittal(upper, upper.upper, lower, bottom, -1)


def _sagittal(upper: Stance, top: EndPlate, lower: Stance, bottom: EndPlate, sign: int) -> Curve:
    value = sign * (sagittal_tilt(top) - sagittal_tilt(bottom))
    errors = upper.error(top), lower.error(bottom)
    return Curve(quality.angle(value, *errors), upper.name, lower.name, np.stack([_line(top, 1), _line(bottom, 1)]))


def _line(plate: EndPlate, axis: int) -> np.ndarray:
    """(2, 3) LPS mm: 20 mm to each side along an end-plate, in the patient's coronal (0) or sagittal (1) plane."""
    direction = np.zeros(3)
    direction[axis], direction[2] = plate.normal[2], -plate.normal[axis]
    direction /= np.linalg.norm(direction)
    return plate.centre + np.outer([-20, 20], direction)


@dataclass(frozen=True, eq=False)
class Segment:
    """Two neighbouring bones and the disc between them.

    Attributes:
        upper, lower: names.
        angle: of the disc, degrees, positive when it is open in front (lordotic).
        front, middle, back: heights of the disc, mm.
        slip: mm by which the upper bone stands in front of the lower one; negative behind (retrolisthesis).
        slip_percent: of the depth of the lower bone's upper end-plate.
        grade: Meyerding's 0 to 5, 0 within ``SLIP``; None where the slip is not known.
    """

    upper: str
    lower: str
    angle: Quantity
    front: Quantity
    middle: Quantity
    back: Quantity
    slip: Quantity
    slip_percent: Quantity
    grade: int | None


def segment_of(above: Stance, below: Stance) -> Segment:
    """The disc and the slip between two bones."""
    top, bottom = above.lower, below.upper
    if top is None or bottom is None:
        none = missing(f"{above.name if top is None else below.name} is not seen as a whole")
        return Segment(above.name, below.name, none, none, none, none, none, none, None)
    angle = quality.angle(sagittal_tilt(bottom) - sagittal_tilt(top), above.error(top), below.error(bottom))
    across = top.normal + bottom.normal
    across /= np.linalg.norm(across)
    thickness = max(above.thickness, below.thickness)
    front, middle, back = (
        _gap(float((getattr(top, name) - getattr(bottom, name)) @ across), thickness, name == "middle")
        for name in ("front", "middle", "back")
    )
    forward = bottom.front - bottom.back
    depth = float(np.linalg.norm(forward))
    slip = float((top.back - bottom.back) @ forward) / depth
    error = quality.height_error(min(thickness, 2.0))
    if thickness > 3.5:
        moved = percent = missing("the slices are too thick for the edges of the end-plates")
    else:
        moved, percent = Quantity(slip, error), Quantity(100 * slip / depth, 100 * error / depth)
    grade = meyerding(slip, 100 * slip / depth) if moved else None
    return Segment(above.name, below.name, angle, front, middle, back, moved, percent, grade)


def _gap(gap: float, thickness: float, middle: bool) -> Quantity:
    error = quality.height_error(thickness, middle)
    if thickness > 2.5:
        return missing("the slices are too thick for the height of a disc")
    return Quantity(gap, error)


def meyerding(slip: float, percent: float) -> int:
    """Meyerding's grade of a slip in mm and per cent, of whatever direction; 0 within ``SLIP``."""
    return 0 if abs(slip) < SLIP else sum(abs(percent) > border for border in MEYERDING)
