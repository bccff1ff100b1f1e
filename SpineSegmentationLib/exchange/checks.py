"""What looks wrong about masks of vertebrae: pieces, gaps, two vertebrae under one name, one under two names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy import COLUMN, Level, may_follow
from ..grid import Grid
from ..labelling.distances import DISTANCE
from ..segmentation.mask import Piece
from ..spine import Centroids

CRUMB = 0.01
"""Share of a vertebra's voxels up to which pieces apart from the largest go unmentioned."""

CUT = 0.3
"""Area of contact of two masks, over the power two thirds of their volume, from which they may be one vertebra."""

LOPSIDED = 1.3
"""How much larger than the one that it meets over such an area a mask is that may hold a part of it."""


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong.

    Attributes:
        kind: ``pieces``, ``gap``, ``skipped``, ``order``, ``duplicate``, ``overlap``, ``two in one``, ``one in two``,
            ``small``, ``mixed``, ``place``; from the comparison with a labeller ``missing``, ``mixed``.
        levels: of the vertebrae concerned.
        text: for a person, one line.
    """

    kind: str
    levels: tuple[Level, ...]
    text: str


def check(pieces: Mapping[Level, Piece], centroids: Centroids, grid: Grid) -> list[Finding]:
    """What looks wrong about the masks alone, without the scan.

    Args:
        centroids: of the pieces, one for each.
        grid: of the pieces.
    """
    size = _size(centroids)
    findings = [*_along(centroids, size), *_touching(pieces, grid)]
    for level, piece in pieces.items():
        findings += _of_one(level, piece, pieces, centroids, grid, size)
    return findings + list(_small(pieces))


def misnamed(centroids: Centroids) -> tuple[str, ...]:
    """What looks wrong about the names of given points, one line each; levels between them may be left out."""
    found = _along(centroids, _size(centroids))
    return tuple(one.text for one in found if one.kind in ("one in two", "order", "skipped"))


def _size(centroids: Centroids) -> float:
    """How large this person is against the mean one: from the distances of neighbours, most of which may be wrong."""
    ratios = [
        np.linalg.norm(np.subtract(upper.position, lower.position)) / DISTANCE[upper.level]
        for upper, lower in zip(centroids.points, centroids.points[1:], strict=False)
        if lower.level.rank == upper.level.rank + 1
    ]
    return float(np.clip(np.percentile(ratios, 40), 0.6, 1.25)) if len(ratios) > 2 else 1.0


def _along(centroids: Centroids, size: float) -> Iterator[Finding]:
    """Neighbours in the order of their names: too near, too far, upside down, or not all there."""
    for upper, lower in zip(centroids.points, centroids.points[1:], strict=False):
        pair = (upper.level, lower.level)
        names = f"{upper.level.name} and {lower.level.name}"
        between = [one for one in COLUMN[upper.level.rank + 1 : lower.level.rank] if not one.is_transitional]
        apart = float(np.linalg.norm(np.subtract(upper.position, lower.position)))
        next_to = size * DISTANCE[upper.level]
        with_all = size * sum(DISTANCE[one] for one in (upper.level, *between))
        if apart < 0.55 * next_to:
            yield Finding("one in two", pair, f"{names} lie {apart:.0f} mm apart: one vertebra under two names?")
        elif lower.position[2] > upper.position[2] + 3:
            yield Finding("order", pair, f"{lower.level.name} lies above {upper.level.name}: names in the wrong order")
        elif between and apart < 0.5 * (next_to + with_all) and not may_follow(*pair):
            missing = ", ".join(one.name for one in between)
            text = f"{missing} left out between {names}, which are neighbours ({apart:.0f} mm): names shifted?"
            yield Finding("skipped", pair, text)
        elif between and not (may_follow(*pair) and apart < 0.5 * (next_to + with_all)):
            missing = ", ".join(one.name for one in between)
            yield Finding("gap", tuple(between), f"{missing} has no mask: a gap of {apart:.0f} mm between {names}")
        elif not between and apart > 1.6 * next_to:
            text = f"{names} lie {apart:.0f} mm apart: room for {round(apart / next_to) - 1} more vertebra"
            yield Finding("gap", pair, text)


def _touching(pieces: Mapping[Level, Piece], grid: Grid) -> Iterator[Finding]:
    """Masks that meet over a face as large as a cut through a vertebra: hardly more than one together, or one with a
    part of the other.

    Bodies whose disc has gone meet over as much, but are two together, and of like size.
    """
    volumes = {level: np.count_nonzero(piece.voxels) * np.prod(grid.spacing) for level, piece in pieces.items()}
    levels = list(pieces)
    for number, first in enumerate(levels):
        for second in levels[number + 1 :]:
            both = volumes[first] + volumes[second]
            others = [v for one, v in volumes.items() if one not in (first, second) and abs(one.rank - first.rank) <= 3]
            small, large = sorted((first, second), key=lambda level: volumes[level])
            one_of_two = bool(others) and both <= 1.5 * np.median(others)
            if not one_of_two and volumes[large] < LOPSIDED * volumes[small]:
                continue
            area = _contact(pieces[first], pieces[second], grid)
            if not one_of_two and area > CUT * (both / 2) ** (2 / 3):
                met = f"{small.name} and {large.name} meet over {area:.0f} mm2"
                text = f"{met}: is part of {small.name} called {large.name}?"
                yield Finding("mixed", (first, second), text)
            elif one_of_two and area > CUT * both ** (2 / 3):
                text = f"{first.name} and {second.name} meet over {area:.0f} mm2: one vertebra under two names?"
                yield Finding("one in two", (first, second), text)


def _contact(a: Piece, b: Piece, grid: Grid) -> float:
    """The area, mm2, over which voxels of two pieces lie side by side."""
    start = np.maximum(a.corner, b.corner) - 1
    stop = np.minimum(np.add(a.corner, a.shape[::-1]), np.add(b.corner, b.shape[::-1])) + 1
    if np.any(stop <= start):
        return 0.0
    size = (stop - start)[::-1]
    in_a, in_b = (_cropped(piece, start[::-1], size) for piece in (a, b))
    area = 0.0
    for axis, edge in enumerate(grid.spacing[::-1]):
        upper, lower = (
            tuple(slice(*part) if i == axis else slice(None) for i in range(3)) for part in ((1, None), (-1,))
        )
        pairs = np.count_nonzero(in_a[upper] & in_b[lower]) + np.count_nonzero(in_b[upper] & in_a[lower])
        area += pairs * float(np.prod(grid.spacing)) / edge
    return area


def _cropped(piece: Piece, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The voxels of a piece in a part of the grid, which may reach beyond it (start and size z, y, x)."""
    result = np.zeros(size, bool)
    offset = np.array(piece.corner[::-1]) - start
    low, high = np.maximum(offset, 0), np.minimum(offset + piece.shape, size)
    here = tuple(slice(i, j) for i, j in zip(low, high, strict=True))
    result[here] = piece.voxels[tuple(slice(i, j) for i, j in zip(low - offset, high - offset, strict=True))]
    return result


def _of_one(
    level: Level, piece: Piece, pieces: Mapping[Level, Piece], centroids: Centroids, grid: Grid, size: float
) -> Iterator[Finding]:
    voxels = piece.voxels
    parts, count = ndimage.label(voxels, np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        apart = 1 - sizes.max() / sizes.sum()
        if apart > CRUMB:
            text = f"{level.name} is in {count} pieces; {apart:.0%} of it is apart from the largest"
            at = _whose(level, parts, sizes, piece, centroids, grid)
            yield Finding("pieces", (level, *at), text + (f", beside {at[0].name}" if at else ""))
    if (
        level is not Level.C1
        and _reach(voxels, level, grid) > (2.0 if level is Level.C2 else 1.15) * size * DISTANCE[level]
    ):
        yield Finding("two in one", (level,), f"{level.name} is as long as two vertebrae: two under one name?")


def _whose(
    level: Level, parts: np.ndarray, sizes: np.ndarray, piece: Piece, centroids: Centroids, grid: Grid
) -> tuple[Level, ...]:
    """Another vertebra whose centroid is nearer to the second largest piece than the own one."""
    second = int(np.argsort(sizes)[-2]) + 1
    middle = np.argwhere(parts == second).mean(axis=0)[::-1] + piece.corner
    place = (grid.to_lps @ [*middle, 1])[:3]
    nearest = min(centroids, key=lambda point: np.linalg.norm(place - point.position))
    return () if nearest.level == level else (nearest.level,)


def _reach(voxels: np.ndarray, level: Level, grid: Grid) -> float:
    """How far along the body, mm, the thick parts of a mask reach: those of one vertebra are its body."""
    spacing = np.array(grid.spacing[::-1])
    step = np.maximum(np.floor(2.0 / spacing + 1e-6), 1).astype(int)
    inside = np.pad(voxels[tuple(slice(None, None, s) for s in step)], 1)
    depth = ndimage.distance_transform_edt(inside, sampling=spacing * step)
    cores, _ = ndimage.label(depth >= 0.6 * depth.max())
    deepest = ndimage.maximum(depth, cores, range(1, cores.max() + 1))
    thick = np.isin(cores, np.flatnonzero(np.array(deepest) >= 0.75 * depth.max()) + 1)
    heights = (np.argwhere(thick) * step)[:, ::-1] @ (grid.to_lps[2, :3])
    return float(np.ptp(heights)) if len(heights) else 0.0


def _small(pieces: Mapping[Level, Piece]) -> Iterator[Finding]:
    """Vertebrae much smaller than their neighbours."""
    volumes = {level: np.count_nonzero(piece.voxels) for level, piece in pieces.items()}
    for level, volume in volumes.items():
        near = [other for one, other in volumes.items() if one != level and abs(one.rank - level.rank) <= 2]
        if near and volume < 0.25 * np.median(near):
            text = f"{level.name} has only {volume / np.median(near):.0%} of the volume of its neighbours"
            yield Finding("small", (level,), text)
