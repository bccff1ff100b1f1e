"""Sekuboyina's segmenter: a mask of the whole spine (2017, section 2.2), split into vertebrae from their centroids."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Hashable

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from .. import weights
from ..detection.attention import THRESHOLD, AttentionDetector, diffused
from ..device import Runner
from ..networks.attention import SegmentationNet
from ..networks.blocks import normalise_hu
from ..resampling import AIR, resample
from ..spine import Point, SpineBox, rounded
from .border import along_bone
from .column import Column
from .mask import VertebraMask, interpolated

BORDER = (16, 16, 2)  # voxels z,y,x of a block's result that are discarded on every side: blocks overlap
WINDOW = np.array([144.0, 128.0, 160.0])  # mm x,y,z: any vertebra fits
BEHIND = np.array([0.0, 20.0, -8.0])  # mm x,y,z from the middle of a body to that of its vertebra
REACH = 130.0  # mm: vertebrae farther away do not reach into the window
LONE = 26.0  # mm to the next vertebra where no second centroid tells
GAP = 1.6  # so much more than the usual distance means that a vertebra between has no centroid
NEAR = 10.0  # mm from a centroid to the bone that it means
WIDE = 4.0  # mm within the bone: deeper, the way is not quicker


class AttentionSegmenter:
    """Segments the spine, block by block, and gives each vertebra its part."""

    def __init__(self, device: torch.device) -> None:
        self.attention = AttentionDetector(device)
        network, found = weights.load("attention-segmentation", SegmentationNet, device)
        self.spacing, self.block = network.spacing, network.block
        self.runner = Runner(network, device)
        self.weights = (*self.attention.weights, found)
        self.runners = (*self.attention.runners, self.runner)
        self._scan: tuple[weakref.ref[sitk.Image], SpineMap] | None = None

    def context(self, position: Point, column: Column) -> Hashable:
        """Where the vertebrae nearby are, from which the ways through bone are measured, too."""
        return tuple(near(position, column))

    def __call__(self, ct: sitk.Image, position: Point, column: Column) -> VertebraMask:
        """The part of the spine that belongs to the vertebra at ``position`` (LPS mm)."""
        first = np.rint((position + BEHIND - WINDOW / 2) / self.spacing)[::-1].astype(int)
        shape = np.rint(WINDOW[::-1] / self.spacing).astype(int)
        probability = self.map_of(ct).part(first, tuple(shape))
        own, *others = (np.array(p)[::-1] / self.spacing - first for p in (position, *near(position, column)))
        region = part_of(probability >= 0.5, own, np.array(others).reshape(-1, 3), self.spacing)
        return along_bone(interpolated(probability, region, first, self.spacing), ct, round(self.spacing))

    def map_of(self, ct: sitk.Image) -> SpineMap:
        """The map of a scan; that of the last one is kept, for all its vertebrae share the blocks."""
        if self._scan is None or self._scan[0]() is not ct:
            self._scan = weakref.ref(ct), SpineMap(ct, self.spacing, self.block, self.attention.attention(ct), self.ask)
        return self._scan[1]

    def ask(self, hu: np.ndarray) -> np.ndarray:
        """Probability of spine in a block of HU, both (z, y, x)."""
        image = normalise_hu(torch.from_numpy(diffused(hu)))[None, None]
        return self.runner(lambda network, block: network(block), image).float().sigmoid()[0, 0].cpu().numpy()


class SpineMap:
    """The probability of spine in a scan, computed where it is asked for, on blocks that lie at fixed places.

    Fused late with the attention map, which clears bone away from the spine (section 2.2); where that shows no spine in
    a block, the network need not be asked.

    Args:
        ct: 3D, HU.
        spacing: mm; ``block``: size z,y,x in voxels.
        attention: see :meth:`AttentionDetector.attention`.
        ask: HU of a block to its probability, both (z, y, x).
    """

    def __init__(
        self,
        ct: sitk.Image,
        spacing: float,
        block: tuple[int, int, int],
        attention: sitk.Image,
        ask: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        # No second name for the scan: the segmenter asks whether anybody else still has it.
        self._ct, self.spacing, self.attention, self.ask = weakref.ref(ct), spacing, attention, ask
        self.block = np.array(block)
        self.step = self.block - 2 * np.array(BORDER)
        self._blocks: dict[tuple[int, ...], np.ndarray | None] = {}

    def part(self, first: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The probability (z, y, x) of a part of the lattice that begins at position ``first`` (z,y,x)."""
        result = np.zeros(shape, np.float32)
        last = first + shape
        ranges = [range(int(a // s), int((b - 1) // s) + 1) for a, b, s in zip(first, last, self.step, strict=True)]
        for index in itertools.product(*ranges):
            values = self.inner(index)
            if values is None:
                continue
            start = np.array(index) * self.step
            low, high = np.maximum(start, first), np.minimum(start + self.step, last)
            here = tuple(slice(a, b) for a, b in zip(low - first, high - first, strict=True))
            there = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
            result[here] = values[there]
        return result

    def inner(self, index: tuple[int, ...]) -> np.ndarray | None:
        """The probability (z, y, x) in a block without its borders; None where no spine can be."""
        if index not in self._blocks:
            start = np.array(index) * self.step
            allowed = self.allowed(start)
            if not allowed.any():
                self._blocks[index] = None
            else:
                inner = tuple(slice(b, b + s) for b, s in zip(BORDER, self.step.tolist(), strict=True))
                self._blocks[index] = self.ask(self.hu(start - BORDER))[inner] * allowed
        return self._blocks[index]

    def hu(self, first: np.ndarray) -> np.ndarray:
        """The block (z, y, x) of the scan that begins at a lattice position; air beyond the scan."""
        lower = first[::-1] * self.spacing
        ct = self._ct()
        assert ct is not None
        upper = lower + (self.block[::-1] - 1) * self.spacing
        image = resample(ct, self.spacing, SpineBox(rounded(lower), rounded(upper)), AIR)
        return sitk.GetArrayFromImage(image)

    def allowed(self, first: np.ndarray) -> np.ndarray:
        """Where the attention map sees spine, bool (z, y, x), in the inner part of a block."""
        grid = sitk.Image([int(n) for n in self.step[::-1]], sitk.sitkFloat32)
        grid.SetSpacing((self.spacing,) * 3)
        grid.SetOrigin((first[::-1] * self.spacing).tolist())
        shares = sitk.Resample(self.attention, grid, sitk.Transform(), sitk.sitkLinear, 0.0)
        return sitk.GetArrayFromImage(shares) > THRESHOLD


def near(position: Point, column: Column) -> list[Point]:
    """The places of the other vertebrae whose parts may meet that of the one at a position, from the head down."""
    others = {p for p in column.positions if p != position and np.linalg.norm(np.subtract(p, position)) <= REACH}
    return sorted(others, key=lambda p: (-p[2], p))


def overlooked(points: np.ndarray, spacing: float) -> np.ndarray:
    """Where vertebrae may be that nobody set a centroid for: in wide gaps, and two beyond either end.

    Without them the outermost vertebra would get all the rest of the spine.

    Args:
        points: (N, 3) voxels z,y,x, at least one; ``spacing``: mm.
    """
    chain = points[np.argsort(-points[:, 0])]
    if len(chain) == 1:
        up = np.array([LONE / spacing, 0, 0])
        return np.array([chain[0] + n * up for n in (2, 1, -1, -2)])
    steps = np.diff(chain, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    usual = float(np.median(lengths))
    found = []
    for start, step, length in zip(chain, steps, lengths, strict=False):
        parts = max(round(length / usual), 2) if length > GAP * usual else 1
        found += [start + step * n / parts for n in range(1, parts)]
    for end, step, length in ((chain[0], -steps[0], lengths[0]), (chain[-1], steps[-1], lengths[-1])):
        found += [end + n * step * min(usual / length, 1.0) for n in (1, 2)]
    return np.array(found)


def part_of(bone: np.ndarray, own: np.ndarray, others: np.ndarray, spacing: float) -> np.ndarray:
    """Which voxels of a spine (bool, z, y, x) belong to the vertebra at ``own``; none where it has no bone.

    Those that are reached sooner from its centroid than from any other on a way through bone that is slow where the
    bone is thin. So an arch is reached over its own pedicles, which are thicker than the joints, and a spinous process
    that hangs beside the body below goes with its own.

    Args:
        own: centroid in voxels z,y,x; ``others``: (N, 3) of the vertebrae nearby.
        spacing: mm.
    """
    centre = _bone_at(bone, own, spacing)
    if centre is None:
        return np.zeros(bone.shape, bool)
    beside = [*others, *overlooked(np.array([own, *others]), spacing)]
    starts = [place for point in beside if (place := _bone_at(bone, point, spacing)) is not None]
    depth = np.minimum(ndimage.distance_transform_edt(bone, spacing), WIDE)
    speed = sitk.GetImageFromArray(depth.astype(np.float32))
    mine = bone & (_arrival(speed, [centre]) < _arrival(speed, starts))
    pieces, _ = ndimage.label(mine, np.ones((3, 3, 3)))
    return (pieces == pieces[tuple(centre)]) & mine


def _arrival(speed: sitk.Image, starts: list[np.ndarray]) -> np.ndarray:
    """When a front that starts at some voxels arrives (z, y, x); huge where it never does."""
    marching = sitk.FastMarchingImageFilter()
    marching.SetTrialPoints([place[::-1].tolist() for place in starts])
    return sitk.GetArrayFromImage(marching.Execute(speed))


def _bone_at(bone: np.ndarray, point: np.ndarray, spacing: float) -> np.ndarray | None:
    """The voxel of the bone nearest to a point; None when it is farther than ``NEAR``."""
    reach = int(np.ceil(NEAR / spacing))
    low = np.clip(np.rint(point).astype(int) - reach, 0, bone.shape)
    high = np.clip(np.rint(point).astype(int) + reach + 1, 0, bone.shape)
    voxels = low + np.argwhere(bone[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
    if not len(voxels):
        return None
    away = np.linalg.norm(voxels - point, axis=1) * spacing
    return voxels[away.argmin()] if away.min() <= NEAR else None
