"""Lessmann's segmenter with scripted networks: what it asks again, and what it remembers."""

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
    """Takes body and sacrum for one vertebra as long as the memory holds none of the sacrum.

    ``vertebra``: how likely the rib network finds each answer; it takes the bone that is asked for for ``name``.
    """

    spacing, patch, weights, runners = 2.0, 64, (), ()

    def __init__(self, name, vertebra=(1.0,)):
        self.name, self.vertebra, self.asked = name, list(vertebra), []

    def __call__(self, hu, memory):
        self.asked.append(memory.any())
        return Answer(((hu > 300) & ~memory).astype(np.float32), 20.0, 1.0)

    def judged(self, lattice, fragment):
        answer = fragment.answer
        likely = self.vertebra[min(len(self.asked), len(self.vertebra)) - 1]
        fields = answer.probability, answer.label, answer.complete, np.eye(25)[self.name], False, likely
        return type(fragment)(fragment.mask, Answer(*fields), fragment.corner)


@pytest.fixture
def ct():
    hu = np.zeros((60, 45, 41), np.int16)
    hu[BODY] = hu[SACRUM] = 500
    hu[21:24, 28, 20] = 500  # they touch
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
    assert network.asked == [False] and rows.min() <= 20


def test_of_two_looks_the_likelier_vertebra_counts(ct):
    for likely, looks in ((1.0,), 1), ((0.4, 0.9), 2), ((0.3, 0.1), 2):
        segmented(ct, network := Scripted(L4, likely))
        assert len(network.asked) == looks
    nothing, _ = segmented(sitk.Image(ct) * 0, Scripted(L4))
    assert not len(nothing)


def test_the_memory_holds_what_was_cut_off_and_not_what_joined():
    lattice = Lattice(np.zeros((4, 4, 4), np.int16), np.zeros(3, int), 1.0, 4)
    values = np.zeros((1, 1, 4), np.uint8)
    values[0, 0] = HALF - 2, HALF - 1, HALF, HALF + 1
    remember(lattice, VertebraMask(values, (0, 0, 0)))
    assert lattice.memory[0, 0].tolist() == [False, True, False, True]
    assert lattice.memory.sum() == 2
