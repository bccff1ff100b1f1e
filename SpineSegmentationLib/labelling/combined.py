"""Two labellers asked about one box: Btrfly names and places the column, the SpatialConfiguration-Net is its witness.

The projections are sharp along the column but blind across it: a vessel full of contrast beside the bone can draw a
centroid sideways. The heatmaps are coarser, but three-dimensional. Where they show a vertebra near a candidate of the
projections, they correct it across; where they show none, it is doubted. The name is left to the projections, which
know it far better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
import torch

from ..spine import Centroids, SpineBox
from .anduin import AnduinLabeller
from .payer import PayerLabeller
from .sequence import Candidate, best_sequence

REACH = (30.0, 8.0, 6.0)  # mm to the left and right, front and back, up and down: where the witness looks
SEEN = 0.3  # least probability for the witness to correct a place
FAR = 6.0  # mm across: within it both places are averaged, beyond it the witness's counts


class Place(NamedTuple):
    """Where the witness sees a vertebra: LPS mm, and with which probability."""

    position: tuple[float, float, float]
    probability: float


class CombinedLabeller:
    """Names and places the vertebrae inside a spine box."""

    def __init__(self, device: torch.device) -> None:
        self.projections, self.witness = AnduinLabeller(device), PayerLabeller(device)
        self.weights = (*self.projections.weights, *self.witness.weights)
        self.runners = (*self.projections.runners, *self.witness.runners)

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """The centroids of the vertebrae in the box (LPS mm), in the column's order, each with a confidence."""
        return best_sequence(self.candidates(ct, box))

    def candidates(self, ct: sitk.Image, box: SpineBox) -> list[Candidate]:
        """The projections' candidates, each heard together with what the witness sees near it."""
        heatmaps, image = self.witness.seen(ct, box)
        return [joined(one, near(heatmaps, image, one.position)) for one in self.projections.candidates(ct, box)]


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
