"""The vertebrae of a result as a person sees them in a table, and what is wrong with their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...anatomy import COLUMN, Bone, Level, may_follow
from .coordinates import flipped
from .points import NamedPoint, named_by_neighbours, points_of
from .record import Record


@dataclass(frozen=True)
class Vertebra:
    """One control point of a result, for people.

    Attributes:
        level: its name; what a person wrote where that is no vertebra.
        ras: its centroid in RAS mm of the world.
        confidence: of the name, 0..1.
        locked: whether only a person may change it.
        kept: whether its segment is a person's own.
        complete: whether it lies in the scan as a whole; None when it was not measured as it is now.
        volume_mm3: None when it was not measured as it is now.
        id: of the control point.
        problem: what a person should look at: a wrong name, a name given twice, a gap above it; or "".
        mask_confidence: how good its mask is likely to be, 0..1; None where that is not known.
    """

    level: str
    ras: tuple[float, float, float]
    confidence: float
    locked: bool
    kept: bool
    complete: bool | None = None
    volume_mm3: float | None = None
    id: str = ""
    problem: str = ""
    mask_confidence: float | None = None

    @property
    def is_level(self) -> bool:
        """Whether the name is that of a vertebra."""
        return self.level in Level.__members__

    @property
    def by_person(self) -> bool:
        """Whether a person set its place or its name."""
        return self.confidence == 1


def vertebrae_of(record: Record) -> list[Vertebra]:
    """The vertebrae of the point list from the head down; a point whose name is none stands where it lies."""
    if record.result.centroids is None:
        return []
    measured = record.measured()
    kept = {shown.level for shown in record.segments.shown if shown.kept}
    rows = [_vertebra(point, measured, kept) for point in named_by_neighbours(points_of(record.result.centroids))]
    named = sorted((row for row in rows if row.is_level), key=lambda row: Level[row.level].rank)
    for row in (row for row in rows if not row.is_level):
        above = [number for number, other in enumerate(named, 1) if other.ras[2] > row.ras[2]]
        named.insert(max(above, default=0), row)
    return _with_problems(named)


def _vertebra(point: NamedPoint, measured: dict[str, dict[str, str]], kept: set[Bone]) -> Vertebra:
    try:
        level: Level | None = Level.parse(point.name)
    except ValueError:
        level = None
    row = measured.get(level.name, {}) if level else {}
    volume = row.get("volume_mm3")
    return Vertebra(
        level.name if level else point.name,
        flipped(point.position),
        point.confidence,
        point.locked,
        level in kept,
        row["completeness"] == "complete" if row else None,
        float(volume) if volume else None,
        point.id,
        mask_confidence=float(sure) if (sure := row.get("mask_confidence")) else None,
    )


def _with_problems(rows: Sequence[Vertebra]) -> list[Vertebra]:
    names = [row.level for row in rows]
    checked, upper = [], None
    for row in rows:
        problem = ""
        if not row.is_level:
            problem = f"{row.level!r} is no vertebra; choose a name or delete the point"
        elif names.count(row.level) > 1:
            problem = f"two points are called {row.level}; rename or delete one of them"
        elif upper is not None and row.ras[2] >= upper.ras[2]:
            problem = f"{row.level} lies above {upper.level}"
        elif upper is not None and not may_follow(Level[upper.level], Level[row.level]):
            missing = COLUMN[Level[upper.level].rank + 1 : Level[row.level].rank]
            problem = f"{', '.join(level.name for level in missing if not level.is_transitional)} missing above"
        checked.append(replace(row, problem=problem))
        upper = row if row.is_level else upper
    return checked
