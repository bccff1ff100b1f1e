"""All evidence on one column: projections of the box, heatmaps and patches in three dimensions, the whole scan.

The projections (Btrfly) find the vertebrae and place them along the column, but are blind across it: a vessel full of
contrast beside the bone can draw a centroid sideways. The heatmaps (SpatialConfiguration-Net) are coarser, but three-
dimensional: where they show a vertebra near a candidate, they correct it across; where they show none, it is doubted.
The names come from the projections, from the patch round every candidate (ribs, sacrum, dens, shape) and from the
height in the body that the whole scan shows, each weighed by what it was worth on people whom it had not learnt from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
import torch

from ..anatomy import COLUMN, Level
from ..headway import portion
from ..numbering import Certainty
from ..spine import Centroids, SpineBox
from .anduin import AnduinLabeller
from .context import ContextReader, Heights
from .distances import DISTANCE
from .evidence import Evidence, EvidenceReader
from .landmarks import landmarks
from .payer import PayerLabeller
from .readings import RIBBED
from .sequence import Candidate, best_sequence
from .walk import beyond

HEATMAPS, PROJECTIONS, CONTEXT, PATCHES = (0.0, 0.25), (0.25, 0.65), (0.65, 0.7), (0.7, 0.95)
"""Shares of the time that the evidence takes on a chest, one after the other."""

SURE_OF_ONE = 0.5  # a column of which no vertebra is this likely to be one is none
AIR_BELOW = -300.0  # HU
NEUTRAL = 0.7  # probability of a vertebra that only the patches show
SACRAL = 1.5  # log odds of S1's body where there is some body: the projections do not tell
SUREST = 5.0  # nats: more than this no patch can say against a body

SUREST_RIB = 3.0  # nats: and no more for or against ribs, which may be short or missing

REACH = (30.0, 8.0, 6.0)  # mm to the left and right, front and back, up and down: where the witness looks
SEEN = 0.3  # least probability for the witness to correct a place
FAR = 6.0  # mm across: within it both places are averaged, beyond it the witness's counts


@dataclass(frozen=True)
class Worth:
    """What each kind of evidence counts, 1 for what it says of itself.

    Attributes:
        projections, patch, context: on the level.
        body: of the patch, on whether a place is the centre of a body.
        ribs: of the patch, on whether a name of a vertebra with ribs fits, where vertebrae can be counted.
    """

    projections: float
    patch: float
    context: float
    body: float
    ribs: float


WORTH = Worth(projections=0.6, patch=1.0, context=0.25, body=0.7, ribs=0.85)
"""On the level: chosen among nine settings on 61 views of 22 people whom patches and context had not learnt from (the
projections had from 12 of them); ``body`` by hand; ``ribs`` among four on 124 views of 32 people, of which it changes
none, and 36 phantoms. benchmarks/names.py measures what they bring."""


class Place(NamedTuple):
    """Where the witness sees a vertebra: LPS mm, and with which probability."""

    position: tuple[float, float, float]
    probability: float


class CombinedLabeller:
    """Names and places the vertebrae inside a spine box."""

    usual = False
    """Whether to take it that the person has twelve thoracic and five lumbar vertebrae."""

    def __init__(self, device: torch.device) -> None:
        self.projections, self.witness = AnduinLabeller(device), PayerLabeller(device)
        self.evidence, self.context = EvidenceReader(device), ContextReader(device)
        self.worth = WORTH
        parts = (self.projections, self.witness, self.evidence, self.context)
        self.weights = tuple(found for part in parts for found in part.weights)
        self.runners = tuple(runner for part in parts for runner in part.runners)

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """The centroids of the vertebrae in the box (LPS mm), in the column's order, with the verdict on the names."""
        found = self.candidates(ct, box)
        with portion(*CONTEXT):
            heights = self.context(ct)
        return self.named(ct, box, found, heights)

    def named(self, ct: sitk.Image, box: SpineBox, candidates: list[Candidate], heights: Heights) -> Centroids:
        """The column among candidates and what the patches show beyond them, with the verdict on the names.

        They are certain only where a landmark was recognised and none contradicts: networks that agree may all be
        wrong by one level, and long columns make them sure of it.
        """
        with portion(*PATCHES):
            patch_of = self._hear(ct, heights, candidates)
        column = best_sequence(list(patch_of), self.worth.projections, usual=self.usual)
        bodies = {one.position for one, patch in patch_of.items() if patch.vertebra > 0}
        sure = [point for point in column if point.position in bodies]
        places = np.array([point.position for point in sure]).reshape(-1, 3)
        expected = np.array([DISTANCE[point.level] for point in sure])
        further = beyond(places, expected, lambda asked: self._bodies(ct, box, asked))
        if len(further):
            unnamed = np.full(len(COLUMN), 1 / len(COLUMN))
            patch_of |= self._hear(ct, heights, [Candidate(tuple(place), NEUTRAL, unnamed) for place in further])
            column = best_sequence(list(patch_of), self.worth.projections, usual=self.usual)
        if column.numbering is None:
            return column
        patch_at = {one.position: patch for one, patch in patch_of.items()}
        seen = {p.level: patch_at[p.position] for p in column if p.position in patch_at}
        if max(one.probability for one in patch_of if one.position in {p.position for p in column}) < SURE_OF_ONE:
            return Centroids()
        sacrum = column.numbering.sacrum
        found = landmarks(column.levels, seen, None if sacrum is None else patch_at[sacrum])
        unseen = [
            f"no vertebra was recognised where {level.name} is put" for level in column.levels if level not in seen
        ]
        found = found._replace(against=(*found.against, *unseen, *open_ends(ct, column, sacrum is not None)))
        certainty = column.numbering.certainty
        if certainty is Certainty.CERTAIN and (not found.anchored or found.against):
            certainty = Certainty.DOUBTFUL
        evidence = (*found.phrases, *column.numbering.evidence)
        verdict = replace(column.numbering, certainty=certainty, evidence=evidence)
        return Centroids(column.points, verdict)

    def _hear(self, ct: sitk.Image, heights: Heights, candidates: list[Candidate]) -> dict[Candidate, Evidence]:
        """Candidates with what their surroundings and their height in the body say, and the patches' evidence."""
        positions = np.array([one.position for one in candidates]).reshape(-1, 3)
        patches = self.evidence(ct, positions).rows()
        levels = heights.likelihood(positions)
        return {heard(*each, self.worth): each[1] for each in zip(candidates, patches, levels, strict=True)}

    def _bodies(self, ct: sitk.Image, box: SpineBox, places: np.ndarray) -> np.ndarray:
        """The log odds of a body's centre at places (N, 3) in LPS mm; -inf outside the box."""
        odds = np.full(len(places), -np.inf)
        inside = box.contains(places)
        odds[inside] = self.evidence(ct, places[inside]).vertebra
        return odds

    def candidates(self, ct: sitk.Image, box: SpineBox) -> list[Candidate]:
        """The projections' candidates, each heard together with what the witness sees near it."""
        with portion(*HEATMAPS):
            heatmaps, image = self.witness.seen(ct, box)
        with portion(*PROJECTIONS):
            found = self.projections.candidates(ct, box)
        return [joined(one, near(heatmaps, image, one.position)) for one in found]


def open_ends(ct: sitk.Image, column: Centroids, sacrum: bool) -> list[str]:
    """Phrases on ends of a column beyond which the scan goes on: the next vertebra should have been seen.

    Args:
        sacrum: whether S1 was found below the column; below L5 or L6 it should have been.
    """
    phrases = []
    complete = Level.C1 in column.levels, sacrum
    ends = (("above", column.points), ("below", column.points[::-1]))
    for (where, (end, *others)), closed in zip(ends, complete, strict=True):
        if closed or not others:
            continue
        step = np.subtract(end.position, others[0].position)
        next_one = np.add(end.position, step)
        if _hu(ct, np.add(next_one, 0.4 * step)) > -np.inf and _hu(ct, next_one) > AIR_BELOW:
            missing = "S1 was not" if end.level in (Level.L5, Level.L6) else "nothing was"
            phrases.append(f"{missing} recognised {where} {end.level.name}, though the scan goes on")
    return phrases


def _hu(ct: sitk.Image, position: np.ndarray) -> float:
    """The HU at a place (LPS mm); -inf outside the scan, which may lie askew in its box."""
    index = np.rint(ct.TransformPhysicalPointToContinuousIndex([float(v) for v in position])).astype(int)
    return float(ct[index.tolist()]) if np.all((index >= 0) & (index < ct.GetSize())) else -np.inf


def heard(one: Candidate, patch: Evidence, heights: np.ndarray, worth: Worth = WORTH) -> Candidate:
    """A candidate with what its surroundings (a single row of evidence) and its height (27,) say.

    A place that the patch takes for no body's centre is doubted.
    """
    chance = np.log(len(heights))
    evidence = worth.patch * (patch.levels + chance) + worth.context * (heights + chance)
    doubt = worth.body * max(min(float(patch.vertebra), 0.0), -SUREST)
    p = float(np.clip(one.probability, 1e-3, 1 - 1e-3))
    probability = 1 / (1 + np.exp(-(_odds(p) + doubt)))
    odds = np.clip(np.mean(patch.ribs), -SUREST_RIB, SUREST_RIB)
    ribs = -worth.ribs * np.maximum(np.where(RIBBED, -odds, odds), 0.0)
    return replace(one, probability=float(probability), evidence=evidence, ribs=ribs, sacral=SACRAL + doubt)


def _odds(probability: float) -> float:
    probability = float(np.clip(probability, 1e-6, 1 - 1e-6))
    return float(np.log(probability / (1 - probability)))


def near(heatmaps: np.ndarray, image: sitk.Image, position: tuple[float, float, float]) -> Place | None:
    """The hottest place within ``REACH`` of a position (LPS mm), None outside the image.

    Args:
        heatmaps: (levels, z, y, x) on the grid of ``image``, along the LPS axes.
    """
    centre = np.array(image.TransformPhysicalPointToContinuousIndex(position))
    reach = np.divide(REACH, image.GetSpacing())
    lower = np.maximum(np.floor(centre - reach), 0).astype(int)
    upper = np.minimum(np.ceil(centre + reach) + 1, image.GetSize()).astype(int)
    if np.any(upper <= lower):
        return None
    part = heatmaps[:, lower[2] : upper[2], lower[1] : upper[1], lower[0] : upper[0]]
    heat = part.sum(0)
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    around = tuple(slice(max(i - 1, 0), i + 2) for i in hottest)
    weight = np.clip(heat[around], 1e-6, None)
    offsets = np.indices(weight.shape).reshape(3, -1) @ weight.ravel() / weight.sum()
    index = lower + [a.start + offset for a, offset in zip(around, offsets, strict=True)][::-1]
    place = image.TransformContinuousIndexToPhysicalPoint(index.tolist())
    return Place(place, float(np.clip(heat[hottest], 0, 1)))


def joined(one: Candidate, witness: Place | None) -> Candidate:
    """What is known of a candidate once the witness was heard.

    The probability is the mean of both. Across, the place is the mean of both or, where they are ``FAR`` apart, the
    witness's, if that sees a vertebra at all.
    """
    if witness is None:
        return one
    x, y, z = one.position
    if witness.probability > SEEN:
        across = witness.position[0] - x
        x += across if abs(across) > FAR else across / 2
    return Candidate((float(x), y, z), (one.probability + witness.probability) / 2, one.levels)
