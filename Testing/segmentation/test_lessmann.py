"""Lessmann's segmenter with scripted networks: what it asks again, and what it remembers."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.cache import Cache
from SpineSegmentationLib.detection.lessmann_patches import Answer, Lattice
from SpineSegmentationLib.segmentation.column import Column
from SpineSegmentationLib.segmentation.lessmann import LessmannSegmenter, remember
from SpineSegmentationLib.segmentation.mask import HALF, VertebraMask

POINT = (40.0, 40.0, 60.0)
L4, L5 = 22, 23  # in the rib network's names
BODY = (slice(24, 37), slice(12, 29), slice(8, 33))  # z,y,x on the lattice of 2 mm, POINT in its middle
SACRUM = (slice(6, 21), slice(16, 34), slice(8, 33))


class Scripted:
    """Takes what is bright and not in the memory for one vertebra, and the rib network takes that for ``name``.

    ``shown``: HU of what it sees at each look, all that is bright unless given.
    """

    spacing, patch, weights, runners = 2.0, 64, (), ()

    def __init__(self, name, shown=()):
        self.name, self.shown, self.asked = name, shown, []

    def __call__(self, hu, memory):
        seen = np.isin(hu, self.shown[len(self.asked)]) if self.shown else hu > 300
        self.asked.append(memory.any())
        return Answer((seen & ~memory).astype(np.float32), 20.0, 1.0)

    def judged(self, lattice, fragment):
        return replace(fragment, answer=replace(fragment.answer, names=np.eye(25)[self.name]))


@pytest.fixture
def ct():
    hu = np.zeros((60, 45, 41), np.int16)
    hu[BODY] = hu[SACRUM] = 500
    hu[21:24, 28, 20] = 500  # they touch
    return with_spacing(hu)


def with_spacing(hu: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((2.0,) * 3)
    return image


def segmented(ct, network) -> tuple[np.ndarray, VertebraMask]:
    segmenter = LessmannSegmenter(None, network)
    mask = segmenter(ct, POINT, Column(ct, "scripted", segmenter, [POINT], Cache(4)))
    rows = mask.corner[2] + np.flatnonzero((mask.probability >= HALF).any((1, 2)))
    return rows, mask


def test_the_sacrum_is_no_part_of_the_last_vertebra(ct):
    rows, _ = segmented(ct, network := Scripted(L5))
    assert network.asked == [False, True]
    assert 42 <= rows.min() <= 49 and rows.max() >= 70
    rows, _ = segmented(ct, network := Scripted(L4))
    assert not any(network.asked) and rows.min() <= 20


BOTH, BELOW, ABOVE = 400, 500, 600  # HU: the upper half of the body, the lower one, and what lies above


@pytest.mark.parametrize(
    ("shown", "rows"),
    [
        ([(BELOW, BOTH)], (48, 72)),  # its body is at the point
        ([(BOTH, ABOVE), (BELOW, BOTH)], (48, 72)),
        ([(BOTH, ABOVE), (BOTH, ABOVE)], (62, 110)),
        ([(BOTH, ABOVE), (), ()], (62, 110)),
    ],
)
def test_of_two_looks_the_one_with_the_nearer_body_counts(ct, shown, rows):
    hu = np.zeros((60, 45, 41), np.int16)
    for value, (first, last) in {BELOW: (24, 31), BOTH: (31, 37), ABOVE: (37, 56)}.items():
        hu[first:last, 12:29, 8:33] = value
    found, _ = segmented(with_spacing(hu), network := Scripted(L4, shown))
    assert len(network.asked) == len(shown)
    assert abs(found.min() - rows[0]) <= 3 and abs(found.max() - rows[1]) <= 3


def test_the_memory_holds_what_was_cut_off_and_not_what_joined():
    lattice = Lattice(np.zeros((4, 4, 4), np.int16), np.zeros(3, int), 1.0, 4)
    values = np.zeros((1, 1, 4), np.uint8)
    values[0, 0] = HALF - 2, HALF - 1, HALF, HALF + 1
    remember(lattice, VertebraMask(values, (0, 0, 0)))
    assert lattice.memory[0, 0].tolist() == [False, True, False, True]
    assert lattice.memory.sum() == 2
