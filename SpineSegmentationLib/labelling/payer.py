"""Payer's labeller: SpatialConfiguration-Net, Markov random field (Payer et al. 2020, sec. 2.2; VerSe paper, 3.2)."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .. import weights
from ..anatomy import COLUMN
from ..device import Runner
from ..headway import counted
from ..networks.blocks import normalise_hu
from ..networks.payer_scn import SpatialConfigurationNet
from ..resampling import resample
from ..spine import Centroid, Centroids, SpineBox, rounded
from . import payer_markov
from .sequence import Candidate, best_sequence
from .variations import averaged
from .verdict import unanchored

FIELD = (256.0, 192.0, 192.0)  # mm z,y,x that the network sees at once
OVERLAP = 0.5  # of parts that follow each other along z; the paper's 3/4 take twice the time
LEAST = 16  # voxels that the network sees along any axis
SAME = 8.0  # mm: maxima of several levels within this distance are of one vertebra
EVIDENCE = 0.1  # weight of a path that makes it e times as likely: not all vertebrae err on their own


class PayerLabeller:
    """Names and places the vertebrae inside a spine box: the network's candidates, named as one column.

    The published choice among them is :class:`PayerMarkovLabeller`'s. There directions from one vertebra to the next
    outweigh what the heatmaps say, and a vertebra more always pays: of twenty people that these weights never saw it
    names a sixth fewer vertebrae right, though more of the validation scans (docs/results.md).
    """

    usual = False
    """Whether to take it that the person has twelve thoracic and five lumbar vertebrae."""

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load("payer-labelling", SpatialConfigurationNet, device)
        self.spacing = network.spacing
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """The centroids of the vertebrae in the box (LPS mm), in the column's order, each with a confidence."""
        return unanchored(best_sequence(self.candidates(ct, box), usual=self.usual))

    def candidates(self, ct: sitk.Image, box: SpineBox) -> list[Candidate]:
        """What the heatmaps say of every place in the box where any of them has a maximum, for :mod:`.sequence`."""
        return [one for one in candidates(*self.seen(ct, box, often=True)) if box.contains(one.position)[0]]

    def seen(self, ct: sitk.Image, box: SpineBox, often: bool = False) -> tuple[np.ndarray, sitk.Image]:
        """The heatmaps (levels, z, y, x) of what :func:`field` shows of the box, and their grid.

        Args:
            often: whether the network is asked several times (:mod:`.variations`).
        """
        image = resample(ct, self.spacing, field(box, SpineBox.of_image(ct), self.spacing))
        hu = torch.from_numpy(sitk.GetArrayFromImage(image))
        return self.averaged(hu) if often else self.heatmaps(hu), image

    def averaged(self, hu: Tensor) -> np.ndarray:
        """As :meth:`heatmaps`, the mean of several answers."""

        def ask(image: Tensor) -> list[Tensor]:
            return [torch.from_numpy(self.heatmaps(image[0, 0]))[None]]

        return averaged(ask, hu.float()[None, None], across=(True,))[0][0].numpy()

    def heatmaps(self, hu: Tensor) -> np.ndarray:
        """(levels, z, y, x), 1 at a centroid, for HU at ``spacing`` (z, y, x): the maximum over overlapping parts."""
        merged = torch.zeros(len(COLUMN), *hu.shape)
        length = round(FIELD[0] / self.spacing)
        for start in counted(starts(hu.shape[0], length)):
            part = normalise_hu(hu[start : start + length])[None, None]
            heat = self.runner(lambda network, image: network(image)[0], part)[0].float().cpu()
            place = merged[:, start : start + length]
            torch.maximum(place, heat, out=place)
        return merged.numpy()


class PayerMarkovLabeller(PayerLabeller):
    """The same, named by the published Markov random field (VerSe'20)."""

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """As :meth:`PayerLabeller.__call__`."""
        found = decode(*self.seen(ct, box))
        return unanchored(Centroids(tuple(point for point in found if box.contains(point.position)[0])))


def field(box: SpineBox, scan: SpineBox, spacing: float) -> SpineBox:
    """What the network looks at: the rows of the box, in the plane ``FIELD`` round its middle as far as the scan goes.

    A wider box is seen whole; air is added to what is narrower than ``LEAST`` voxels.
    """
    middle = np.add(box.lower, box.upper) / 2
    half = np.array([FIELD[2] / 2, FIELD[1] / 2, 0])
    lower = np.maximum(np.minimum(box.lower, middle - half), scan.lower)
    upper = np.minimum(np.maximum(box.upper, middle + half), scan.upper)
    missing = np.maximum(LEAST * spacing - (upper - lower), 0) / 2
    return SpineBox(rounded(lower - missing), rounded(upper + missing))


def starts(total: int, length: int) -> list[int]:
    """First rows of as few parts of ``length`` rows as cover ``total`` and overlap by ``OVERLAP``, evenly spread."""
    count = max(int(np.ceil((total - length) / (length * (1 - OVERLAP)))), 0) + 1
    return [round(start) for start in np.linspace(0, max(total - length, 0), count)]


def decode(heatmaps: np.ndarray, image: sitk.Image) -> Centroids:
    """The column that the Markov random field chooses from heatmaps (levels, z, y, x) on the grid of ``image``.

    Confidence: the share of the paths through the level's candidate among the paths that pass the same place under any
    name, a path counting ``exp(weight / EVIDENCE)``, times the probability of a vertebra there.
    Of two levels at one place the weaker is dropped: it stands for a vertebra that the network overlooked.
    """
    found = payer_markov.maxima(heatmaps, image)
    own = payer_markov.with_neighbours(found)
    unary, pairwise = payer_markov.verse20_weights(own)
    path = [
        (own[level].responses[number], own[level].positions[number], level)
        for level, number in payer_markov.best_path(unary, pairwise).items()
    ]
    sums = payer_markov.log_sums(
        {level: weight / EVIDENCE for level, weight in unary.items()},
        {edge: weight / EVIDENCE for edge, weight in pairwise.items()},
    )
    points: list[Centroid] = []
    for _, position, level in sorted(path, key=lambda step: -step[0]):
        if any(_near(position, point.position) for point in points):
            continue
        here = {
            name: np.logaddexp.reduce(total[[_near(place, position) for place in own[name].positions]])
            for name, total in sums.items()
        }
        share = np.exp(here[level] - np.logaddexp.reduce(list(here.values())))
        probability, _ = _at(heatmaps, image, position)
        points.append(Centroid(level, tuple(position), float(np.clip(share * probability, 0, 1))))
    return Centroids(tuple(points))


def candidates(heatmaps: np.ndarray, image: sitk.Image) -> list[Candidate]:
    """Every maximum of any level's heatmap that is not within ``SAME`` of a higher one, with the levels' shares."""
    places = [
        (response, position)
        for own in payer_markov.maxima(heatmaps, image).values()
        for response, position in zip(own.responses, own.positions, strict=True)
    ]
    kept: list[Candidate] = []
    for _, position in sorted(places, key=lambda place: -place[0]):
        if not any(_near(position, other.position) for other in kept):
            probability, levels = _at(heatmaps, image, position)
            kept.append(Candidate(tuple(position), probability, levels))
    return kept


def _near(a: ArrayLike, b: ArrayLike) -> bool:
    return bool(np.linalg.norm(np.subtract(a, b)) < SAME)


def _at(heatmaps: np.ndarray, image: sitk.Image, position: np.ndarray) -> tuple[float, np.ndarray]:
    """At a place (LPS mm): the probability of a vertebra, which the levels share, and the share of each."""
    z, y, x = (round(v) for v in reversed(image.TransformPhysicalPointToContinuousIndex(list(position))))
    responses = np.clip(heatmaps[:, z, y, x], 1e-6, None)
    return float(np.clip(responses.sum(), 0, 1)), responses / responses.sum()
