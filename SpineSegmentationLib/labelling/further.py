"""Whether a detected box ended too early: the column goes on to the end of the box, and the scan beyond it.

In narrow fields of view a detector may lose the column half-way, and what lies beyond would be missing. Such a box is
made longer and its column named again; a box that a person set is not.
"""

from __future__ import annotations

from collections.abc import Callable

from ..anatomy import COLUMN, Level
from ..spine import Centroids, SpineBox
from .distances import DISTANCE

NEAR = 1.6  # steps from the last vertebra to the end of the box, within which the next may have been cut off
ROOM = 1.4  # steps beyond the last vertebra that the scan must show for the next one to be seen
AS_FAR = 120.0  # mm by which the box is made longer


def further(box: SpineBox, column: Centroids, scan: SpineBox) -> SpineBox | None:
    """The box with more room at the ends (LPS mm) where the column may go on beyond it; None where it does not.

    A column is complete with C1, and with the last lumbar vertebra if S1 was found below it.
    """
    if not column:
        return None
    (x, y, bottom), (right, back, top) = box.lower, box.upper
    first, last = column.points[0], column.points[-1]
    if first.level is not Level.C1:
        step = DISTANCE[COLUMN[first.level.rank - 1]]
        top += AS_FAR * _cut(step, top - first.position[2], scan.upper[2] - first.position[2])
    if column.numbering is None or column.numbering.sacrum is None:
        step = DISTANCE[last.level]
        bottom -= AS_FAR * _cut(step, last.position[2] - bottom, last.position[2] - scan.lower[2])
    longer = SpineBox((x, y, bottom), (right, back, top)).intersection(scan)
    return longer if longer != box.intersection(scan) else None


def _cut(step: float, in_box: float, in_scan: float) -> bool:
    """Whether a vertebra may be cut off: mm to the next one, and from the last one to the ends of box and scan."""
    return in_box < NEAR * step and in_scan > max(ROOM * step, in_box)


def named_further(
    label: Callable[[SpineBox], Centroids], box: SpineBox, column: Centroids, scan: SpineBox
) -> tuple[SpineBox, Centroids]:
    """The box and its column, or a longer box and the column in it as long as that shows more.

    More is a vertebra more, or S1 below it. A column that goes on to the end of the longer box is looked for further.
    """
    while (longer := further(box, column, scan)) is not None:
        again = label(longer)
        if _shown(again) <= _shown(column):
            break
        box, column = longer, again
    return box, column


def _shown(column: Centroids) -> tuple[int, bool]:
    """How many vertebrae, and whether S1 was found below them."""
    return len(column), column.numbering is not None and column.numbering.sacrum is not None
