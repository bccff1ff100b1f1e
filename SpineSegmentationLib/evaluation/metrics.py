"""The measures of one scan: how well its vertebrae are named, placed and segmented.

Definitions follow Sekuboyina et al. 2021 ("VerSe"), section 2.3, and Lessmann et al. 2019, section 4.2. What concerns
several scans (means, tables, ranking) is built on these values elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import COLUMN, Level
from ..errors import SpineError
from ..resampling import same_grid
from ..spine import Centroids
from .surface import SurfaceDistances, surface_distances, surface_points

IDENTIFIED_WITHIN = 20.0
"""mm; a prediction this far away or farther identifies nothing (VerSe, section 2.3)."""

MISSING_DISTANCE, MISSING_HAUSDORFF = 1000.0, 100.0
"""mm; what the challenge of 2019 put for a vertebra that was not predicted (VerSe, Appendix A.1)."""

BESIDE = 10.0
"""mm; a prediction this near to an annotated vertebra stands for it: the next body is farther, in the neck, too."""

_CODES = max(Level) + 1


def mean(values: Iterable[float]) -> float:
    """The mean of what is defined; NaN when nothing is."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def shifted(levels: Iterable[Level], shift: int, also: Iterable[Level] = ()) -> dict[Level, Level]:
    """The new name of every level after all labels move by ``shift`` places down the column.

    The column is C1 to L6; T13 has a place in it only if it occurs in ``levels`` or ``also``, so that in the
    usual person T12 moves to L1. Labels that leave the column are left out; a shift of 0 changes nothing.
    """
    levels = tuple(levels)
    present = {*levels, *also}
    column = [level for level in COLUMN if level is not Level.T13 or level in present]
    places = {level: column.index(level) + shift for level in levels}
    return {level: column[place] for level, place in places.items() if 0 <= place < len(column)}


def _shifts() -> list[int]:
    """All shifts worth trying, the smallest first, so that the first best one is the smallest."""
    return sorted(range(1 - len(COLUMN), len(COLUMN)), key=lambda shift: (abs(shift), shift))


@dataclass(frozen=True)
class LabellingScores:
    """How well the centroids of one scan were found and named (VerSe, section 2.3).

    Attributes:
        hits: for every annotated level, whether it was identified.
        distances: for every annotated level that was predicted, the distance to its prediction in mm.
        missing: annotated levels without a prediction.
        extra: predicted levels that are not annotated. They lower no score: VerSe leaves vertebrae that are partly
            visible without annotation.
        named: for every annotated level, the name of the prediction nearest to it, if one lies within 20 mm; what
            stands at that place, whatever it should be called.
        right: for every predicted level that can be judged, whether it is identified. One that is not annotated is
            wrong inside the annotated part of the column; beyond its ends it is not judged, as VerSe leaves vertebrae
            that are partly visible without annotation.
        confidence: of every predicted level, 0..1.
        best_shift: the number of places, down the column, by which all predicted labels would have to move to
            identify the most vertebrae; 0 if no shift does better than none. The discussion of the VerSe paper
            (section 5.3) names this one-label shift as what the measures hide.
        id_rate_shifted, d_mean_shifted: the measures after that shift.
    """

    hits: dict[Level, bool]
    distances: dict[Level, float]
    missing: tuple[Level, ...]
    extra: tuple[Level, ...]
    named: dict[Level, Level]
    right: dict[Level, bool]
    confidence: dict[Level, float]
    best_shift: int
    id_rate_shifted: float
    d_mean_shifted: float

    @property
    def id_rate(self) -> float:
        """Identified vertebrae over annotated vertebrae, 0..1."""
        return float(np.mean(list(self.hits.values())))

    @property
    def d_mean(self) -> float:
        """Mean distance in mm over the annotated vertebrae that were predicted; NaN if none was."""
        return mean(self.distances.values())

    @property
    def d_mean_challenge(self) -> float:
        """Mean distance in mm with 1000 mm for every missing vertebra (VerSe, Appendix A.1)."""
        return mean([*self.distances.values(), *[MISSING_DISTANCE] * len(self.missing)])


def _identify(truth: Centroids, names: tuple[Level, ...], positions: np.ndarray) -> tuple[dict, dict]:
    """Hits and distances of positions (N, 3) that bear the given names."""
    hits = dict.fromkeys(truth.levels, False)
    distances = {}
    for name, position in zip(names, positions, strict=True):
        if name in hits:
            to_truth = np.linalg.norm(truth.positions - position, axis=1)
            own = float(to_truth[truth.levels.index(name)])
            distances[name] = own
            hits[name] = bool(own < IDENTIFIED_WITHIN and own <= to_truth.min())
    return hits, distances


def _named(truth: Centroids, predicted: Centroids) -> dict[Level, Level]:
    if not len(predicted):
        return {}
    apart = np.linalg.norm(truth.positions[:, None] - predicted.positions[None], axis=2)
    nearest = apart.argmin(axis=1)
    return {
        level: predicted.levels[nearest[i]]
        for i, level in enumerate(truth.levels)
        if apart[i, nearest[i]] < IDENTIFIED_WITHIN
    }


def _right(truth: Centroids, predicted: Centroids, hits: dict[Level, bool]) -> dict[Level, bool]:
    heights = truth.positions[:, 2]
    right = {}
    for point in predicted:
        beside = np.linalg.norm(truth.positions - point.position, axis=1).min() < BESIDE
        if point.level in hits or beside or heights.min() <= point.position[2] <= heights.max():
            right[point.level] = hits.get(point.level, False)
    return right


def labelling_scores(truth: Centroids, predicted: Centroids) -> LabellingScores:
    """Compare predicted with annotated centroids.

    Vertebra i is identified if, of all annotated locations x_1 ... x_N, the one closest to the prediction of i is
    x_i, and the distance between the two is under 20 mm (VerSe, section 2.3: the closest "among {x_j}", the true
    locations; the same as in Glocker et al. 2012 and in the evaluation published with the challenge).

    Raises:
        SpineError: nothing is annotated.
    """
    if not len(truth):
        raise SpineError("no vertebra is annotated in the truth: there is nothing to score")
    hits, distances = _identify(truth, predicted.levels, predicted.positions)
    best = (sum(hits.values()), 0, hits, distances)
    for shift in _shifts():
        names = shifted(predicted.levels, shift, also=truth.levels)
        kept = [i for i, level in enumerate(predicted.levels) if level in names]
        trial = _identify(truth, tuple(names[predicted.levels[i]] for i in kept), predicted.positions[kept])
        if sum(trial[0].values()) > best[0]:
            best = (sum(trial[0].values()), shift, *trial)
    return LabellingScores(
        hits=hits,
        distances={level: distances[level] for level in truth.levels if level in distances},
        missing=tuple(level for level in truth.levels if level not in predicted),
        extra=tuple(level for level in predicted.levels if level not in truth),
        named=_named(truth, predicted),
        right=_right(truth, predicted, hits),
        confidence={point.level: point.confidence for point in predicted},
        best_shift=best[1],
        id_rate_shifted=best[0] / len(truth),
        d_mean_shifted=mean(best[3].values()),
    )


@dataclass(frozen=True)
class SegmentationScores:
    """How well the vertebrae of one scan were segmented (VerSe, section 2.3; Lessmann et al. 2019, section 4.2).

    Attributes:
        dice: for every annotated level; 0 when it is missing in the prediction.
        hd: Hausdorff distance in mm, for every annotated level that was predicted.
        assd: average absolute symmetric surface distance in mm, for the same levels.
        matched: for every annotated level, the predicted level that covers most of it, as Lessmann pairs them
            before measuring; None if no predicted vertebra touches it.
        assd_matched: the surface distance to that vertebra, whatever its name, for the levels that have one.
        missing: annotated levels without a voxel in the prediction.
        extra: predicted levels that are not annotated; they lower no score.
        overlap: (29, 29) voxel counts, row = code in the truth, column = code in the prediction. [0, 0] is not
            counted and holds 0; codes that are no vertebra count as 0.
    """

    dice: dict[Level, float]
    hd: dict[Level, float]
    assd: dict[Level, float]
    matched: dict[Level, Level | None]
    assd_matched: dict[Level, float]
    missing: tuple[Level, ...]
    extra: tuple[Level, ...]
    overlap: np.ndarray

    @property
    def dice_mean(self) -> float:
        """Mean over the annotated vertebrae, a missing one counting 0."""
        return mean(self.dice.values())

    @property
    def hd_mean(self) -> float:
        """Mean in mm over the annotated vertebrae that were predicted; NaN if none was."""
        return mean(self.hd.values())

    @property
    def hd_mean_challenge(self) -> float:
        """Mean in mm with 100 mm for every missing vertebra (VerSe, Appendix A.1)."""
        return mean([*self.hd.values(), *[MISSING_HAUSDORFF] * len(self.missing)])

    @property
    def assd_mean(self) -> float:
        """Mean in mm over the annotated vertebrae that were predicted; NaN if none was."""
        return mean(self.assd.values())

    @property
    def dice_matched(self) -> dict[Level, float]:
        """Dice of every annotated level with its matched vertebra, whatever that one's name; 0 without one."""
        return {
            level: _dice(self.overlap, level, other) if other is not None else 0.0
            for level, other in self.matched.items()
        }

    @property
    def mixing(self) -> dict[Level, float]:
        """For every predicted level, the part (0..1) of its voxels that lies inside another level's truth.

        A vertebra whose mask is patched together from two names scores high here, one that is well cut but wrongly
        named scores 1; together with the shifted Dice the two can be told apart (VerSe, section 5.3).
        """
        result = {}
        for level in COLUMN:
            if total := self.overlap[:, level].sum():
                result[level] = float((total - self.overlap[0, level] - self.overlap[level, level]) / total)
        return result

    @cached_property
    def _best_shift(self) -> tuple[int, float]:
        predicted = [level for level in COLUMN if self.overlap[:, level].any()]
        best = (0, self.dice_mean)
        for shift in _shifts():
            source = {new: old for old, new in shifted(predicted, shift, also=self.dice).items()}
            value = mean(_dice(self.overlap, level, source[level]) if level in source else 0.0 for level in self.dice)
            if value > best[1] + 1e-12:
                best = (shift, value)
        return best

    @property
    def best_shift(self) -> int:
        """Places down the column by which all predicted labels would have to move for the best mean Dice."""
        return self._best_shift[0]

    @property
    def dice_shifted(self) -> float:
        """Mean Dice after that shift."""
        return self._best_shift[1]


def _dice(overlap: np.ndarray, truth: Level, predicted: Level) -> float:
    total = overlap[truth].sum() + overlap[:, predicted].sum()
    return float(2 * overlap[truth, predicted] / total) if total else 0.0


def on_one_grid(truth: sitk.Image, predicted: sitk.Image) -> tuple[sitk.Image, sitk.Image]:
    """Both images with the same voxels in the same order.

    Images that cover the same voxels and differ only in how the axes are ordered or flipped are brought to LPS
    order; equal grids are returned as they are.

    Raises:
        SpineError: the grids differ by more than a tenth of a voxel.
    """
    for image, what in ((truth, "truth"), (predicted, "prediction")):
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise SpineError(f"the mask of the {what} is no 3D label map")
    tolerance = 0.1 * min(truth.GetSpacing())
    if not same_grid(truth, predicted, tolerance):
        truth, predicted = sitk.DICOMOrient(truth, "LPS"), sitk.DICOMOrient(predicted, "LPS")
        if not same_grid(truth, predicted, tolerance):
            raise SpineError(
                f"the masks lie on different grids ({_grid(truth)} in the truth, {_grid(predicted)} in the prediction);"
                " resample the prediction to the grid of the truth"
            )
    return truth, predicted


def _grid(image: sitk.Image) -> str:
    size, spacing = image.GetSize(), image.GetSpacing()
    return "x".join(map(str, size)) + " voxels of " + "x".join(f"{s:.3g}" for s in spacing) + " mm"


def label_array(image: sitk.Image) -> np.ndarray:
    """The labels as uint8, z, y, x; a view of the image where it holds uint8 already.

    Raises:
        SpineError: a voxel holds no whole number in 0..255.
    """
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype == np.uint8:
        return array
    labels = np.empty(array.shape, np.uint8)
    for z, plane in enumerate(array):
        if not np.all((plane >= 0) & (plane <= 255)):
            raise SpineError("the mask holds values outside 0..255: it is no label map of VerSe codes")
        labels[z] = plane
        if not np.array_equal(labels[z], plane):
            raise SpineError("the mask holds broken numbers: it is no label map of VerSe codes")
    return labels


def _overlap(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Joint histogram of two label arrays, slice by slice to stay small in memory."""
    code = np.zeros(256, np.uint16)
    code[list(Level)] = list(Level)
    counts = np.zeros(_CODES * _CODES, np.int64)
    for first, second in zip(truth, predicted, strict=True):
        filled = (first != 0) | (second != 0)
        if filled.any():
            pairs = code[first[filled]] * np.uint16(_CODES) + code[second[filled]]
            counts += np.bincount(pairs, minlength=counts.size)
    counts[0] = 0
    return counts.reshape(_CODES, _CODES)


def _surfaces(labels: np.ndarray, spacing: tuple[float, float, float]) -> dict[Level, np.ndarray]:
    """The surface points of every vertebra, in mm, each from a crop round it."""
    surfaces = {}
    for code, crop in enumerate(ndimage.find_objects(labels, max_label=max(Level)), start=1):
        if crop is not None and code in Level._value2member_map_:
            start = np.array([part.start for part in crop]) * spacing
            surfaces[Level(code)] = surface_points(labels[crop] == code, spacing) + start
    return surfaces


def segmentation_scores(truth: sitk.Image, predicted: sitk.Image) -> SegmentationScores:
    """Compare two label maps of VerSe codes, vertebra by vertebra.

    Codes that are no vertebra (sacrum 26, coccyx 27, others) count as background.

    Raises:
        SpineError: the grids differ, a mask is no label map, or nothing is annotated.
    """
    truth, predicted = on_one_grid(truth, predicted)
    spacing = truth.GetSpacing()[::-1]
    truth_labels, predicted_labels = label_array(truth), label_array(predicted)
    overlap = _overlap(truth_labels, predicted_labels)
    annotated = [level for level in COLUMN if overlap[level].any()]
    if not annotated:
        raise SpineError("the mask of the truth holds no vertebra: there is nothing to score")
    found = [level for level in COLUMN if overlap[:, level].any()]
    matched = {level: max(found, key=lambda other: overlap[level, other], default=None) for level in annotated}
    matched = {
        level: other if other is not None and overlap[level, other] else None for level, other in matched.items()
    }

    surfaces, predicted_surfaces = _surfaces(truth_labels, spacing), _surfaces(predicted_labels, spacing)
    distances: dict[tuple[Level, Level], SurfaceDistances] = {}
    for level in annotated:
        for other in set(found) & {level, matched[level]}:
            distances[level, other] = surface_distances(surfaces[level], predicted_surfaces[other])

    return SegmentationScores(
        dice={level: _dice(overlap, level, level) for level in annotated},
        hd={level: distances[level, level].hausdorff for level in annotated if level in found},
        assd={level: distances[level, level].assd for level in annotated if level in found},
        matched=matched,
        assd_matched={level: distances[level, other].assd for level, other in matched.items() if other is not None},
        missing=tuple(level for level in annotated if level not in found),
        extra=tuple(level for level in found if level not in annotated),
        overlap=overlap,
    )
