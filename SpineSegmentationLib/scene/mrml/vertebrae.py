"""The vertebrae of a result as a person sees them in a table."""

from __future__ import annotations

from dataclasses import dataclass

from ...anatomy import Level
from .coordinates import flipped
from .points import points_of
from .record import Record


@dataclass(frozen=True)
class Vertebra:
    """One vertebra of a result, for people.

    Attributes:
        level: its name.
        ras: its centroid in RAS mm of the world.
        confidence: of the name, 0..1.
        locked: whether only a person may change it.
        kept: whether its segment is a person's own.
        complete: whether it lies in the scan as a whole; None when it was not measured as it is now.
        volume_mm3: None when it was not measured as it is now.
    """

    level: str
    ras: tuple[float, float, float]
    confidence: float
    locked: bool
    kept: bool
    complete: bool | None = None
    volume_mm3: float | None = None


def vertebrae_of(record: Record) -> list[Vertebra]:
    """The vertebrae that the point list names, from the head down; points with other names are left out."""
    if record.result.centroids is None:
        return []
    measured = record.measured()
    kept = {shown.level for shown in record.segments.shown if shown.kept}
    rows = []
    for point in points_of(record.result.centroids):
        try:
            level = Level.parse(point.name)
        except ValueError:
            continue
        row = measured.get(level.name, {})
        volume = row.get("volume_mm3")
        rows.append(
            Vertebra(
                level.name,
                flipped(point.position),
                point.confidence,
                point.locked,
                level in kept,
                row["completeness"] == "complete" if row else None,
                float(volume) if volume else None,
            )
        )
    return sorted(rows, key=lambda row: Level[row.level].rank)
