"""The mask of one bone (a vertebra, or the sacrum), and many masks merged to one label map."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import BONES, Bone
from ..cache import Cache
from ..grid import Grid
from ..parts import Corner, whole_of, with_margin
from ..resampling import resample
from ..spine import SpineBox, rounded

HALF = 128
"""Probability one half in the stored scale 0..255."""

NEAR = 2.0
"""mm from the border of the scan within which a piece is cut by it: networks see air there and stop a little early."""

CRUMB = 30
"""mm3 that a piece besides the largest must have, ..."""

SURE = 191
"""... its mean probability, 0.75 in the stored scale, ..."""

BEHIND = 12
"""... and mm by which it lies behind the thickest part of the largest, which is the body."""

POINTED = 0.2
"""Share of the largest piece that the piece at the given point has at least, to be the vertebra in its place."""

Place = tuple[slice, ...]
B = TypeVar("B", bound=Bone)


@dataclass(frozen=True, eq=False)
class VertebraMask:
    """Where one vertebra is, on the 1 mm lattice that all vertebrae of a scan share.

    Attributes:
        probability: uint8 (z, y, x), 0..255 for 0..1, cropped to where it is not 0.
        corner: lattice position of its first voxel, x,y,z; times 1 mm this is LPS.
        complete: whether the segmenter sees the whole vertebra in the scan; None when it does not say.
        confidence: the Dice coefficient that such masks had, 0..1; None when the segmenter was not calibrated.
        point: lattice position x,y,z for which it was asked; None when the segmenter does not say.
    """

    probability: np.ndarray
    corner: Corner
    complete: bool | None = None
    confidence: float | None = None
    point: Corner | None = None

    @classmethod
    def of(cls, probability: np.ndarray, image: sitk.Image) -> VertebraMask:
        """From probabilities 0..1 (z, y, x) on the 1 mm lattice grid ``image``; chances below 2 % count as none."""
        scaled = np.rint(probability * 255).astype(np.uint8)
        scaled[scaled < 5] = 0
        first = np.rint(image.GetOrigin()).astype(int)
        where = bounds(scaled)
        if where is None:
            return cls(np.zeros((1, 1, 1), np.uint8), whole(first))
        corner = first + [axis.start for axis in reversed(where)]
        return cls(np.ascontiguousarray(scaled[where]), whole(corner))

    @property
    def place(self) -> Place:
        """Lattice positions z,y,x of the array."""
        return _place(self.corner, self.probability.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of place, point and content."""
        return _digest((*self.corner, *(self.point or ())), self.probability.shape, self.probability)


def interpolated(probability: np.ndarray, inside: np.ndarray, corner: np.ndarray, spacing: float) -> VertebraMask:
    """The mask of one vertebra out of a coarser map, linearly interpolated.

    Args:
        probability: 0..1, (z, y, x).
        inside: bool, which of its voxels are of the vertebra; of the others only a soft border stays.
        corner: position z,y,x of the first voxel on the lattice of ``spacing`` (mm, a whole number).
    """
    where = bounds(np.pad(inside, 1))
    if where is None:
        return VertebraMask(np.zeros((1, 1, 1), np.uint8), whole(reversed(corner * spacing)))
    soft = np.where(inside, np.maximum(probability, 0.5), np.where(probability < 0.5, probability, 0))
    part = np.pad(soft, 1)[tuple(slice(s.start - 1, s.stop + 1) for s in where)]
    image = sitk.GetImageFromArray(part.astype(np.float32))
    image.SetSpacing((spacing,) * 3)
    origin = (np.asarray(corner) + [s.start - 2 for s in where])[::-1] * spacing
    image.SetOrigin(origin.tolist())
    fine = resample(
        image, 1.0, SpineBox(rounded(origin), rounded(origin + (np.array(part.shape[::-1]) - 1) * spacing)), fill=0
    )
    return VertebraMask.of(sitk.GetArrayFromImage(fine), fine)


@dataclass(frozen=True, eq=False)
class Piece:
    """The voxels of one vertebra in a label map.

    Attributes:
        corner: index of the first voxel on the grid of the scan, x,y,z.
        shape: z,y,x; the piece touches every side of it. A vertebra without voxels has (0, 0, 0).
        bits: the voxels packed, eight to a byte.
        digest: SHA-256 of all that; equal pieces have equal digests, wherever they come from.
    """

    corner: Corner
    shape: tuple[int, int, int]
    bits: np.ndarray
    digest: str

    @classmethod
    def of(cls, voxels: np.ndarray, corner: Corner) -> Piece:
        """From voxels (z, y, x), not 0 where the vertebra is, the first of them at index ``corner`` (x,y,z)."""
        where = bounds(voxels)
        if where is None:
            corner, voxels = (0, 0, 0), np.zeros((0, 0, 0), bool)
        else:
            corner = whole(c + s.start for c, s in zip(corner, reversed(where), strict=True))
            voxels = voxels[where]
        bits = np.packbits(voxels != 0)
        return cls(corner, voxels.shape, bits, _digest(corner, voxels.shape, bits))

    @property
    def voxels(self) -> np.ndarray:
        """Boolean (z, y, x)."""
        return np.unpackbits(self.bits, count=int(np.prod(self.shape))).reshape(self.shape).view(bool)

    @property
    def place(self) -> Place:
        """Indices z,y,x on the grid of the scan."""
        return _place(self.corner, self.shape)


def whole(values: Iterable[float]) -> Corner:
    """Three coordinates as whole numbers; what is left over is cut off.

    >>> whole([1.0, 2.9, -3.0])
    (1, 2, -3)
    """
    x, y, z = (int(value) for value in values)
    return x, y, z


def bounds(array: np.ndarray) -> Place | None:
    """The smallest place z,y,x that holds all voxels other than 0; None when there are none."""
    sides = []
    for others in ((1, 2), (0, 2), (0, 1)):
        line = np.flatnonzero(array.any(axis=others))
        if not len(line):
            return None
        sides.append(slice(int(line[0]), int(line[-1]) + 1))
    return sides[0], sides[1], sides[2]


def _place(corner: Corner, shape: tuple[int, ...]) -> Place:
    z, y, x = (slice(c, c + n) for c, n in zip(corner[::-1], shape, strict=True))
    return z, y, x


def _digest(corner: tuple[int, ...], shape: tuple[int, ...], content: np.ndarray) -> str:
    header = np.array([*corner, *shape], "<i8").tobytes()
    return hashlib.sha256(header + np.ascontiguousarray(content).tobytes()).hexdigest()


def pieces_of(label_map: sitk.Image, start: Corner = (0, 0, 0)) -> dict[Bone, Piece]:
    """The vertebrae of a label map of VerSe codes, from the head down, and the sacrum if it is there.

    Args:
        start: index x,y,z of its first voxel on the grid on which the pieces shall lie.
    """
    labels = sitk.GetArrayViewFromImage(label_map)
    places = ndimage.find_objects(labels, max_label=max(BONES.values()))
    return {
        bone: Piece.of(labels[place] == bone, whole(s + a.start for s, a in zip(start, reversed(place), strict=True)))
        for bone, place in ((bone, places[bone - 1]) for bone in BONES.values())
        if place is not None
    }


def paint(pieces: Mapping[B, Piece], grid: sitk.Image) -> sitk.Image:
    """The label map of pieces that share no voxel: uint8 codes on the grid of the scan, 0 elsewhere."""
    return whole_of(paint_part(pieces, grid), Grid.of(grid))


def paint_part(pieces: Mapping[B, Piece], grid: sitk.Image) -> sitk.Image:
    """:func:`paint` where the pieces are and a margin round them (:mod:`parts`); one voxel when there are none."""
    there = {bone: piece for bone, piece in pieces.items() if piece.bits.size}
    start, stop = (0, 0, 0), (1, 1, 1)
    if there:
        first = np.array([piece.corner for piece in there.values()])
        last = first + [piece.shape[::-1] for piece in there.values()]
        start, stop = with_margin(first.min(0), last.max(0), grid)
    labels = np.zeros(np.subtract(stop, start)[::-1], np.uint8)
    for bone, piece in there.items():
        labels[_place(whole(np.subtract(piece.corner, start)), piece.shape)][piece.voxels] = int(bone)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(grid.GetSpacing())
    image.SetOrigin(grid.TransformIndexToPhysicalPoint(start))
    image.SetDirection(grid.GetDirection())
    return image


def merge(masks: Mapping[B, VertebraMask], grid: sitk.Image) -> sitk.Image:
    """The label map on the grid of the scan: the largest probability wins, one connected piece per vertebra.

    A vertebra that the border of the scan cuts may hang together beyond it: if its largest piece ends at the border, so
    may processes behind its body, as far as the segmenter is sure of them.

    Pieces are judged at 1 mm, where thin processes are still whole, and only then resampled (linear interpolation
    of the probability, one half is the border), so a coarse grid does not cut a process off. Which vertebra wins
    does not depend on its name, so renaming never moves a border.

    Args:
        masks: any number of vertebrae.
        grid: any image; its size, spacing, origin and direction count.
    """
    return paint(Merger(grid).pieces(masks), grid)


class Merger:
    """Merges again and again on one grid; only pieces whose mask or whose neighbours' masks changed are computed.

    The piece of a vertebra depends on its mask, on the masks it meets, and, through where their own pieces end, on
    the masks that those meet. This is the key under which it is kept.

    Args:
        grid: any image; its size, spacing, origin and direction count.
    """

    def __init__(self, grid: sitk.Image) -> None:
        # No copy of the voxels: only the grid counts, and it may be large.
        self._grid = grid
        self._crops: Cache[VertebraMask] = Cache(48)
        self._pieces: Cache[Piece] = Cache(1000)

    def pieces(self, masks: Mapping[B, VertebraMask]) -> dict[B, Piece]:
        """The piece of each vertebra; no two share a voxel."""
        items = sorted(masks.items(), key=lambda item: (-item[1].corner[2], item[1].corner, item[1].digest))
        ordered = [mask for _, mask in items]
        met = [[other for other in range(len(ordered)) if _meet(ordered[own], ordered[other])]
               for own in range(len(ordered))]  # fmt: skip
        keys = [
            (tuple(ordered[o].digest for o in others), others.index(own)) for own, others in enumerate(met)
        ]  # what a crop is computed from: the masks that meet, and which of them it is

        def crop(own: int) -> VertebraMask:
            return self._crops.get(
                keys[own], lambda: _on_grid(_own_pieces(ordered, own, met[own], self._grid), self._grid)
            )

        def piece(own: int) -> Piece:
            crops = {other: crop(other) for other in met[own]}
            return Piece.of(_wins(crops, own, met[own]), crops[own].corner)

        pieces = {
            level: self._pieces.get((keys[own][1], tuple(keys[o] for o in met[own])), partial(piece, own))
            for own, (level, _) in enumerate(items)
        }
        return {level: pieces[level] for level in masks}


def _meet(a: VertebraMask, b: VertebraMask) -> bool:
    """Whether two masks share a voxel or touch, so that they can meet on another grid, too."""
    return all(s.start <= t.stop and t.start <= s.stop for s, t in zip(a.place, b.place, strict=True))


def common(mine: VertebraMask | Piece, other: VertebraMask | Piece) -> tuple[Place, Place] | None:
    """What two masks, or two pieces, share, as a place in each of their arrays; None where they share nothing."""
    both = [slice(max(s.start, t.start), min(s.stop, t.stop)) for s, t in zip(mine.place, other.place, strict=True)]
    if any(side.start >= side.stop for side in both):
        return None
    first, second = (
        tuple(slice(b.start - s.start, b.stop - s.start) for b, s in zip(both, mask.place, strict=True))
        for mask in (mine, other)
    )
    return first, second


def _wins(masks: Mapping[int, VertebraMask] | list[VertebraMask], own: int, others: Iterable[int]) -> np.ndarray:
    """Where one mask has at least one half and the largest value of all; the first in order wins a draw."""
    mine = masks[own].probability
    wins = mine >= HALF
    for number in others:
        other = masks[number]
        shared = common(masks[own], other)
        if number == own or shared is None:
            continue
        here, there = shared
        stronger = np.greater if number < own else np.greater_equal
        wins[here] &= stronger(mine[here], other.probability[there])
    return wins


def _own_pieces(masks: list[VertebraMask], own: int, others: Iterable[int], grid: sitk.Image) -> VertebraMask:
    """The mask without the voxels that another vertebra wins, and of its pieces the largest.

    Others stay if they and the largest end at the border of the grid, where they can hang together beyond it, and lie
    behind the body, as processes do: in front of them only the body of a neighbour that nobody listed could be.

    If the largest ends there and the point that was asked for lies in another that does, that one is the vertebra:
    where the scan shows little of it, the largest can be a part of a neighbour, or nothing at all.
    """
    mask = masks[own]
    mine = _wins(masks, own, others)
    pieces, count = ndimage.label(mine, np.ones((3, 3, 3)))
    if count > 1:
        sizes = np.bincount(pieces.ravel())[1:]
        kept = {int(sizes.argmax()) + 1}
        cut = _cut_off(pieces, mask.corner, grid)
        if kept <= cut:
            pointed = _at_point(mask, pieces)
            if pointed in cut and sizes[pointed - 1] >= POINTED * sizes.max():
                kept = {pointed}
            sure = np.array(ndimage.mean(mask.probability, pieces, np.arange(1, count + 1)))
            body = ndimage.distance_transform_edt(np.pad(np.isin(pieces, list(kept)), 1)).max(axis=(0, 2)).argmax() - 1
            behind = np.array(ndimage.center_of_mass(mine, pieces, np.arange(1, count + 1)))[:, 1] - body
            kept |= {
                piece
                for piece in cut
                if sizes[piece - 1] >= CRUMB and sure[piece - 1] >= SURE and behind[piece - 1] >= BEHIND
            }
        mine = np.isin(pieces, list(kept))
    return VertebraMask(np.where(mine | (mask.probability < HALF), mask.probability, 0).astype(np.uint8), mask.corner)


def _at_point(mask: VertebraMask, pieces: np.ndarray) -> int:
    """The piece (z, y, x; numbers from 1 on) in which the point of a mask lies; 0 for none."""
    if mask.point is None:
        return 0
    place = whole(np.subtract(mask.point, mask.corner)[::-1])
    inside = all(0 <= voxel < size for voxel, size in zip(place, pieces.shape, strict=True))
    return int(pieces[place]) if inside else 0


def _cut_off(pieces: np.ndarray, corner: tuple[int, int, int], grid: sitk.Image) -> set[int]:
    """The pieces (z, y, x; numbers from 1 on) that end within ``NEAR`` mm of the border of a grid.

    Args:
        corner: lattice position of the first voxel, x,y,z.
    """
    index = np.argwhere(pieces)
    places = index[:, ::-1] + np.array(corner) - grid.GetOrigin()
    inside = places @ np.reshape(grid.GetDirection(), (3, 3))  # mm from the first voxel along the axes of the grid
    half = np.array(grid.GetSpacing()) / 2
    far = np.array(grid.GetSize()) * grid.GetSpacing() - half
    near = np.any((inside < NEAR - half) | (inside > far - NEAR), axis=1)
    return set(pieces[tuple(index[near].T)].tolist())


def _on_grid(mask: VertebraMask, grid: sitk.Image) -> VertebraMask:
    """The mask on its part of the grid, corner and place counted in its voxels; empty where they do not meet."""
    nothing = VertebraMask(np.zeros((0, 0, 0), np.uint8), (0, 0, 0))
    sure = bounds(mask.probability >= HALF)
    if sure is None:
        return nothing
    image = sitk.GetImageFromArray(mask.probability)
    image.SetOrigin([float(v) for v in mask.corner])
    ends = [(s.start - 1, s.stop) for s in reversed(sure)]
    corners = [[ends[axis][bit >> axis & 1] for axis in range(3)] for bit in range(8)]
    points = np.array(
        [grid.TransformPhysicalPointToContinuousIndex(image.TransformIndexToPhysicalPoint(c)) for c in corners]
    )
    start = np.maximum(np.floor(points.min(0)).astype(int), 0)
    stop = np.minimum(np.ceil(points.max(0)).astype(int) + 1, grid.GetSize())
    if np.any(stop <= start):
        return nothing
    part = sitk.Image([int(v) for v in stop - start], sitk.sitkUInt8)
    part.SetOrigin(grid.TransformIndexToPhysicalPoint([int(v) for v in start]))
    part.SetSpacing(grid.GetSpacing())
    part.SetDirection(grid.GetDirection())
    values = sitk.GetArrayFromImage(sitk.Resample(image, part, sitk.Transform(), sitk.sitkLinear, 0))
    return VertebraMask(values, whole(start))
