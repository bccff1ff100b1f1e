"""The verdict on the names of a column: how sure they are, the second-best reading, and what speaks for the best."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .anatomy import Level
from .errors import SpineError


class Certainty(str, Enum):
    """What is known of the names of a column as a whole; the values are what files and messages hold."""

    CERTAIN = "certain"
    DOUBTFUL = "doubtful"
    UNKNOWN = "unknown"

    @property
    def sentence(self) -> str:
        """For a person."""
        return {
            Certainty.CERTAIN: "The names are certain.",
            Certainty.DOUBTFUL: "The names are doubtful: check them.",
            Certainty.UNKNOWN: "The names cannot be known from this field of view.",
        }[self]


@dataclass(frozen=True)
class Reading:
    """One way to name the column.

    Attributes:
        levels: from the head down, one for every centroid.
        probability: that all of them are right, 0..1.
    """

    levels: tuple[Level, ...]
    probability: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(Level(level) for level in self.levels))
        if not 0.0 <= self.probability <= 1.0:
            raise SpineError(f"the probability of a reading must lie in 0..1, not {self.probability}")


@dataclass(frozen=True)
class Numbering:
    """The verdict on the names that a labeller gave.

    Attributes:
        certainty: as calibrated on people that no training saw (docs/results.md).
        readings: the best, which the centroids bear, and the second-best if there is one; each names every centroid.
        evidence: what was seen, in words, such as ``"last rib at T12 on both sides"``.
        sacrum: the centre of S1's body (LPS mm) where it was seen.
    """

    certainty: Certainty
    readings: tuple[Reading, ...]
    evidence: tuple[str, ...] = ()
    sacrum: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "certainty", Certainty(self.certainty))
        if self.sacrum is not None:
            x, y, z = (float(value) for value in self.sacrum)
            object.__setattr__(self, "sacrum", (x, y, z))
        object.__setattr__(self, "readings", tuple(self.readings))
        object.__setattr__(self, "evidence", tuple(self.evidence))
        if len({len(reading.levels) for reading in self.readings}) > 1:
            raise SpineError("the readings of a column must name the same number of vertebrae")

    @property
    def second(self) -> Reading | None:
        """The second-best reading."""
        return self.readings[1] if len(self.readings) > 1 else None

    @property
    def sentence(self) -> str:
        """The verdict for a person, with both readings and how likely they are."""
        ways = [f"{_span(reading.levels)} ({reading.probability:.0%})" for reading in self.readings if reading.levels]
        return f"{self.certainty.sentence} {', or '.join(ways)}" if ways else self.certainty.sentence


def _span(levels: tuple[Level, ...]) -> str:
    """``C7-L2``; variants within are named."""
    between = [level.name for level in levels[1:-1] if level.is_transitional]
    if Level.T11 in levels and Level.L1 in levels and Level.T12 not in levels:
        between.append("no T12")
    ends = levels[0].name if len(levels) == 1 else f"{levels[0].name}-{levels[-1].name}"
    return f"{ends} with {', '.join(between)}" if between else ends
