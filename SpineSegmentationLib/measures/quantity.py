"""A measured number, how sure it is, and why it is missing when it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import SpineError


@dataclass(frozen=True)
class Quantity:
    """A number that says how sure it is.

    Attributes:
        value: NaN when it was left out.
        uncertainty: one standard deviation, in the unit of the value; NaN if unknown.
        why: why the number was left out; empty when it was not.

    Raises:
        SpineError: an infinite value, a negative uncertainty, or a number that is missing without a word.
    """

    value: float
    uncertainty: float = math.nan
    why: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))
        object.__setattr__(self, "uncertainty", float(self.uncertainty))
        if math.isinf(self.value) or math.isinf(self.uncertainty) or self.uncertainty < 0:
            raise SpineError(f"a measure must be finite, its uncertainty positive: {self.value} ± {self.uncertainty}")
        if math.isnan(self.value) != bool(self.why):
            raise SpineError("a measure has either a value or a reason why it has none")

    def __bool__(self) -> bool:
        """Whether there is a number."""
        return not self.why


def missing(why: str) -> Quantity:
    """A number that was left out, and why."""
    return Quantity(math.nan, math.nan, why)


def combined(function: Callable[..., float], *parts: Quantity) -> Quantity:
    """A function of quantities whose errors are independent; without a number as soon as one of them has none.

    The uncertainty is propagated to first order (JCGM 100:2008, "GUM", equation 10), with differences in place of the
    derivatives (section 5.1.3, note 2).
    """
    for part in parts:
        if not part:
            return part
    values = [part.value for part in parts]
    centre = function(*values)
    steps = []
    for number, part in enumerate(parts):
        moved = list(values)
        moved[number] += part.uncertainty
        steps.append(function(*moved) - centre)
    return Quantity(centre, math.sqrt(sum(step * step for step in steps)))
