"""What our own labeller says about the names of masks that others made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..anatomy import COLUMN, Level
from ..grid import Grid
from ..numbering import Numbering
from ..segmentation.mask import Piece
from ..spine import Centroids
from .checks import Finding

APART = 15.0
"""mm up to which a centroid of theirs and one of ours may be of one vertebra."""

BALL = 7.0
"""mm round a centroid of ours that lie in the vertebral body."""


@dataclass(frozen=True)
class Verdict:
    """Their names against ours.

    Attributes:
        pairs: their level and ours, for every vertebra that both have.
        shift: how many levels theirs must be moved towards the feet to be ours (negative: towards the head); None
            when no shift makes more than half of them agree, or nothing could be compared.
        agreeing: how many pairs agree on that.
        numbering: what our labeller says about how sure its own names are.
        findings: what the comparison shows besides.
    """

    pairs: tuple[tuple[Level, Level], ...]
    shift: int | None
    agreeing: int
    numbering: Numbering | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def sentence(self) -> str:
        """For a person."""
        if not self.pairs:
            return "our labeller found no vertebra where the masks lie: the names could not be checked"
        count = f"{self.agreeing} of {len(self.pairs)}"
        sure = f" {self.numbering.certainty.sentence}" if self.numbering is not None else ""
        if self.shift is None:
            differing = ", ".join(f"{theirs.name} looks like our {ours.name}" for theirs, ours in self.pairs[:6])
            return f"no shift makes the names agree: {differing}.{sure}"
        if self.shift == 0:
            return f"our labeller gives the same names ({count}).{sure}"
        theirs, ours = next(pair for pair in self.pairs if _steps(*pair) == self.shift)
        return f"your {theirs.name} looks like our {ours.name} ({count} agree): shift by {self.shift:+d}?{sure}"


def compare(pieces: Mapping[Level, Piece], centroids: Centroids, grid: Grid, ours: Centroids) -> Verdict:
    """Compares names of masks with those that our labeller gave on the same scan.

    Args:
        pieces: theirs, on ``grid``.
        centroids: of the pieces.
        ours: what the labeller found.
    """
    pairs = _pairs(centroids, ours)
    shifts = Counter(_steps(*pair) for pair in pairs)
    shift, agreeing = shifts.most_common(1)[0] if shifts else (None, 0)
    if shift is not None and 2 * agreeing <= len(pairs):
        shift = None
    findings = _under_our_points(pieces, grid, ours, shift or 0)
    return Verdict(tuple(pairs), shift, agreeing if shift is not None else 0, ours.numbering, tuple(findings))


def _pairs(theirs: Centroids, ours: Centroids) -> list[tuple[Level, Level]]:
    """Those that are each other's nearest, and not farther apart than one vertebra is from the next."""
    if not theirs or not ours:
        return []
    away = np.linalg.norm(theirs.positions[:, None] - ours.positions[None], axis=2)
    return [
        (theirs.levels[i], ours.levels[j])
        for i, j in enumerate(away.argmin(axis=1))
        if away[:, j].argmin() == i and away[i, j] <= APART
    ]


def _steps(theirs: Level, ours: Level) -> int:
    """Levels from theirs to ours towards the feet, counted in the regular column and the variants of the two."""
    column = [level for level in COLUMN if not level.is_transitional or level in (theirs, ours)]
    return column.index(ours) - column.index(theirs)


def _under_our_points(pieces: Mapping[Level, Piece], grid: Grid, ours: Centroids, shift: int) -> list[Finding]:
    """What the masks hold in the middle of each vertebra that we found."""
    findings = []
    for point in ours:
        inside = _in_ball(pieces, grid, np.array(point.position))
        total = sum(inside.values())
        large = [level for level, count in inside.items() if count >= 0.2 * max(total, 1)]
        if not total:
            text = f"no mask where our labeller finds {point.level.name}"
            findings.append(Finding("missing", (point.level,), text + (" (by our names)" if shift else "")))
        elif len(large) > 1:
            shares = ", ".join(f"{level.name} {inside[level] / total:.0%}" for level in large)
            text = f"the vertebra that is our {point.level.name} bears several names: {shares}"
            findings.append(Finding("mixed", tuple(large), text))
    return findings


def _in_ball(pieces: Mapping[Level, Piece], grid: Grid, position: np.ndarray) -> dict[Level, int]:
    """How many voxels of each piece lie near a place."""
    to_index = np.linalg.inv(grid.to_lps)
    index = (to_index @ [*position, 1])[:3]
    reach = np.linalg.norm(to_index[:3, :3], axis=1) * BALL
    counts = {}
    for level, piece in pieces.items():
        low = np.maximum(np.ceil(index - reach).astype(int), piece.corner)
        high = np.minimum(np.floor(index + reach).astype(int) + 1, np.add(piece.corner, piece.shape[::-1]))
        if np.any(high <= low):
            continue
        part = tuple(slice(a, b) for a, b in zip((low - piece.corner)[::-1], (high - piece.corner)[::-1], strict=True))
        places = (np.argwhere(piece.voxels[part])[:, ::-1] + low) @ grid.to_lps[:3, :3].T + grid.to_lps[:3, 3]
        if count := int(np.count_nonzero(np.linalg.norm(places - position, axis=1) <= BALL)):
            counts[level] = count
    return counts
