"""All measures of one scan: the vertebrae, what their neighbours tell of them, and how they stand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import COLUMN, S1, SACRUM, Level, may_follow
from ..cache import Cache
from ..headway import counted
from ..numbering import Numbering
from ..spine import Centroids
from .alignment import Curve, Segment, Stance, kyphosis, largest_cobb, lordosis, segment_of
from .body import EndPlate
from .density import Calibration, statement_on_bmd, statement_on_l1
from .fracture import Deformity, deformities
from .local_mask import Place
from .quantity import Quantity, missing
from .sacrum import sacral_plate
from .vertebra import Vertebra, body_voxels, measure_vertebra

KYPHOTIC = tuple(level.name for level in COLUMN if Level.T4.rank <= level.rank <= Level.T13.rank)

ROOM = 25.0
"""mm between end-plates: no disc is that high, and a vertebra with its two discs takes more."""


@dataclass(frozen=True, eq=False)
class Measures:
    """What is measured on one scan.

    Attributes:
        vertebrae: from the head down.
        deformities: loss of height of each.
        segments: neighbouring bones with the disc between them, from the head down, the sacrum included.
        cobb, kyphosis, lordosis_l5, lordosis_s1: curves, lying.
        lumbar_hu: mean of the vertebrae L1 to L4 that are seen, sound and free of metal and cement.
        sacrum: its upper end-plate; None where the label map has none.
        numbering: the labeller's verdict on the names; None when a person set them.
        calibration: of the density; None without.
        spacing: mm, of the label map.
    """

    vertebrae: tuple[Vertebra, ...]
    deformities: Mapping[Level, Deformity]
    segments: tuple[Segment, ...]
    cobb: Curve
    kyphosis: Curve
    lordosis_l5: Curve
    lordosis_s1: Curve
    lumbar_hu: Quantity
    sacrum: EndPlate | None
    numbering: Numbering | None
    calibration: Calibration | None
    spacing: tuple[float, float, float]

    def __getitem__(self, level: Level) -> Vertebra:
        """Raises KeyError when the level is not there."""
        for vertebra in self.vertebrae:
            if vertebra.level == level:
                return vertebra
        raise KeyError(Level(level).name)

    def confidence(self, *names: str) -> float:
        """How sure it is that bones bear the names by which a measure is defined, 0..1; NaN when that is unknown.

        The least confidence of the names, and no more than the probability of the whole reading.
        """
        sure = [vertebra.confidence for vertebra in self.vertebrae if vertebra.level.name in names]
        if self.numbering is not None and self.numbering.readings:
            sure.append(self.numbering.readings[0].probability)
        return min(sure, default=float("nan"))

    @property
    def statements(self) -> tuple[str, ...]:
        """What published thresholds say, one line each, and what makes it doubtful."""
        l1 = next((vertebra for vertebra in self.vertebrae if vertebra.level is Level.L1), None)
        if l1 is None or not l1.density.mean:
            return ()
        doubts = self.doubts(l1)
        if self.numbering is not None and self.numbering.certainty.value != "certain":
            doubts = (f"the names are {self.numbering.certainty.value}", *doubts)
        lines = [f"{statement_on_l1(l1.density.mean.value)}; Pickhardt et al. 2013, for 120 kV"]
        if self.calibration is not None:
            lines.append(f"L1 {statement_on_bmd(l1.density.calibrated(self.calibration).value)}")
        return tuple(line + (f" — doubtful: {', '.join(doubts)}" if doubts else "") for line in lines)

    def doubts(self, vertebra: Vertebra) -> tuple[str, ...]:
        """Why the density of a vertebra may be false."""
        density, deformity = vertebra.density, self.deformities[vertebra.level]
        return tuple(
            word
            for word, there in (
                ("metal", density.metal),
                ("cement or very dense bone", density.cement),
                ("contrast in the vessels", density.contrast),
                ("fractured", bool(deformity.grade)),
            )
            if there
        )


def measure(
    ct: sitk.Image,
    label_map: sitk.Image,
    centroids: Centroids,
    complete: Mapping[Level, bool] | None = None,
    calibration: Calibration | None = None,
    known: Cache[Vertebra] | None = None,
    mask_confidence: Mapping[Level, float] | None = None,
) -> Measures:
    """Measures every vertebra of a label map, from the head down, and the column.

    Args:
        ct: HU; only its values count, it may lie on another grid than the label map.
        label_map: uint8 VerSe codes; the sacrum (26) is used where it is there.
        centroids: LPS mm. A vertebra without one gets volume and completeness alone.
        complete: what a segmenter said of completeness; where it said nothing the border of the scan decides.
        calibration: HU to mg/cm3.
        known: vertebrae of earlier calls on the same scan; only those that changed are measured anew.
        mask_confidence: what a segmenter said of its masks.
    """
    known, said, sure = Cache(1) if known is None else known, complete or {}, mask_confidence or {}
    labels = sitk.GetArrayViewFromImage(label_map)
    places = ndimage.find_objects(labels, max_label=max(Level))
    found = sorted((level for level in Level if places[level - 1] is not None), key=lambda level: level.rank)
    vertebrae = []
    for level in counted(found):
        measured = partial(measure_vertebra, ct, label_map, level, places[level - 1], centroids)
        key = (level, _mask_key(labels, level, places[level - 1]), _near(level, centroids))
        vertebra = known.get(key, measured)
        vertebrae.append(
            replace(vertebra, complete=said.get(level, vertebra.complete), mask_confidence=sure.get(level, math.nan))
        )
    lost = deformities({vertebra.level: vertebra.heights for vertebra in vertebrae})
    stances = [_stance(vertebra) for vertebra in vertebrae]
    trunk = [stance for stance in stances if stance.name[0] in "TL"]
    bottom = next((one for one in reversed(vertebrae) if one.level.region == "lumbar" and one.body is not None), None)
    sacrum = None
    if places[SACRUM - 1] is not None and bottom and bottom.body and bottom.level.rank >= Level.L4.rank:
        sacrum = sacral_plate(label_map, places[SACRUM - 1], bottom.body)
        if sacrum is not None:
            stances.append(Stance("S1", sacrum, None, bottom.thickness, sacrum.centre))
    column = {stance.name: stance for stance in stances}
    last = "L6" if "L6" in column else "L5"
    return Measures(
        tuple(vertebrae),
        lost,
        tuple(segment_of(a, b) for a, b in zip(stances, stances[1:], strict=False) if _follow(a, b, centroids)),
        largest_cobb(trunk),
        kyphosis(column, KYPHOTIC),
        lordosis(column, "L1", last),
        lordosis(column, "L1", "S1"),
        _lumbar_hu(vertebrae, lost),
        sacrum,
        centroids.numbering,
        calibration,
        label_map.GetSpacing(),
    )


def body_map(label_map: sitk.Image, measures: Measures) -> sitk.Image:
    """A label map of the vertebral bodies alone, without their arches, on the same grid and with the same codes."""
    labels = sitk.GetArrayViewFromImage(label_map)
    places = ndimage.find_objects(labels, max_label=max(Level))
    bodies = np.zeros_like(labels)
    for vertebra in measures.vertebrae:
        place = places[vertebra.level - 1]
        bodies[place][body_voxels(label_map, vertebra, place)] = vertebra.level
    image = sitk.GetImageFromArray(bodies)
    image.CopyInformation(label_map)
    return image


def _mask_key(labels: np.ndarray, level: Level, place: Place) -> tuple:
    bits = np.packbits(labels[place] == level)
    return tuple((axis.start, axis.stop) for axis in place), bits.tobytes()


def _near(level: Level, centroids: Centroids) -> tuple:
    """The centroids on which the measures of a vertebra depend: its own and its neighbours'."""
    if level not in centroids:
        return ()
    here = centroids.points.index(centroids[level])
    return centroids.points[max(here - 1, 0) : here + 2]


def _stance(vertebra: Vertebra) -> Stance:
    if vertebra.body is None:
        return Stance(vertebra.level.name, None, None, np.inf, np.full(3, np.nan))
    body = vertebra.body
    return Stance(vertebra.level.name, body.upper, body.lower, vertebra.thickness, body.frame.origin)


def _follow(upper: Stance, lower: Stance, centroids: Centroids) -> bool:
    """Whether two bones are neighbours: T12 and L1, or T11 and L1, only if no vertebra without a mask lies between."""
    first = Level[upper.name]
    last = S1 if lower.name == "S1" else Level[lower.name].rank
    if any(first.rank < level.rank < last for level in centroids.levels):
        return False
    above, below = upper.lower, lower.upper
    if last - first.rank > 1 and above and below and np.linalg.norm(above.centre - below.centre) > ROOM:
        return False
    return first.rank >= Level.L4.rank if last == S1 else may_follow(first, Level[lower.name])


def _lumbar_hu(vertebrae: list[Vertebra], lost: Mapping[Level, Deformity]) -> Quantity:
    used = [
        vertebra.density.mean
        for vertebra in vertebrae
        if Level.L1 <= vertebra.level <= Level.L4
        and vertebra.density.mean
        and not (vertebra.density.metal or vertebra.density.cement or lost[vertebra.level].grade)
    ]
    if not used:
        return missing("none of L1 to L4 is seen, sound and free of metal and cement")
    errors = np.array([part.uncertainty for part in used])
    return Quantity(float(np.mean([part.value for part in used])), float(np.sqrt(np.sum(errors**2))) / len(used))
