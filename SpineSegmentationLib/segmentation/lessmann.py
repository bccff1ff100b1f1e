"""Lessmann's segmenter: one vertebra, with those before it on the traversal's way in memory (2019, section 3)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch

from ..detection.lessmann import DIRECTION, Network
from ..detection.lessmann_patches import Ask, Fragment, Lattice
from ..resampling import AIR
from ..spine import Point, SpineBox, rounded
from .border import hu_of, without_soft_surface
from .column import Column
from .mask import HALF, VertebraMask, interpolated, whole

NAME = "lessmann"
BEHIND = np.array([0.0, 20.0, -8.0])  # mm x,y,z from the middle of a body to that of its vertebra
REACH = 140.0  # mm: no mask of a vertebra farther away reaches into the patch
NEAR = 3.0  # mm from a vertebra's voxels to a point that means it
NEAR_BODY = 10.0  # mm from the middle of its body
PASSED = 6  # vertebrae between the memory and the point, of which nobody gave the centroid
ONE_VERTEBRA = 40.0  # mm: no vertebra reaches farther below or above the middle of its body
SURFACE = 200.0  # HU: less is cut off the surface (section 3.1)


class LessmannSegmenter:
    """Segments the vertebra at a point: the patch stands round it, the memory holds the masks of those before it.

    Where vertebrae before it have no centroid, the network first finds these; they are passed by, up to the one at the
    point. So the mask depends on the point and on the other points alone, whoever set them and in whichever order.
    """

    direction = DIRECTION
    upwards = True
    """From the head down the first vertebra would need the masks of all the others."""

    def __init__(self, device: torch.device, network: Network | None = None) -> None:
        self.network = network or Network(device)
        self.weights, self.runners = self.network.weights, self.network.runners

    def before(self, position: Point, column: Column) -> list[Point]:
        """The other vertebrae that the traversal meets before a position and whose masks may reach into its patch."""
        ahead = [(p[2] - position[2]) * self.direction < 0 for p in column.positions]
        near = [np.linalg.norm(np.subtract(p, position)) <= REACH for p in column.positions]
        return [p for p, a, n in zip(column.positions, ahead, near, strict=True) if a and n]

    def context(self, position: Point, column: Column) -> Hashable:
        """The masks in memory."""
        return tuple(sorted({column.mask(p).digest for p in self.before(position, column)}))

    def __call__(self, ct: sitk.Image, position: Point, column: Column) -> VertebraMask:
        """The mask of the vertebra at ``position`` (LPS mm); empty when the network sees none there.

        It is asked with the middle of the vertebra in that of the patch, and if need be with the point there.
        """
        for middle in (position + BEHIND, np.asarray(position)):
            lattice = self.lattice(ct, middle)
            for p in self.before(position, column):
                remember(lattice, column.mask(p))
            found = at_point(lattice, self.network, np.asarray(position), self.direction)
            if found is not None:
                return mask_of(self.network.judged(lattice, found), lattice.spacing, ct)
        return nothing(position)

    def lattice(self, ct: sitk.Image, middle: np.ndarray) -> Lattice:
        """The patch round a place (LPS mm)."""
        network = self.network
        first = np.rint(middle / network.spacing) - network.patch // 2
        lower, upper = first * network.spacing, (first + network.patch - 1) * network.spacing
        box = SpineBox(rounded(lower), rounded(upper))
        return Lattice.of(ct, network.spacing, network.patch, box)


def at_point(lattice: Lattice, ask: Ask, point: np.ndarray, direction: int) -> Fragment | None:
    """The vertebra at a point (LPS mm) in the middle of the lattice; None when the network sees none there.

    Nothing at all may mean that a rest of a vertebra at the patch's end is in the way, as in a scan
    (VerSe paper, section 3.2): then what lies farther off than a vertebra reaches is cut off.
    """
    known = lattice.memory.copy()
    centre = lattice.corner + lattice.patch // 2
    rows = (lattice.corner[0] + np.arange(len(lattice.hu))) * lattice.spacing
    for cropped in (False, True):
        if cropped:
            lattice.memory[:] = known
            lattice.hu[(rows - point[2]) * direction < -ONE_VERTEBRA] = AIR
        for _ in range(PASSED):
            fragment = lattice.look(ask, centre)
            if fragment is None:
                break
            if means(point, fragment, lattice.spacing):
                return fragment
            lattice.remember(fragment)
    return None


def means(point: np.ndarray, fragment: Fragment, spacing: float) -> bool:
    """Whether a point (LPS mm) means this vertebra: it lies in it, or near the middle of its body."""
    place = point[::-1] / spacing
    if np.linalg.norm(fragment.body - place) * spacing <= NEAR_BODY:
        return True
    away = fragment.corner + np.argwhere(fragment.mask) - place
    return bool(np.linalg.norm(away, axis=1).min() * spacing <= NEAR)


def remember(lattice: Lattice, mask: VertebraMask) -> None:
    """Adds to the memory what the network took for a vertebra, with what was cut off its surface later."""
    step = round(lattice.spacing)
    corner = np.array(mask.corner[::-1])
    skipped = -corner % step  # the mask's voxels lie 1 mm apart, and only every second may be on the lattice
    voxels = mask.probability[tuple(slice(int(s), None, step) for s in skipped)] >= HALF - 1
    first = (corner + skipped) // step - lattice.corner
    low = np.clip(first, 0, lattice.memory.shape)
    high = np.clip(first + voxels.shape, low, lattice.memory.shape)
    here = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    there = tuple(slice(int(a), int(b)) for a, b in zip(low - first, high - first, strict=True))
    lattice.memory[here] |= voxels[there]


def nothing(position: Point) -> VertebraMask:
    """The mask of a place where there is no vertebra."""
    return VertebraMask(np.zeros((1, 1, 1), np.uint8), whole(np.rint(position)))


def mask_of(fragment: Fragment, spacing: float, ct: sitk.Image) -> VertebraMask:
    """The mask of a fragment on the 1 mm lattice, its surface cleaned (section 3.1)."""
    mask = interpolated(fragment.answer.probability, fragment.mask, fragment.corner, spacing)
    cleaned = without_soft_surface(mask.probability, hu_of(ct, mask.corner, mask.probability.shape), SURFACE)
    return replace(mask, probability=cleaned, complete=fragment.answer.complete >= 0.5)
