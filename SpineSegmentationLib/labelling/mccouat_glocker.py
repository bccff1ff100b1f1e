"""McCouat and Glocker's labeller: every voxel of the column votes for a vertebra (2019, sections 2.2 and 2.4)."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from .. import weights
from ..anatomy import COLUMN, Level
from ..detection.mccouat_glocker import McCouatGlockerDetector, column
from ..device import Runner
from ..headway import counted
from ..networks.blocks import normalise_hu
from ..networks.mccouat_glocker import DenseIdentificationUNet
from ..resampling import AIR, resample
from ..spine import Centroid, Centroids, SpineBox
from .distances import DISTANCE
from .mccouat_glocker_labels import NUMBER, least_votes, nearest_labels, sparsify
from .sequence import Candidate
from .verdict import unanchored

DOUBT = 0.45  # levels: standard deviation of what the votes for one vertebra miss together
PRIOR = np.array(
    [0.1 if level == Level.T13 else 1.0 for level in COLUMN]
)  # a T13 is rare, and near T12 and L1 in number
PART = 1 / 3  # a candidate has at least this share of the votes that a centroid needs
AT_ONCE = 8  # slabs


class McCouatGlockerLabeller:
    """Names and places the vertebrae inside a spine box."""

    def __init__(self, device: torch.device) -> None:
        self.detector = McCouatGlockerDetector(device)
        network, found = weights.load("mccouat-glocker-labelling", DenseIdentificationUNet, device)
        self.runner = Runner(network, device)
        self.weights = (*self.detector.weights, found)
        self.runners = (*self.detector.runners, self.runner)

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """The centroids of the vertebrae in the box (LPS mm), each with :func:`agreement` as its confidence."""
        image = resample(ct, self.detector.spacing, box)
        numbers, _ = self.votes(torch.from_numpy(sitk.GetArrayFromImage(image)))
        return unanchored(centroids(numbers, image))

    def candidates(self, ct: sitk.Image, box: SpineBox) -> list[Candidate]:
        """As :func:`candidates`, from the votes in the box."""
        image = resample(ct, self.detector.spacing, box)
        return candidates(*self.votes(torch.from_numpy(sitk.GetArrayFromImage(image))), image)

    def votes(self, hu: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The number that every voxel votes for, 0 outside the column, and its probability of being a body; (z, y, x).

        Args:
            hu: at the spacing of the weights.
        """
        probability = self.detector.probability(hu).numpy()
        bodies = column(probability, self.detector.spacing)
        numbers = np.zeros(bodies.shape, np.float32)
        slices = np.flatnonzero(bodies.any((0, 1)))
        for start in counted(range(0, len(slices), AT_ONCE)):
            few = slices[start : start + AT_ONCE]
            slabs = normalise_hu(sagittal_slabs(hu, few))
            predicted = self.runner(lambda network, image: network(image), slabs)[:, 0]
            numbers[:, :, few] = predicted[:, : hu.shape[0], : hu.shape[1]].permute(1, 2, 0).cpu().numpy()
        return numbers.clip(NUMBER[1], NUMBER[-1]) * bodies, probability


def sagittal_slabs(hu: Tensor, slices: np.ndarray) -> Tensor:
    """What the network is asked (N, 8, z, y) about slices x of a volume (z, y, x), sizes filled up to multiples.

    The slice itself is the fourth of its eight. HU in and out; air lies round the volume.
    """
    kind = DenseIdentificationUNet
    before, after = kind.CENTRE, kind.SLICES - 1 - kind.CENTRE
    rows, columns = (-n % kind.MULTIPLE for n in hu.shape[:2])
    padded = functional.pad(hu, (before, after, 0, columns, 0, rows), value=AIR).permute(2, 0, 1)
    return torch.stack([padded[x : x + kind.SLICES] for x in slices])


def centroids(numbers: np.ndarray, image: sitk.Image) -> Centroids:
    """The centroids (LPS mm) that the numbers (z, y, x) on a grid vote for, 0 where no vertebra is."""
    labels = np.where(numbers > 0, nearest_labels(numbers), 0).astype(np.uint8)
    points = []
    for level, place in sparsify(labels, image.GetSpacing()[0]).items():
        confidence = float(agreement(numbers, place, level, image.GetSpacing()[0])[level.rank])
        points.append(Centroid(level, _physical(place, image), confidence))
    return Centroids(tuple(points))


def candidates(numbers: np.ndarray, probability: np.ndarray, image: sitk.Image) -> list[Candidate]:
    """Places where neighbouring voxels vote for one vertebra, even where others far away vote for the same.

    Args:
        numbers: (z, y, x) votes, 0 where no vertebra is; ``probability``: of being a vertebral body.
        image: their grid.

    Returns:
        For every island of enough votes its median place, the mean probability of its voxels times the share that it
        has of the votes a centroid needs, and :func:`agreement` as its levels.
    """
    spacing = image.GetSpacing()[0]
    labels = np.where(numbers > 0, nearest_labels(numbers), 0).astype(np.uint8)
    found = []
    for level, where in zip(COLUMN, ndimage.find_objects(labels, len(COLUMN)), strict=True):
        if where is None:
            continue
        islands, count = ndimage.label(labels[where] == level.rank + 1)
        for number in range(1, count + 1):
            votes = np.argwhere(islands == number) + [axis.start for axis in where]
            share = len(votes) * spacing**3 / least_votes(level)
            if share >= PART:
                place = np.median(votes, axis=0)
                certain = float(probability[tuple(votes.T)].mean()) * min(share, 1.0)
                found.append(Candidate(_physical(place, image), certain, agreement(numbers, place, level, spacing)))
    return found


def agreement(numbers: np.ndarray, place: np.ndarray, level: Level, spacing: float) -> np.ndarray:
    """How much the votes at a place (voxels z,y,x) speak for each level: (26,), sums to one.

    The mean over the voxels in the middle of the vertebra, a third of its height from the place, of a Gaussian round
    each vote times ``PRIOR``. Neighbouring levels have a share even if all agree: the votes of one network err
    together. Without any voxel there every level is as likely.
    """
    reach = DISTANCE[level] / 3 / spacing
    corner = np.maximum(np.floor(place - reach), 0).astype(int)
    near = tuple(slice(low, int(high) + 1) for low, high in zip(corner, np.ceil(place + reach), strict=True))
    offset = np.moveaxis(np.indices(numbers[near].shape), 0, -1) + corner - place
    votes = numbers[near][(np.linalg.norm(offset, axis=-1) <= reach) & (numbers[near] > 0)]
    if len(votes) == 0:
        return np.full(len(COLUMN), 1 / len(COLUMN))
    share = PRIOR * np.exp(-0.5 * ((votes[:, None] - NUMBER[1:]) / DOUBT) ** 2)
    return (share / share.sum(1, keepdims=True)).mean(0)


def _physical(place: np.ndarray, image: sitk.Image) -> tuple[float, float, float]:
    return image.TransformContinuousIndexToPhysicalPoint([float(v) for v in place[::-1]])
