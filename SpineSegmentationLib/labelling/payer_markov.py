"""Which maximum of which heatmap is which vertebra: the choices of Payer et al. for VerSe'20 and for VerSe'19.

Both choose at most one candidate per level along the column and are solved as the heaviest path through a graph
without cycles: from a virtual start over candidates of levels that may follow each other to a virtual end. They
differ in what candidates and edges weigh (VerSe paper, section 3.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import COLUMN, STANDARD, Level, may_follow

THRESHOLD = 0.05  # least response of a candidate
MOST = 12  # candidates of a level: a heatmap of noise must not take for ever
NEIGHBOUR = 0.1  # what the response of a neighbouring level's candidate counts
BIAS = 2.0  # b
WEIGHT = 0.2  # lambda: of the responses against the directions
SHORTEST, LONGEST = 12.5, 50.0  # mm between neighbours (VerSe'19)

EDGES = tuple((upper, lower) for upper in COLUMN for lower in COLUMN if may_follow(upper, lower))

# Mean vector (mm) from each level C1 ... L4 to the next below: to the back and to the head; right and left are alike.
# Measured in November 2026 on 24 training scans (training.neighbours.mean_vectors).
_BACK = [0.6, 1.2, 2.2, 3.3, 3.6, 5.0, 8.8, 9.9, 9.7, 8.9, 7.2, 5.1]
_BACK += [1.3, -0.9, -2.4, -3.1, -4.2, -6.4, -7.6, -7.6, -5.0, 0.2, 7.2]
_UP = [-17.8, -18.6, -16.0, -15.3, -15.2, -15.5, -16.0, -17.2, -18.2, -19.2, -19.8, -20.5]
_UP += [-21.5, -23.7, -24.3, -25.7, -26.8, -29.4, -30.4, -32.8, -35.3, -37.5, -36.0]


def _vectors() -> dict[tuple[Level, Level], np.ndarray]:
    steps = zip(itertools.pairwise(STANDARD), _BACK, _UP, strict=True)
    vectors = {edge: np.array([0.0, back, up]) for edge, back, up in steps}
    # Nobody in the training scans has a variant: they are taken for their likes.
    like = {edge: (Level.T12, Level.L1) for edge in EDGES if edge[1] in (Level.T13, Level.L1)}
    like[Level.L5, Level.L6] = Level.L4, Level.L5
    return {edge: vectors[like.get(edge, edge)] for edge in EDGES}


VECTORS = _vectors()
"""Mean vector (LPS mm) of every edge."""


@dataclass(frozen=True)
class Candidates:
    """Places where one level may be.

    Attributes:
        positions: (N, 3) LPS mm.
        responses: (N,) of the heatmap there.
    """

    positions: np.ndarray
    responses: np.ndarray


def maxima(heatmaps: np.ndarray, image: sitk.Image) -> dict[Level, Candidates]:
    """The local maxima above ``THRESHOLD`` of the heatmap of each level that has any, at most ``MOST``.

    Args:
        heatmaps: (levels, z, y, x), levels as in ``COLUMN``.
        image: their grid.
    """
    found = {}
    for level, heat in zip(COLUMN, heatmaps, strict=True):
        warm = np.flatnonzero((heat > THRESHOLD).any((1, 2)))
        if not len(warm):
            continue
        rows = slice(max(warm[0] - 1, 0), warm[-1] + 2)
        part = heat[rows]
        index = np.argwhere((part > THRESHOLD) & (part == ndimage.maximum_filter(part, 3))) + [rows.start, 0, 0]
        index = index[np.argsort(-heat[tuple(index.T)], kind="stable")[:MOST]]
        places = [_peak(heat, tuple(place))[::-1].tolist() for place in index]
        positions = np.array([image.TransformContinuousIndexToPhysicalPoint(place) for place in places])
        found[level] = Candidates(positions, heat[tuple(index.T)].astype(float))
    return found


def _peak(heat: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    """Where between the voxels (z, y, x) a maximum lies, as if it were a Gaussian's."""
    shifted = np.array(place, float)
    for axis, middle in enumerate(place):
        if 0 < middle < heat.shape[axis] - 1:
            line = np.moveaxis(heat, axis, -1)[place[:axis] + place[axis + 1 :]]
            before, here, after = np.log(np.clip(line[middle - 1 : middle + 2], 1e-6, None))
            bend = before + after - 2 * here
            if bend < 0:
                shifted[axis] += np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return shifted


def with_neighbours(found: Mapping[Level, Candidates]) -> dict[Level, Candidates]:
    """Each level with the candidates of its neighbours of the same region added, at ``NEIGHBOUR`` of their response.

    Networks confuse vertebrae of one kind that follow each other.
    """
    alike = [edge for edge in EDGES if edge[0].region == edge[1].region]
    result = {}
    for level in COLUMN:
        near = [b if a == level else a for a, b in alike if level in (a, b)]
        parts = [(found[level], 1.0)] if level in found else []
        parts += [(found[other], NEIGHBOUR) for other in near if other in found]
        if parts:
            positions = np.concatenate([part.positions for part, _ in parts])
            result[level] = Candidates(positions, np.concatenate([part.responses * share for part, share in parts]))
    return result


Unary = Mapping[Level, np.ndarray]
Pairwise = Mapping[tuple[Level, Level], np.ndarray]


def verse20_weights(found: Mapping[Level, Candidates]) -> tuple[Unary, Pairwise]:
    """What candidates and edges weigh in VerSe'20: ``u = lambda h + b`` and, with the mean vector m of the edge,
    ``p = (1 - lambda) (1 - |2 (m - d) / |m||^2)`` for the vector d from the upper candidate to the lower.
    """
    unary = {level: WEIGHT * own.responses + BIAS for level, own in found.items()}
    pairwise = {}
    for upper, lower in _present(found):
        mean = VECTORS[upper, lower]
        d = found[lower].positions[None] - found[upper].positions[:, None]
        pairwise[upper, lower] = (1 - WEIGHT) * (1 - 4 * np.square(mean - d).sum(2) / np.square(mean).sum())
    return unary, pairwise


def verse19_weights(found: Mapping[Level, Candidates]) -> tuple[Unary, Pairwise]:
    """What candidates and edges weigh by the rule of VerSe'19: a candidate its response, an edge nothing.

    There is no edge between candidates nearer than 12.5 mm or farther than 50 mm, nor to one above; and no candidate
    of a level above the first or below the last. These two are the levels whose largest response lies nearest to the
    top and to the bottom of the volume.
    """
    highest = {level: own.positions[own.responses.argmax(), 2] for level, own in found.items()}
    if not highest:
        return {}, {}
    first, last = (pick(highest, key=highest.__getitem__).rank for pick in (max, min))
    found = {level: own for level, own in found.items() if first <= level.rank <= last}
    pairwise = {}
    for upper, lower in _present(found):
        d = found[lower].positions[None] - found[upper].positions[:, None]
        distance = np.linalg.norm(d, axis=2)
        fits = (distance >= SHORTEST) & (distance <= LONGEST) & (d[..., 2] <= 0)
        pairwise[upper, lower] = np.where(fits, 0.0, -np.inf)
    return {level: own.responses for level, own in found.items()}, pairwise


def _present(found: Mapping[Level, Candidates]) -> list[tuple[Level, Level]]:
    return [edge for edge in EDGES if edge[0] in found and edge[1] in found]


def best_path(unary: Unary, pairwise: Pairwise) -> dict[Level, int]:
    """The heaviest path from the head down: which candidate of which levels; empty without candidates.

    Args:
        unary: (N,) weights of the candidates of a level.
        pairwise: (N, M) weights of the edges between the candidates of two levels.
    """
    best: dict[Level, np.ndarray] = {}
    back: dict[Level, list[tuple[Level, int] | None]] = {}
    for level in COLUMN:
        if level not in unary:
            continue
        arriving = np.zeros(len(unary[level]))
        back[level] = [None] * len(arriving)
        for (upper, lower), weight in pairwise.items():
            if lower != level:
                continue
            through = best[upper][:, None] + weight
            for number, (origin, value) in enumerate(zip(through.argmax(0), through.max(0), strict=True)):
                if value > arriving[number]:
                    arriving[number] = value
                    back[level][number] = (upper, int(origin))
        best[level] = arriving + unary[level]
    if not best:
        return {}
    step: tuple[Level, int] | None = max(
        ((level, int(values.argmax())) for level, values in best.items()), key=lambda end: best[end[0]][end[1]]
    )
    path = {}
    while step is not None:
        path[step[0]] = step[1]
        step = back[step[0]][step[1]]
    return dict(reversed(path.items()))


def log_sums(unary: Unary, pairwise: Pairwise) -> dict[Level, np.ndarray]:
    """For every candidate the logarithm of the sum of ``exp(weight)`` over all paths through it."""
    down = _reached(unary, pairwise, COLUMN)
    turned = {(lower, upper): weight.T for (upper, lower), weight in pairwise.items()}
    up = _reached(unary, turned, COLUMN[::-1])
    return {level: down[level] + up[level] - unary[level] for level in unary}


def _reached(unary: Unary, pairwise: Pairwise, order: tuple[Level, ...]) -> dict[Level, np.ndarray]:
    """The same over the paths that end at the candidate."""
    sums: dict[Level, np.ndarray] = {}
    for level in order:
        if level in unary:
            arriving = np.zeros(len(unary[level]))
            for (before, here), weight in pairwise.items():
                if here == level:
                    arriving = np.logaddexp(arriving, np.logaddexp.reduce(sums[before][:, None] + weight, axis=0))
            sums[level] = arriving + unary[level]
    return sums
