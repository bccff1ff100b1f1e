"""Anduin's labeller: Btrfly net on projections at 2 mm (VerSe paper, B.3 and Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch import Tensor

from .. import weights
from ..device import Runner
from ..headway import portion
from ..networks.anduin_btrfly import Btrfly
from ..networks.blocks import normalise_hu
from ..resampling import resample
from ..spine import Centroids, SpineBox
from .sequence import Candidate, best_sequence
from .variations import averaged
from .verdict import unanchored

SPACING = 2.0  # mm
THRESHOLD = 0.1  # T_l: least probability of a candidate
SLAB = 8.0  # mm: standard deviation of the weight round the column
REACH = 9.0  # mm: a candidate is the maximum within this distance


def project(hu: Tensor, curve: Tensor) -> tuple[Tensor, Tensor]:
    """Sagittal (3, z, y) and coronal (3, z, x) views of a volume (z, y, x): maximum, mean, and mean along the column.

    The paper uses the maximum alone. The mean keeps what is dark, the lungs and the airway, which tell the level; the
    mean weighted by a Gaussian round the column shows bodies and discs without the ribs in front of them.

    Args:
        hu: in HU at 2 mm.
        curve: (z, 2), where the column runs: y and x in voxels for every row.
    """
    views = []
    for axis, centre in ((2, curve[:, 1]), (1, curve[:, 0])):
        positions = torch.arange(hu.shape[axis], dtype=torch.float32)
        weight = torch.exp(-0.5 * ((positions - centre[:, None]) * SPACING / SLAB).square()) + 1e-6
        weight = weight / weight.sum(1, keepdim=True)
        along = torch.einsum("zyx,zx->zy" if axis == 2 else "zyx,zy->zx", hu, weight)
        views.append(torch.stack([hu.amax(axis), hu.mean(axis), along]))
    return views[0], views[1]


def middle_curve(shape: tuple[int, ...]) -> Tensor:
    """Where the column runs as far as the box (z, y, x) tells: (z, 2), in its middle, nearer to its front."""
    return torch.tensor([0.43 * (shape[1] - 1), 0.5 * (shape[2] - 1)]).repeat(shape[0], 1)


def found_curve(sagittal: np.ndarray, coronal: np.ndarray) -> Tensor:
    """Where the column runs by the level maps of both views: (z, 2), y and x in voxels for every row.

    The centre of mass of "some vertebra" along the rows, smoothed by a Gaussian of 24 mm; rows without any take
    their neighbours', in the end the mean of all.
    """
    columns = []
    for view in (sagittal, coronal):
        mass = 1 - view[0]
        weight, moment = mass.sum(1) + 1e-6, (mass * np.arange(mass.shape[1])).sum(1)
        doubt = 1e-3 * weight.sum()
        near = [ndimage.gaussian_filter1d(values, 24.0 / SPACING, mode="nearest") for values in (moment, weight)]
        columns.append((near[0] + doubt * moment.sum() / weight.sum()) / (near[1] + doubt))
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32))


class AnduinLabeller:
    """Names and places the vertebrae inside a spine box.

    Several networks, trained apart, are asked, and their answers averaged: where a scan can be read in two ways they
    tend to differ, so the mean is right more often, and doubtful where it is not.
    """

    usual = False
    """Whether to take it that the person has twelve thoracic and five lumbar vertebrae."""

    def __init__(self, device: torch.device) -> None:
        committee = weights.load_committee("anduin-labelling", Btrfly, device)
        self.weights = tuple(found for _, found in committee)
        self.runners = tuple(Runner(network, device) for network, _ in committee)

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """The centroids of the vertebrae in the box (LPS mm), in the column's order, each with a confidence."""
        return unanchored(best_sequence(self.candidates(ct, box), usual=self.usual))

    def candidates(self, ct: sitk.Image, box: SpineBox) -> list[Candidate]:
        """As :func:`candidates`, from the views of the box: first of its middle, then along the column found there."""
        image = resample(ct, SPACING, box)
        hu = torch.from_numpy(sitk.GetArrayFromImage(image))
        first = 1 / (1 + len(self.runners))
        with portion(0, first):
            rough = level_maps(self.runners[:1], *project(hu, middle_curve(hu.shape)))
        with portion(first, 1):
            maps = level_maps(self.runners, *project(hu, found_curve(*rough)))
        return candidates(*maps, image)


def level_maps(runners: Sequence[Runner], sagittal: Tensor, coronal: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (1 + levels, z, y) and (1 + levels, z, x) for views in HU.

    The mean over the networks, each asked several times (:mod:`.variations`).
    """
    views = normalise_hu(sagittal)[None], normalise_hu(coronal)[None]
    answers = []
    for number, runner in enumerate(runners):
        with portion(number / len(runners), (number + 1) / len(runners)):
            answers.append([view[0].cpu().numpy() for view in runner(_averaged, *views)])
    side, front = (np.mean(views, axis=0) for views in zip(*answers, strict=True))
    return side, front


def _averaged(network: torch.nn.Module, sagittal: Tensor, coronal: Tensor) -> list[Tensor]:
    def ask(*views: Tensor) -> list[Tensor]:
        return [logits.float().softmax(1) for logits in network(*views)]

    return averaged(ask, sagittal, coronal, across=(False, True))


def candidates(sagittal: np.ndarray, coronal: np.ndarray, image: sitk.Image) -> list[Candidate]:
    """Places where both views see a vertebra: maxima of the outer product of the views, of all levels and of each.

    The product over z, y and x is never built: at a row z its maximum over x is the coronal view's own, so the
    maxima of ``sagittal(z, y) * max_x coronal(z, x)`` are those of the product.

    Args:
        sagittal: (1 + levels, z, y) probabilities, channel 0 background; coronal: (1 + levels, z, x).
        image: the grid the views were projected from.
    """
    side, front = 1 - sagittal[0], 1 - coronal[0]
    product = ndimage.gaussian_filter(side, 0.7) * ndimage.gaussian_filter(front, 0.7).max(1, keepdims=True)
    radius = round(REACH / SPACING)
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    near = rows**2 + columns**2 <= radius**2
    peaks = (product == ndimage.maximum_filter(product, footprint=near)) & (product >= THRESHOLD**2)
    # A level has its own maximum even where the vertebrae run into each other.
    each = sagittal[1:] * coronal[1:].max(2)[:, :, None]
    for level in each:
        place = np.unravel_index(level.argmax(), level.shape)
        if level[place] >= THRESHOLD**2 and not peaks[_window(place, 1)].any():
            peaks[place] = True
    return [_candidate(int(z), int(y), product, sagittal, coronal, image) for z, y in np.argwhere(peaks)]


def _window(place: tuple[int, ...], reach: int) -> tuple[slice, ...]:
    return tuple(slice(max(p - reach, 0), p + reach + 1) for p in place)


def _candidate(
    z: int, y: int, product: np.ndarray, sagittal: np.ndarray, coronal: np.ndarray, image: sitk.Image
) -> Candidate:
    """What the views say at row z and column y: the exact place and the levels, both averaged over 5 pixels."""
    near_z, near_y = _window((z, y), 2)
    front = 1 - coronal[0][near_z].mean(0)
    (near_x,) = _window((int(front.argmax()),), 2)
    masses = (front[near_x], product[near_z, near_y].sum(0), product[near_z, near_y].sum(1))
    starts = (near_x.start, near_y.start, near_z.start)
    index = [s + np.average(np.arange(len(mass)), weights=mass) for s, mass in zip(starts, masses, strict=True)]
    side, face = (view.sum((1, 2)) + 1e-6 for view in (sagittal[1:, near_z, near_y], coronal[1:, near_z, near_x]))
    levels = np.sqrt(side / side.sum() * face / face.sum())
    return Candidate(
        image.TransformContinuousIndexToPhysicalPoint([float(v) for v in index]),
        float(np.sqrt(product[z, y])),
        levels / levels.sum(),
    )
