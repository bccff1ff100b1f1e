"""Heights of a vertebral body in its mid-sagittal plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import quality
from .body import Body
from .quantity import Quantity, missing


@dataclass(frozen=True)
class Heights:
    """Anterior, middle and posterior height in mm.

    The six points are those of quantitative morphometry (Genant et al. 1993, J Bone Miner Res 8:1137-1148): the front
    and back edges of both end-plates and the places half-way between them, in the mid-sagittal plane; a height is the
    distance between two of them along the axis of the body.
    """

    anterior: Quantity
    middle: Quantity
    posterior: Quantity

    @property
    def all(self) -> tuple[Quantity, Quantity, Quantity]:
        return self.anterior, self.middle, self.posterior

    def __bool__(self) -> bool:
        return all(self.all)


def no_heights(why: str) -> Heights:
    """None of the three, and why."""
    return Heights(missing(why), missing(why), missing(why))


def heights_of(body: Body, thickness: float) -> Heights:
    """The heights of a body.

    Args:
        thickness: mm, length of the voxels along the axis of the body.
    """
    if body.upper is None:
        return no_heights("the axis has no upper end-plate")
    up = body.frame.up
    front, middle, back = (
        float((getattr(body.upper, name) - getattr(body.lower, name)) @ up) for name in ("front", "middle", "back")
    )
    if min(front, middle, back) <= 0:
        return no_heights("the end-plates cross each other: check the mask")
    spread = math.hypot(body.upper.spread, body.lower.spread)
    return Heights(
        quality.height(front, thickness, spread=spread),
        quality.height(middle, thickness, middle=True, spread=spread),
        quality.height(back, thickness, spread=spread),
    )
