"""The vertebrae of a scan as a segmenter sees them: each mask computed once, whatever it depends on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import SimpleITK as sitk

from ..cache import Cache
from ..spine import Centroids, Point
from ..weights import Weights
from .mask import VertebraMask

RULES = 3
"""One more whenever the same weights make other masks than before: a saved scene's masks are then made anew."""


class OneVertebra(Protocol):
    """What a column needs of a segmenter; see :class:`pipeline.Segmenter`."""

    @property
    def weights(self) -> tuple[Weights, ...]: ...

    def context(self, position: Point, column: Column) -> Hashable: ...

    def __call__(self, ct: sitk.Image, position: Point, column: Column) -> VertebraMask: ...


class Column:
    """The vertebrae of one scan, by the positions of their centroids (LPS mm); names play no part.

    Args:
        ct: 3D, HU.
        name: of the segmenter.
        segmenter: makes the masks; it may ask this column for the positions and the masks of the others, as long as
            no two vertebrae ask for each other's.
        positions: of the vertebrae.
        known: masks of earlier runs on the same scan, by what they were computed from.
    """

    def __init__(
        self, ct: sitk.Image, name: str, segmenter: OneVertebra, positions: Iterable[Point], known: Cache[VertebraMask]
    ) -> None:
        self.ct, self.segmenter, self.positions, self._known = ct, segmenter, tuple(positions), known
        self._computed_by = (name, RULES, *(weights.sha256 for weights in segmenter.weights))
        self._masks: dict[Point, VertebraMask] = {}

    def key(self, position: Point) -> Hashable:
        """What the mask at a position is computed from: network, rules, place, what the segmenter looks at besides."""
        return self._computed_by, position, self.segmenter.context(position, self)

    def mask(self, position: Point) -> VertebraMask:
        """The mask of the vertebra at a position."""
        if position not in self._masks:
            compute = partial(self.segmenter, self.ct, position, self)
            self._masks[position] = self._known.get(self.key(position), compute)
        return self._masks[position]


@dataclass(frozen=True)
class Instances(Centroids):
    """Centroids that a labeller found together with their masks.

    Attributes:
        masks: by :meth:`Column.key`, as the segmenter named there would compute them.
    """

    masks: Mapping[Hashable, VertebraMask] = field(default_factory=dict, compare=False, repr=False)
