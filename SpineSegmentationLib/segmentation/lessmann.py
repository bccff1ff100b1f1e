"""Lessmann's segmenter: one vertebra, with those before it on the traversal's way in memory (2019, section 3)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch

from ..detection.lessmann import BONE, DIRECTION, Network
from ..detection.lessmann_patches import Ask, Fragment, Lattice
from ..resampling import AIR
from ..spine import Point, SpineBox, rounded
from .border import along_bone
from .column import Column
from .mask import HALF, VertebraMask, interpolated, whole

NAME = "lessmann"
BEHIND = np.array([0.0, 20.0, -8.0])  # mm x,y,z from the middle of a body to that of its vertebra
REACH = 140.0  # mm: no mask of a vertebra farther away reaches into the patch
NEAR = 3.0  # mm from a vertebra's voxels to a point that means it
NEAR_BODY = 10.0  # mm from the middle of its body
PASSED = 6  # vertebrae between the memory and the point, of which nobody gave the centroid
ONE_VERTEBRA = 40.0  # mm: no vertebra reaches farther below or above the middle of its body
BODY = 25.0  # mm from its middle, within which most of what is seen is of the body


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

        It is asked with the middle of the vertebra in that of the patch and, unless the body that it finds is at the
        point, with the point there; of two answers the one with the nearer body counts.
        """
        point, best, nearest = np.asarray(position), None, np.inf
        before = [column.mask(p) for p in self.before(position, column)]
        for middle in (position + BEHIND, point):
            lattice = self.lattice(ct, middle)
            for mask in before:
                remember(lattice, mask)
            found = self._found(lattice, point, first=not before)
            away = np.inf if found is None else from_body(point, found, lattice.spacing)
            if away < nearest:
                best, nearest = found, away
            if nearest <= NEAR_BODY:
                break
        return nothing(position) if best is None else mask_of(best, self.network.spacing, ct)

    def _found(self, lattice: Lattice, point: np.ndarray, first: bool) -> Fragment | None:
        """The vertebra at a point (LPS mm), with what the rib network says of it; None when there is none.

        The sacrum is no vertebra's: if the first is the last of the column, what lies below its body is remembered and
        the network asked again.
        """
        fragment = at_point(lattice, self.network, point, self.direction)
        if fragment is None:
            return None
        fragment = self.network.judged(lattice, fragment)
        names = fragment.answer.names
        if first and names is not None and names[-2:].sum() >= 0.5:  # L5 and L6
            lattice.memory |= (lattice.hu > BONE) & below(lattice, fragment, point)
            again = lattice.look(self.network, lattice.corner + lattice.patch // 2)
            if again is not None and means(point, again, lattice.spacing):
                return self.network.judged(lattice, again)
        return fragment

    def lattice(self, ct: sitk.Image, middle: np.ndarray) -> Lattice:
        """The patch round a place (LPS mm)."""
        network = self.network
        first = np.rint(middle / network.spacing) - network.patch // 2
        lower, upper = first * network.spacing, (first + network.patch - 1) * network.spacing
        box = SpineBox(rounded(lower), rounded(upper))
        return Lattice.of(ct, network.spacing, network.patch, box)


def at_point(lattice: Lattice, ask: Ask, point: np.ndarray, direction: int) -> Fragment | None:
    """The vertebra at a point (LPS mm) in the middle of the lattice; None when the network sees none there.

    If the point means none, it is the one that comes nearest to it, within ``NEAR_BODY``.

    Nothing at all may mean that a rest of a vertebra at the patch's end is in the way, as in a scan
    (VerSe paper, section 3.2): then what lies farther off than a vertebra reaches is cut off.
    """
    known = lattice.memory.copy()
    centre = lattice.corner + lattice.patch // 2
    rows = (lattice.corner[0] + np.arange(len(lattice.hu))) * lattice.spacing
    nearest, least = None, NEAR_BODY
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
            if (away := from_voxels(point, fragment, lattice.spacing)) <= least:
                nearest, least = fragment, away
            lattice.remember(fragment)
    return nearest


def means(point: np.ndarray, fragment: Fragment, spacing: float) -> bool:
    """Whether a point (LPS mm) means this vertebra: it lies in it, or near the middle of its body."""
    return from_body(point, fragment, spacing) <= NEAR_BODY or from_voxels(point, fragment, spacing) <= NEAR


def from_voxels(point: np.ndarray, fragment: Fragment, spacing: float) -> float:
    """mm from a point (LPS mm) to the nearest voxel of a vertebra."""
    away = fragment.corner + np.argwhere(fragment.mask) - point[::-1] / spacing
    return float(np.linalg.norm(away, axis=1).min()) * spacing


def from_body(point: np.ndarray, fragment: Fragment, spacing: float) -> float:
    """mm from a point (LPS mm) to the middle of a vertebra's body."""
    return float(np.linalg.norm(fragment.body * spacing - point[::-1]))


def below(lattice: Lattice, fragment: Fragment, point: np.ndarray) -> np.ndarray:
    """Which voxels of a lattice lie below the body of the vertebra at a point (LPS mm); bool (z, y, x).

    The body is flat: its axis is the direction in which what lies near the point reaches least far. It ends at the
    layer of which the mask holds less than half as much as in the middle.
    """
    where = (fragment.corner + np.argwhere(fragment.mask)) * lattice.spacing - point[::-1]
    body = where[np.linalg.norm(where, axis=1) <= BODY]
    if len(body) < 4:
        return np.zeros(lattice.hu.shape, bool)
    middle = body.mean(0)
    axis = np.linalg.eigh(np.cov((body - middle).T))[1][:, 0]
    axis = -axis if axis[0] < 0 else axis
    height = (body - middle) @ axis
    core = np.linalg.norm(body - middle - height[:, None] * axis, axis=1) <= BODY / 2
    layers = np.rint(height[core] / lattice.spacing)
    lowest = 0
    while (layers == lowest - 1).sum() > (layers == 0).sum() / 2:
        lowest -= 1
    grid = (lattice.corner + np.moveaxis(np.indices(lattice.hu.shape), 0, -1)) * lattice.spacing - point[::-1]
    return (grid - middle) @ axis < (lowest - 0.5) * lattice.spacing


def remember(lattice: Lattice, mask: VertebraMask) -> None:
    """Adds to the memory what the network took for a vertebra, with what was cut off its surface later.

    And without what joined it there, which :func:`border.along_bone` gives a value of ``HALF``.
    """
    step = round(lattice.spacing)
    corner = np.array(mask.corner[::-1])
    skipped = -corner % step  # the mask's voxels lie 1 mm apart, and only every second may be on the lattice
    values = mask.probability[tuple(slice(int(s), None, step) for s in skipped)]
    voxels = (values >= HALF - 1) & (values != HALF)
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
    """The mask of a fragment on the 1 mm lattice, its border where bone ends.

    The paper cuts off what is darker than 200 HU there (section 3.1).
    """
    mask = interpolated(fragment.answer.probability, fragment.mask, fragment.corner, spacing)
    return replace(along_bone(mask, ct, round(spacing)), complete=fragment.answer.complete >= 0.5)
