"""What Lessmann's network is asked, and where: patches of a scan, with the memory (2019, sections 3.1 to 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..resampling import AIR, resample
from ..spine import SpineBox

LEAST = 1000.0  # mm^3: v_min, the smallest fragment that is followed
Index = np.ndarray  # (3,) int, lattice position z,y,x: times the spacing this is LPS


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of one patch.

    Attributes:
        probability: of the next vertebra, 0..1, (z, y, x) of the patch.
        label: number of the vertebra, 1 for C1 to 24 for L5, with decimals.
        complete: probability that it is wholly visible, 0..1.
        names: (25,) how likely the rib network finds each of C1 to L6; None while it was not asked.
        thoracic: whether that takes it for a vertebra with ribs.
        vertebra: probability that it is a vertebra at all, 0..1; 1 while the rib network was not asked.
    """

    probability: np.ndarray
    label: float
    complete: float
    names: np.ndarray | None = None
    thoracic: bool | None = None
    vertebra: float = 1.0


Ask = Callable[[np.ndarray, np.ndarray], Answer]
"""A patch in HU and the memory of it (bool), both (z, y, x), to what the network says."""


@dataclass(eq=False)
class Lattice:
    """A part of a scan at the network's spacing, and which of its voxels belong to vertebrae known already.

    Attributes:
        hu: (z, y, x); ``memory``: bool, of the same shape.
        corner: lattice position z,y,x of the first voxel.
        spacing: mm; ``patch``: voxels along every axis.
    """

    hu: np.ndarray
    corner: Index
    spacing: float
    patch: int

    def __post_init__(self) -> None:
        self.memory = np.zeros(self.hu.shape, bool)

    @classmethod
    def of(cls, ct: sitk.Image, spacing: float, patch: int, box: SpineBox | None = None) -> Lattice:
        """The part of a CT in a box (LPS mm), or all of it; what a scan does not show is air."""
        image = resample(ct, spacing, box)
        corner = np.rint(np.array(image.GetOrigin()[::-1]) / spacing).astype(int)
        return cls(sitk.GetArrayFromImage(image), corner, spacing, patch)

    def place(self, centre: Index) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where a patch round a lattice position lies in the arrays, and that part in the patch."""
        first = np.asarray(centre) - self.patch // 2 - self.corner
        low = np.clip(first, 0, self.hu.shape)
        high = np.clip(first + self.patch, low, self.hu.shape)
        here = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return here, tuple(slice(s.start - f, s.stop - f) for s, f in zip(here, first.tolist(), strict=True))

    def cut(self, array: np.ndarray, centre: Index, fill: float) -> np.ndarray:
        """The patch of an array of this lattice round a lattice position."""
        here, there = self.place(centre)
        result = np.full((self.patch,) * 3, fill, array.dtype)
        result[there] = array[here]
        return result

    def look(self, ask: Ask, centre: Index) -> Fragment | None:
        """The piece of the next vertebra that the network sees round a lattice position.

        None where it sees less than ``LEAST`` in all. What the memory holds already is no part of it, nor are pieces
        apart from its largest: stray voxels would draw the patch aside.
        """
        patch, memory = self.cut(self.hu, centre, AIR), self.cut(self.memory, centre, False)
        answer = ask(patch, memory)
        mask = (answer.probability >= 0.5) & ~memory
        if mask.sum() * self.spacing**3 < LEAST:
            return None
        pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
        if count > 1:
            mask = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
        return Fragment(mask, answer, np.asarray(centre) - self.patch // 2)

    def shown(self, fragment: Fragment) -> np.ndarray:
        """The patch of a fragment in HU."""
        return self.cut(self.hu, fragment.corner + self.patch // 2, AIR)

    def remember(self, fragment: Fragment) -> None:
        """Adds a fragment to the memory (section 3.2)."""
        here, there = self.place(fragment.corner + self.patch // 2)
        self.memory[here] |= fragment.mask[there]


@dataclass(frozen=True, eq=False)
class Fragment:
    """A piece of a vertebra, or all of it.

    Attributes:
        mask: bool (z, y, x) of the patch.
        answer: what the network said of the patch.
        corner: lattice position z,y,x of the patch's first voxel.
    """

    mask: np.ndarray
    answer: Answer
    corner: Index

    @property
    def middle(self) -> Index:
        """Lattice position z,y,x of the centre of its bounding box, rounded up (section 3.3: the ceiling of b_t)."""
        where = np.argwhere(self.mask)
        return self.corner + np.ceil((where.min(0) + where.max(0)) / 2).astype(int)

    @property
    def body(self) -> np.ndarray:
        """Lattice position z,y,x of the middle of its body, where the largest balls fit in; with decimals.

        The paper's VerSe system took the centroid of the mask and a mean offset per vertebra; this needs no name.
        """
        padded = np.pad(self.mask, 1)
        depth = ndimage.distance_transform_edt(padded)
        return self.corner - 1 + np.argwhere(depth >= 0.8 * depth.max()).mean(0)
