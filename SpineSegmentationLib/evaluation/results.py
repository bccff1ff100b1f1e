"""What a method achieved on a scan, and every measure by its name."""

from __future__ import annotations

from dataclasses import dataclass, field

import SimpleITK as sitk

from ..anatomy import Level
from ..errors import SpineError
from ..spine import Centroids
from .dataset import Annotation
from .metrics import (
    MISSING_DISTANCE,
    MISSING_HAUSDORFF,
    LabellingScores,
    SegmentationScores,
    labelling_scores,
    mean,
    segmentation_scores,
)


@dataclass(frozen=True)
class Measure:
    """A number that a scan is scored with.

    Attributes:
        key: its name in files.
        title: its name for people.
        unit: ``"%"`` for parts of 1 that people read in per cent, or ``"mm"``.
        higher_is_better: the direction of the statistical tests.
        task: ``"labelling"`` or ``"segmentation"``.
    """

    key: str
    title: str
    unit: str
    higher_is_better: bool
    task: str


MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure("id_rate", "id.rate", "%", True, "labelling"),
        Measure("d_mean", "d_mean", "mm", False, "labelling"),
        Measure("dice", "Dice", "%", True, "segmentation"),
        Measure("hd", "HD", "mm", False, "segmentation"),
        Measure("assd", "ASSD", "mm", False, "segmentation"),
    )
}
"""The four measures of VerSe (section 2.3) and Lessmann's surface distance."""


@dataclass(frozen=True)
class ScanResult:
    """A method on a scan.

    Attributes:
        method, dataset, scan: which.
        annotated: the levels of the truth, from the head down.
        labelling, segmentation: the scores; None if the truth or the method has none for any scan. A scan whose
            prediction is missing or cannot be used is scored as one on which nothing was predicted.
        failures: why the prediction, or a part of it, could not be used, one line each.
        notes: what a reader should know, one line each.
        complete: for levels where both state it: (truth, prediction), whether the vertebra is wholly visible.
    """

    method: str
    dataset: str
    scan: str
    annotated: tuple[Level, ...]
    labelling: LabellingScores | None
    segmentation: SegmentationScores | None
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    complete: dict[Level, tuple[bool, bool]] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[Level, ...]:
        """The annotated levels that were not found: by the labelling or, where there is none, by the segmentation."""
        scores = self.labelling or self.segmentation
        return scores.missing if scores else ()

    @property
    def extra(self) -> tuple[Level, ...]:
        """The levels found beyond the annotated ones, by the same scores."""
        scores = self.labelling or self.segmentation
        return scores.extra if scores else ()

    def takes_part(self, task: str) -> bool:
        """Whether there is a score for ``"labelling"`` or ``"segmentation"``."""
        return getattr(self, task) is not None

    def per_level(self, key: str, challenge: bool = False) -> dict[Level, float]:
        """A measure for every annotated level where it is defined.

        Args:
            key: a key of ``MEASURES``, or ``"mixing"``, which is given for every predicted level.
            challenge: put 1000 mm (d_mean) and 100 mm (HD) for missing vertebrae (VerSe, Appendix A.1).
        """
        labelling, segmentation = self.labelling, self.segmentation
        match key:
            case "id_rate":
                return {level: float(hit) for level, hit in labelling.hits.items()} if labelling else {}
            case "d_mean":
                missing = dict.fromkeys(labelling.missing if labelling and challenge else (), MISSING_DISTANCE)
                return labelling.distances | missing if labelling else {}
            case "hd":
                missing = dict.fromkeys(segmentation.missing if segmentation and challenge else (), MISSING_HAUSDORFF)
                return segmentation.hd | missing if segmentation else {}
            case "dice" | "assd" | "mixing":
                return getattr(segmentation, key) if segmentation else {}
        raise KeyError(key)

    def value(self, key: str, challenge: bool = False) -> float:
        """The scan-level mean of a measure; NaN where it is not defined."""
        return mean(self.per_level(key, challenge).values())

    @property
    def identified_as(self) -> dict[Level, Level]:
        """The name that a method gives to what stands at each annotated vertebra, where it found something.

        With masks this is the vertebra of largest overlap (Lessmann et al. 2019, section 4.2), without them the
        nearest centroid within 20 mm.
        """
        if self.segmentation is not None:
            return {level: name for level, name in self.segmentation.matched.items() if name is not None}
        return self.labelling.named if self.labelling is not None else {}


def score_scan(
    method: str,
    dataset: str,
    scan: str,
    truth: Annotation,
    prediction: Annotation,
    tasks: frozenset[str] = frozenset({"labelling", "segmentation"}),
) -> ScanResult:
    """Score one method on one scan.

    Args:
        method, dataset, scan: names for the result.
        truth: with centroids or a mask that hold a vertebra.
        prediction: what the method delivered; what is missing or unusable in it counts as predicting nothing.
        tasks: those that the method takes part in.
    """
    failures = list(prediction.problems)
    labelling = segmentation = None
    if "labelling" in tasks and truth.centroids:
        centroids = prediction.centroids
        if centroids is None and not failures:
            failures.append(f"{scan}: no centroids and no mask to take them from")
        labelling = labelling_scores(truth.centroids, centroids or Centroids())
    if "segmentation" in tasks and truth.mask is not None:
        segmentation, failure = _segmentation(scan, truth.mask, prediction.mask)
        if failure and (prediction.mask is not None or not failures):
            failures.append(failure)
    levels = {*(labelling.hits if labelling else ()), *(segmentation.dice if segmentation else ())}
    return ScanResult(
        method=method,
        dataset=dataset,
        scan=scan,
        annotated=tuple(sorted(levels, key=lambda level: level.rank)),
        labelling=labelling,
        segmentation=segmentation,
        failures=tuple(failures),
        notes=prediction.notes,
        complete={
            level: (truth.complete[level], prediction.complete[level])
            for level in levels & truth.complete.keys() & prediction.complete.keys()
        },
    )


def _segmentation(
    scan: str, truth: sitk.Image, predicted: sitk.Image | None
) -> tuple[SegmentationScores | None, str | None]:
    """The scores, and why the prediction could not be used."""
    if predicted is None:
        return _nothing_segmented(truth), f"{scan}: no mask was predicted"
    try:
        return segmentation_scores(truth, predicted), None
    except SpineError as error:
        return _nothing_segmented(truth), f"{scan}: {error}"


def _nothing_segmented(truth: sitk.Image) -> SegmentationScores:
    empty = sitk.Image(truth.GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(truth)
    return segmentation_scores(truth, empty)
