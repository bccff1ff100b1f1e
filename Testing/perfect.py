"""A scripted network that is never wrong, for Lessmann's traversal: it reads the truth from the HU of its patch."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.detection.lessmann import UP
from SpineSegmentationLib.detection.lessmann_patches import Answer, Fragment, Lattice
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.weights import Weights

BONE = 1000  # HU; a vertebra has this and its code


@cache
def truth(first: Level = Level.T11, last: Level = Level.L4, seed: int = 3) -> np.ndarray:
    """The label map of a phantom (z, y, x; VerSe codes), 2 mm."""
    spec = PhantomSpec(seed=seed, first=first, last=last, field=(110, 130), margin=15.0)
    return sitk.GetArrayFromImage(make_phantom(spec, (2.0, 2.0, 2.0)).label_map)


def coded(labels: np.ndarray) -> sitk.Image:
    """A CT at 2 mm whose HU name the vertebra of every voxel, its voxels on the lattice of the networks."""
    image = sitk.GetImageFromArray(np.where(labels > 0, BONE + labels.astype(np.int16), 0).astype(np.int16))
    image.SetSpacing((2.0,) * 3)
    image.SetOrigin((-100.0, -40.0, -300.0))
    return image


class PerfectNetwork:
    """Segments the first vertebra in the direction of the traversal of which the memory holds less than half.

    Pieces smaller than those that the traversal follows are passed over, as in training.

    Attributes:
        calls: how often it was asked.
        whole: the vertebrae that no end of the scan cuts.
        box: of the scan, LPS mm.
    """

    spacing, patch = 2.0, 64

    def __init__(self, labels: np.ndarray, direction: int = UP) -> None:
        self.labels, self.direction, self.calls = labels, direction, 0
        self.sizes = np.bincount(labels.ravel(), minlength=max(Level) + 1)
        self.whole = {level for level in COLUMN if not any((labels[end] == level).any() for end in (0, -1))}
        self.ct = coded(labels)
        self.box = SpineBox.of_image(self.ct)
        self.weights = (Weights("perfect", Path("none"), "perfect", "none"),)
        self.runners = (SimpleNamespace(warnings=[]),)

    def lattice(self) -> Lattice:
        return Lattice.of(self.ct, self.spacing, self.patch)

    def levels(self) -> list[Level]:
        """All that are large enough to be followed, in the order of the traversal."""
        return [level for level in COLUMN if self.sizes[level] * 8 >= 1000][:: -self.direction]

    def judged(self, lattice: Lattice, fragment: Fragment) -> Fragment:
        """As it is: there is no rib network."""
        return fragment

    def __call__(self, hu: np.ndarray, memory: np.ndarray) -> Answer:
        self.calls += 1
        codes = np.where(hu > BONE, np.rint(hu) - BONE, 0).astype(int)
        seen = np.bincount(codes.ravel(), minlength=len(self.sizes))
        kept = np.bincount(codes[memory], minlength=len(self.sizes))
        for level in COLUMN[:: -self.direction]:
            if seen[level] * 8 >= 1000 and kept[level] < seen[level] / 2:
                complete = level in self.whole and seen[level] == self.sizes[level]
                return Answer(
                    (codes == level).astype(np.float32), level.rank + 1 - (level > Level.T12), float(complete)
                )
        return Answer(np.zeros(hu.shape, np.float32), 0.0, 0.0)
