"""Levels of an adopted segmentation segmented again; all others stay voxel for voxel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from ..anatomy import Level
from ..errors import SpineError
from ..pipeline import Pipeline, Progress
from ..segmentation.mask import Merger
from ..session.state import State
from ..spine import Centroid, Centroids
from .adopt import Adopted, without
from .checks import check
from .verdict import APART, Verdict


def redo(
    pipeline: Pipeline,
    scan: sitk.Image,
    adopted: Adopted,
    levels: Iterable[Level],
    places: Centroids | None = None,
    progress: Callable[[Progress], None] = lambda step: None,
) -> Adopted:
    """Segments levels again, or for the first time where a mask was missing.

    What others made wins where a new mask would meet it.

    Args:
        places: where the vertebrae are, LPS mm, by the names of the masks; a level that is not among them is taken from
            its own mask, or else set between its neighbours.

    Raises:
        SpineError: a level has neither a place nor a mask nor two neighbours; no bone was found.
    """
    levels = tuple(dict.fromkeys(levels))
    points = Centroids(tuple(_placed(level, adopted, places or Centroids()) for level in levels))
    found = pipeline.find(scan, centroids=points, progress=progress)
    kept = {level: piece for level, piece in adopted.pieces.items() if level not in levels}
    made = {level: without(piece, kept) for level, piece in Merger(scan).pieces(found.vertebrae).items()}
    if empty := [level.name for level in levels if level not in made or not made[level].voxels.size]:
        raise SpineError(f"no bone was found for {', '.join(empty)}; give its place in a --centroids file")
    pieces = dict(sorted({**kept, **made}.items(), key=lambda item: item[0].rank))
    centroids = Centroids((*adopted.centroids.only(kept), *points))
    findings = (*adopted.lasting, *check(pieces, centroids, adopted.grid))
    return replace(adopted, pieces=pieces, centroids=centroids, findings=findings)


def _placed(level: Level, adopted: Adopted, places: Centroids) -> Centroid:
    if level in places:
        return places[level]
    if level in adopted.centroids:
        return adopted.centroids[level]
    above = [one for one in adopted.centroids.levels if one.rank < level.rank]
    below = [one for one in adopted.centroids.levels if one.rank > level.rank]
    if above and below:
        state = State(None, adopted.centroids).inserted_between(above[-1], below[0])
        if level in state.centroids:
            return state.centroids[level]
    raise SpineError(f"{level.name} has no mask, and nothing tells where it is; give its place in a --centroids file")


def named_as_theirs(ours: Centroids, verdict: Verdict, theirs: Centroids) -> Centroids:
    """What our labeller found, as the masks are named: near a mask that one's name, elsewhere ours less the shift.

    What would then bear a name twice, or has none because no shift is agreed on, is left out.
    """
    points: dict[Level, Centroid] = {}
    for point in ours:
        away = np.linalg.norm(theirs.positions - point.position, axis=1) if len(theirs) else np.array([np.inf])
        if away.min() <= APART:
            points[theirs.levels[int(away.argmin())]] = replace(point, level=theirs.levels[int(away.argmin())])
    if verdict.shift is not None:
        shifted = State(None, ours).shifted(-verdict.shift) if verdict.shift else State(None, ours)
        for point in shifted.centroids:
            if point.level not in points and point.level not in theirs:
                points[point.level] = point
    return Centroids(tuple(points.values()))
