"""The road: volume, box, centroids, label map. Three stages, and the values between them a person may change."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import SimpleITK as sitk
import torch

from . import device as devices
from .allocator import LARGE, return_freed
from .anatomy import SACRUM, Bone, Level
from .cache import Cache
from .detection.anduin import AnduinDetector
from .detection.attention import AttentionDetector
from .detection.combined import CombinedDetector
from .detection.lessmann import LessmannDetector
from .detection.mccouat_glocker import McCouatGlockerDetector
from .detection.payer import PayerDetector
from .errors import SpineError
from .grid import Grid
from .headway import telling
from .labelling.anduin import AnduinLabeller
from .labelling.combined import CombinedLabeller
from .labelling.further import named_further
from .labelling.lessmann import LessmannLabeller
from .labelling.mccouat_glocker import McCouatGlockerLabeller
from .labelling.payer import PayerLabeller, PayerMarkovLabeller
from .numbering import Certainty
from .parts import whole_of
from .segmentation.anduin import AnduinSegmenter
from .segmentation.attention import AttentionSegmenter
from .segmentation.column import Column, Instances
from .segmentation.confidence import FAILED
from .segmentation.dens import dens, joined, without
from .segmentation.lessmann import LessmannSegmenter
from .segmentation.mask import HALF, Merger, Piece, VertebraMask, paint_part
from .segmentation.payer import PayerSegmenter
from .segmentation.plausibility import odd_sizes, sizes
from .spine import Centroids, Point, SpineBox, rounded
from .systems import DEFAULT, SACRAL, System, named
from .systems import SYSTEMS as SYSTEMS
from .weights import Weights, preferring


class Detector(Protocol):
    """Finds the spine: CT to box (LPS mm), None when the scan shows no spine."""

    @property
    def weights(self) -> tuple[Weights, ...]: ...

    @property
    def runners(self) -> tuple[devices.Runner, ...]: ...

    def __call__(self, ct: sitk.Image) -> SpineBox | None: ...


class Labeller(Protocol):
    """Names the vertebrae: CT and box to centroids (LPS mm) with confidences.

    One that segments vertebrae to find them returns :class:`Instances`, with the masks that a segmenter, too, would
    make at these centroids; they are kept, not computed again.
    """

    @property
    def weights(self) -> tuple[Weights, ...]: ...

    @property
    def runners(self) -> tuple[devices.Runner, ...]: ...

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids: ...


class Segmenter(Protocol):
    """Segments one vertebra: CT, the position of its centroid (LPS mm) and the column it is of to its mask.

    ``context`` is what the mask depends on besides the CT and the position: positions or digests of masks of others in
    the column, or nothing; tuples, texts and numbers in an order of their own, as a scene keeps it
    (:mod:`session.memory`). Names play no part. Where ``upwards`` is there and true, a column is segmented from the
    feet up.
    """

    @property
    def weights(self) -> tuple[Weights, ...]: ...

    @property
    def runners(self) -> tuple[devices.Runner, ...]: ...

    def context(self, position: Point, column: Column) -> Hashable: ...

    def __call__(self, ct: sitk.Image, position: Point, column: Column) -> VertebraMask: ...


DETECTORS: dict[str, Callable[[torch.device], Detector]] = {
    "anduin": AnduinDetector,
    "payer": PayerDetector,
    "combined": CombinedDetector,
    "mccouat-glocker": McCouatGlockerDetector,
    "lessmann": LessmannDetector,
    "attention": AttentionDetector,
}
LABELLERS: dict[str, Callable[[torch.device], Labeller]] = {
    "anduin": AnduinLabeller,
    "payer": PayerLabeller,
    "payer-markov": PayerMarkovLabeller,
    "combined": CombinedLabeller,
    "mccouat-glocker": McCouatGlockerLabeller,
    "lessmann": LessmannLabeller,
}
SEGMENTERS: dict[str, Callable[[torch.device], Segmenter]] = {
    "anduin": AnduinSegmenter,
    "payer": PayerSegmenter,
    "lessmann": LessmannSegmenter,
    "attention": AttentionSegmenter,
}

ASSUMING = ("combined", "anduin", "payer")
"""Labellers whose attribute ``usual`` may be set: the person has twelve thoracic and five lumbar vertebrae."""

APART = 10.0
"""mm; S1 nearer than this to a vertebra is that vertebra, which somebody named otherwise."""

T = TypeVar("T")

STAGES = ("detection", "labelling", "segmentation")


@dataclass(frozen=True)
class Progress:
    """How far a run is: in which stage, and how many of its parts are done: vertebrae, or hundredths of the naming."""

    stage: str
    done: int
    total: int
    level: Bone | None = None


@dataclass(frozen=True)
class Findings:
    """What the stages found, before merging.

    Attributes:
        box: the spine box in LPS mm; None when no spine was found or centroids were given.
        centroids: LPS mm, from the head down.
        masks: of the vertebrae that were segmented, and of the sacrum.
        seconds, weights, warnings: as in :class:`Result`.
        sacrum: as in :class:`Result`.
    """

    box: SpineBox | None
    centroids: Centroids
    masks: Mapping[Bone, VertebraMask]
    seconds: dict[str, float] = field(default_factory=dict)
    weights: dict[str, tuple[Weights, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sacrum: Point | None = None

    @property
    def vertebrae(self) -> dict[Level, VertebraMask]:
        """The masks without that of the sacrum."""
        return {level: mask for level, mask in self.masks.items() if isinstance(level, Level)}

    @property
    def complete(self) -> dict[Level, bool]:
        """Whether the scan shows all of a vertebra, where the segmenter says so."""
        return {level: mask.complete for level, mask in self.vertebrae.items() if mask.complete is not None}

    @property
    def mask_confidence(self) -> dict[Level, float]:
        """How good each mask is likely to be, 0..1, where the segmenter says so."""
        return {level: mask.confidence for level, mask in self.vertebrae.items() if mask.confidence is not None}


@dataclass(frozen=True)
class Result:
    """What a run gives.

    Attributes:
        box: the spine box in LPS mm; None when no spine was found or centroids were given.
        centroids: LPS mm, from the head down.
        part: the label map, uint8 VerSe codes, where it holds vertebrae (:mod:`parts`).
        grid: of the CT.
        seconds: wall time of each stage that ran.
        weights: the weights of each stage that ran.
        warnings: what a person should know, one line each.
        complete: whether the scan shows all of a vertebra, where the segmenter says so.
        mask_confidence: how good each mask is likely to be, 0..1, where the segmenter says so.
        sacrum: the centre of S1 (LPS mm) from which the sacrum was segmented; None where it was not.
    """

    box: SpineBox | None
    centroids: Centroids
    part: sitk.Image
    grid: Grid
    seconds: dict[str, float] = field(default_factory=dict)
    weights: dict[str, tuple[Weights, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    complete: Mapping[Level, bool] = field(default_factory=dict)
    mask_confidence: Mapping[Level, float] = field(default_factory=dict)
    sacrum: Point | None = None

    @property
    def label_map(self) -> sitk.Image:
        """All of the label map, on the grid of the CT; made when it is asked for."""
        return whole_of(self.part, self.grid)


def _named(kind: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise SpineError(f"{kind} {name!r} is unknown; known are {', '.join(table)}")
    return table[name]


class Pipeline:
    """A system on a device; keeps its networks loaded from scan to scan.

    Args:
        system: a name in ``SYSTEMS``.
        device: as :func:`device.choose`.
        weights: a folder that ``train`` wrote; what is not there comes from the shipped weights.
        detector, labeller, segmenter: names in ``DETECTORS``, ``LABELLERS`` and ``SEGMENTERS``, instead of the
            system's own.
        assume_usual: name no T13 and no L6, and let no T12 be missing.

    Attributes:
        stages: the names of the three stages.

    Raises:
        SpineError: unknown system, stage or device, or a labeller that cannot assume that.
    """

    def __init__(
        self,
        system: str = DEFAULT,
        device: str = "auto",
        *,
        weights: Path | None = None,
        detector: str | None = None,
        labeller: str | None = None,
        segmenter: str | None = None,
        assume_usual: bool = False,
    ) -> None:
        own = named(system, weights)
        self.system = system
        self.stages = System(detector or own.detector, labeller or own.labeller, segmenter or own.segmenter)
        self.device = devices.choose(device)
        self.weights = weights
        self._makers: dict[str, Callable[[torch.device], Detector | Labeller | Segmenter]] = {
            "detection": _named("detector", self.stages.detector, DETECTORS),
            "labelling": _named("labeller", self.stages.labeller, LABELLERS),
            "segmentation": _named("segmenter", self.stages.segmenter, SEGMENTERS),
        }
        if assume_usual and self.stages.labeller not in ASSUMING:
            able = ", ".join(ASSUMING)
            raise SpineError(f"the labeller {self.stages.labeller} cannot assume a usual column; able are {able}")
        self.assume_usual = assume_usual
        self._made: dict[str, Detector | Labeller | Segmenter] = {}

    def stage(self, name: str) -> Detector | Labeller | Segmenter:
        """The stage of that name, its weights loaded when it is first asked for.

        Raises:
            SpineError: weights missing or damaged.
        """
        if name not in self._made:
            with preferring(self.weights):
                made = self._makers[name](self.device)
            if name == "labelling" and self.assume_usual:
                assert isinstance(made, (AnduinLabeller, CombinedLabeller, PayerLabeller))  # ASSUMING
                made.usual = True
            self._made[name] = made
        return self._made[name]

    def require_sacrum(self) -> None:
        """Raises SpineError where the sacrum cannot be segmented, as these stages do not know it."""
        for role in self.stages.strange_to_sacrum:
            raise SpineError(f"the {role} {self.stages.stages[role]} does not know the sacrum; {SACRAL[role]} does")

    def run(
        self,
        ct: sitk.Image,
        *,
        box: SpineBox | None = None,
        centroids: Centroids | None = None,
        only: Iterable[Level] | None = None,
        until: str = "segmentation",
        sacrum: bool | Point = False,
        progress: Callable[[Progress], None] = lambda step: None,
    ) -> Result:
        """Runs the stages that are not replaced by a given value.

        Args:
            ct: 3D, HU.
            box: replaces detection. A box that misses the scan finds nothing. Where detection ends too early its box is
                made longer (:mod:`labelling.further`); this one is not.
            centroids: replace detection and labelling.
            only: segment these levels alone (the centroids still hold all).
            until: the last stage to run: ``"detection"``, ``"labelling"`` or ``"segmentation"``.
            sacrum: segment the sacrum, too, as far as a patch round S1 shows it: where the labelling saw S1, or where
                this place says it is (LPS mm). None is there if S1 lies outside of scan or box.
            progress: called before every stage, after every vertebra, and within the labelling; what it raises ends the
                run.

        Raises:
            SpineError: weights missing or damaged, or as :meth:`require_sacrum`.
        """

        def tell(step: Progress) -> None:
            return_freed(LARGE)  # or each part would lie beside what is left of those before it
            progress(step)

        found = self.find(ct, box=box, centroids=centroids, only=only, until=until, sacrum=sacrum, progress=tell)
        start = time.perf_counter()
        pieces = Merger(ct).pieces(found.masks)
        part = paint_part(pieces, ct)
        seconds = {**found.seconds, "merging": time.perf_counter() - start} if found.masks else found.seconds
        odd = odd_sizes(sizes(part, found.centroids)) if found.masks else {}
        warnings = [*found.warnings, *lost(found.masks, pieces),
                    *(f"{level.name}: look at its mask, {what} of what its neighbours suggest"
                      for level, what in odd.items())]  # fmt: skip
        return Result(found.box, found.centroids, part, Grid.of(ct), seconds, found.weights, tuple(warnings),
                      found.complete, found.mask_confidence, found.sacrum)  # fmt: skip

    def find(
        self,
        ct: sitk.Image,
        *,
        box: SpineBox | None = None,
        centroids: Centroids | None = None,
        only: Iterable[Level] | None = None,
        until: str = "segmentation",
        sacrum: bool | Point = False,
        progress: Callable[[Progress], None] = lambda step: None,
        show: Callable[[Findings], None] = lambda findings: None,
        known: Cache[VertebraMask] | None = None,
    ) -> Findings:
        """As :meth:`run`, without merging.

        Args:
            show: called with what was found so far: after detection, after labelling, and after every vertebra.
            known: the masks of earlier runs on the same scan, by what they were computed from, which are not computed
                again; those that a labeller found are put there, too.
        """
        if sacrum:
            self.require_sacrum()
        known = Cache(256) if known is None else known
        seconds: dict[str, float] = {}
        used: dict[str, tuple[Weights, ...]] = {}
        warnings: list[str] = []

        def timed(name: str, total: int, compute: Callable[[Any], T]) -> T:
            progress(Progress(name, 0, total))
            stage = self.stage(name)
            start = time.perf_counter()
            value = compute(stage)
            if name != "segmentation":  # a correction is only that, and may not wait
                return_freed(LARGE)
            seconds[name] = time.perf_counter() - start
            used[name] = stage.weights
            for runner in stage.runners:
                warnings.extend(runner.warnings)
                runner.warnings.clear()
            return value

        scan = SpineBox.of_image(ct)
        if centroids is not None and not centroids:
            warnings.append("the centroids given hold no vertebra: nothing to segment")
        if centroids is None:
            detected = box is None
            if box is None:
                box = timed("detection", 1, lambda detect: detect(ct))
                if box is None:
                    warnings.append("no spine was found in this scan")
                else:
                    show(Findings(box, Centroids(), {}))
            elif box.intersection(scan) is None:
                warnings.append("the spine box lies outside the scan: nothing to label in it")
                box = None
            centroids = Centroids()
            if box is not None and until != "detection":
                inside = box.intersection(scan)
                assert inside is not None  # a box that misses the scan was told above

                def named(label: Labeller, inside: SpineBox = inside) -> tuple[SpineBox, Centroids]:
                    def again(longer: SpineBox) -> Centroids:
                        progress(Progress("labelling", 100, 100))
                        with telling(lambda share: progress(Progress("labelling", 100, 100))):
                            return label(ct, longer)

                    with telling(lambda share: progress(Progress("labelling", int(100 * share), 100))):
                        column = label(ct, inside)
                    if not detected or isinstance(column, Instances):  # which was followed wherever it goes
                        return inside, column
                    return named_further(again, inside, column, scan)

                seen, centroids = timed("labelling", 1, named)
                box = seen if detected else box
                if isinstance(centroids, Instances):
                    for key, mask in centroids.masks.items():
                        known.put(key, mask)
                    centroids = Centroids(centroids.points, centroids.numbering)
                if not centroids:
                    warnings.append("no vertebra was recognised in the spine box")
                elif centroids.numbering and centroids.numbering.certainty is not Certainty.CERTAIN:
                    warnings.append(centroids.numbering.sentence)
            show(Findings(box, centroids, {}))
        wanted = centroids if only is None else centroids.only(only)
        for level in sorted(set(only or ()) - set(wanted.levels), key=lambda level: level.rank):
            warnings.append(f"{level.name} was asked for but is not among the centroids")
        masks: dict[Bone, VertebraMask] = {}
        first_sacral = _first_sacral(sacrum, centroids, box.intersection(scan) if box else scan)
        if until == "segmentation" and wanted:
            outside = wanted.positions[~scan.contains(wanted.positions)]
            if len(outside):
                warnings.append(f"{len(outside)} centroids lie outside the scan: nothing to segment there")

            def segment(stage: Segmenter) -> None:
                within = centroids.positions[scan.contains(centroids.positions)]
                column = Column(ct, self.stages.segmenter, stage, map(tuple, within.tolist()), known)
                places = {p.level: p.position for p in centroids if scan.contains(np.array(p.position))[0]}
                order = wanted.points[::-1] if getattr(stage, "upwards", False) else wanted.points
                for number, centroid in enumerate(order, start=1):
                    if centroid.level in places:
                        masks[centroid.level] = _mask(column, centroid.level, places, known)
                        show(Findings(box, centroids, dict(masks)))
                    progress(Progress("segmentation", number, total, centroid.level))
                if first_sacral:
                    masks[SACRUM] = column.mask(first_sacral)
                    show(Findings(box, centroids, dict(masks)))
                    progress(Progress("segmentation", total, total, SACRUM))

            total = len(wanted) + bool(first_sacral)
            timed("segmentation", total, segment)
            masks = dict(sorted(masks.items(), key=lambda item: item[0].rank))
        for level in wanted.levels if masks else ():
            if level not in masks or not np.any(masks[level].probability >= HALF):
                warnings.append(f"{level.name}: no bone was found at its centroid")
            elif (sure := masks[level].confidence) is not None and sure < FAILED:
                warnings.append(f"{level.name}: its mask may have failed (confidence {sure:.2f}); look at it")
        drawn = first_sacral if SACRUM in masks else None
        if drawn:
            warnings.append("the sacrum's mask is rough on real CT: look at its upper end before you measure to S1")
        return Findings(box, centroids, masks, seconds, used, tuple(warnings), drawn)


def lost(masks: Mapping[Bone, VertebraMask], pieces: Mapping[Bone, Piece]) -> tuple[str, ...]:
    """A line on every mask with bone of which no voxel is left in the label map."""
    empty = [bone for bone, mask in masks.items() if np.any(mask.probability >= HALF) and not pieces[bone].bits.size]
    return tuple(
        f"{bone.name}: no voxel is left to it; another vertebra lies at its place, or the scan ends there"
        for bone in empty
    )


def _mask(column: Column, level: Level, places: Mapping[Level, Point], known: Cache[VertebraMask]) -> VertebraMask:
    """The mask of a vertebra of the column; where C1 and C2 are there, the dens is C2's."""
    mask = column.mask(places[level])
    if level not in (Level.C1, Level.C2) or Level.C1 not in places or Level.C2 not in places:
        return mask
    upper, lower = places[Level.C1], places[Level.C2]
    part = known.get(
        ("dens", column.key(upper), column.key(lower)),
        lambda: dens(column.ct, column.mask(upper), column.mask(lower), upper, lower),
    )
    return without(mask, part) if level is Level.C1 else joined(mask, part)


def _first_sacral(sacrum: bool | Point, centroids: Centroids, seen: SpineBox | None) -> Point | None:
    """The place of S1 that is asked for (see :meth:`Pipeline.run`), if it is seen and no vertebra is there."""
    place = (centroids.numbering.sacrum if centroids.numbering else None) if isinstance(sacrum, bool) else sacrum
    if not sacrum or place is None or seen is None or not seen.contains([place])[0]:
        return None
    return rounded(place) if np.all(np.linalg.norm(centroids.positions - place, axis=1) >= APART) else None
