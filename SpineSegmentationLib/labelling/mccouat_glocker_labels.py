"""From centroids to a label for every voxel of the column, and back (McCouat and Glocker 2019, sections 2.3 and 2.4).

Dense labels are 0 for background and 1 (C1) to 26 (L6) in the order of ``COLUMN``: rank + 1. What a network regresses
is the ``NUMBER`` of a label. Arrays are z,y,x.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from ..anatomy import COLUMN, STANDARD, Level, may_follow
from ..phantom.dimensions import DIMENSIONS
from .distances import DISTANCE

RADIUS: dict[Level, float] = {level: (size.width + size.depth) / 4 for level, size in DIMENSIONS.items()}
"""mm: half the mean of width and depth of the body. The paper reads its radii off Busscher et al. 2010 without printing
them; these are the rounded dimensions of the same bodies that the phantom is built from, with their sources there."""

NUMBER = np.array(
    [0.0] + [19.5 if level == Level.T13 else STANDARD.index(level) + 1.0 for level in COLUMN[:-1]] + [25.0]
)
"""The number of each dense label: the paper's 1 (C1) to 24 (L5), and 25 for L6. T13 lies between T12 and L1: were it 20
and L1 21, a network in doubt between T12 and L1 would vote for the rare T13."""

UNKNOWN = 255
"""Voxels of which nobody said what they are: where the next vertebra beyond the annotated ones would lie."""


def least_votes(level: Level) -> float:
    """The least volume in mm^3 that votes for a vertebra which is there.

    ``max(3000, 0.4 R^3)`` (equation 3), but no more than half of the mean person's body with its disc, of which a small
    cervical vertebra has less than 3000 mm^3 in all.
    """
    return min(max(3000.0, 0.4 * RADIUS[level] ** 3), 0.5 * np.pi * RADIUS[level] ** 2 * DISTANCE[level])


def densify(levels: tuple[Level, ...], positions: np.ndarray, shape: tuple[int, ...], spacing: float) -> np.ndarray:
    """Dense labels of a column: discs in the axial plane along a line through each vertebra.

    The line runs from the midpoint towards the vertebra above to that towards the vertebra below. Where one of them is
    missing the line is as long beyond the centroid as on the other side; with neither it is vertical, of the mean
    person's length.

    Args:
        levels: of the annotated vertebrae; ``positions`` (N, 3) their centroids in voxels z,y,x.
        shape: of the array, z,y,x; vertebrae may lie outside, in part or wholly.
        spacing: mm, isotropic.

    Returns:
        uint8; ``UNKNOWN`` where a vertebra that nobody annotated may follow upon the outermost, which scans show in
        part: one vertebra's length beyond the ends and wherever the annotation leaves vertebrae out. Nothing follows
        above C1 and below L5.
    """
    labels = np.zeros(shape, np.uint8)
    order = sorted(range(len(levels)), key=lambda i: levels[i].rank)
    column = [(levels[i], np.asarray(positions[i], float)) for i in order]
    joined = [may_follow(a, b) for (a, _), (b, _) in itertools.pairwise(column)]
    known: list[tuple[Level, np.ndarray, np.ndarray]] = []
    unknown: list[tuple[Level, np.ndarray, np.ndarray]] = []
    for i, (level, centre) in enumerate(column):
        up = (column[i - 1][1] - centre) / 2 if i > 0 and joined[i - 1] else None
        down = (column[i + 1][1] - centre) / 2 if i < len(joined) and joined[i] else None
        straight = np.array([DISTANCE[level] / spacing / 2, 0, 0])
        above = up if up is not None else -down if down is not None else straight
        below = down if down is not None else -up if up is not None else -straight
        known.append((level, centre + above, centre + below))
        if up is None and level != Level.C1:
            unknown.append((level, centre + above, centre + 3 * above))
        if down is None and level not in (Level.L5, Level.L6):
            unknown.append((level, centre + below, centre + 3 * below))
    for level, start, end in unknown:
        _tube(labels, start, end, RADIUS[level] / spacing, UNKNOWN)
    for level, start, end in known:
        _tube(labels, start, end, RADIUS[level] / spacing, level.rank + 1)
    return labels


def _tube(labels: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float, value: int) -> None:
    """Writes discs of a radius in voxels round every point of a line, in the row that the point lies in.

    A row belongs to the line if its centre lies in the half-open interval of the line's rows, so that lines which
    follow each other share no row and leave none out.
    """
    low, high = (start, end) if start[0] <= end[0] else (end, start)
    for row in range(max(int(np.ceil(low[0])), 0), min(int(np.ceil(high[0])), labels.shape[0])):
        _, y, x = low + (high - low) * (row - low[0]) / (high[0] - low[0])
        first = np.maximum(np.ceil([y - radius, x - radius]), 0).astype(int)
        last = np.minimum(np.floor([y + radius, x + radius]) + 1, labels.shape[1:]).astype(int)
        if np.all(first < last):
            rows, columns = np.ogrid[first[0] : last[0], first[1] : last[1]]
            disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            labels[row, first[0] : last[0], first[1] : last[1]][disc] = value


def nearest_labels(numbers: np.ndarray) -> np.ndarray:
    """The dense label of each number, rounded and kept within C1 to L6; never T13, which has no whole number."""
    whole = np.clip(np.rint(numbers), 1, NUMBER[-1]).astype(int)
    return np.searchsorted(NUMBER, whole).astype(np.uint8)


def sparsify(labels: np.ndarray, spacing: float) -> dict[Level, np.ndarray]:
    """The centroids (voxels z,y,x) that dense labels vote for: the median place of each level's voxels.

    Levels with less than :func:`least_votes` are left out.
    """
    centres = {}
    for level, where in zip(COLUMN, ndimage.find_objects(labels, len(COLUMN)), strict=True):
        if where is None:
            continue
        votes = np.argwhere(labels[where] == level.rank + 1)
        if len(votes) * spacing**3 >= least_votes(level):
            centres[level] = np.median(votes, axis=0) + [axis.start for axis in where]
    return centres
