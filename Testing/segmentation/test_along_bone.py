"""The border of coarse masks goes to where bone ends, by hand."""

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.segmentation.border import along_bone, hu_of, without_soft_surface
from SpineSegmentationLib.segmentation.mask import VertebraMask


def test_soft_voxels_are_cut_off_the_surface_alone():
    probability = np.zeros((7, 7, 7), np.uint8)
    probability[1:6, 1:6, 1:6] = 255
    hu = np.full((7, 7, 7), 300.0)
    hu[1, 3, 3] = hu[3, 3, 3] = 199.0
    hu[3, 3, 1] = 200.0
    cleaned = without_soft_surface(probability, hu, 200.0)
    assert (cleaned >= 128).sum() == 124
    assert cleaned[1, 3, 3] == 127
    assert cleaned[3, 3, 3] == 255 and cleaned[3, 3, 1] == 255


@pytest.fixture
def block():
    """A scan (z 0..19) with bone at z, y, x 5..14, and air beyond; its lattice is the voxels'."""
    hu = np.zeros((20, 20, 20), np.int16)
    hu[5:15, 5:15, 5:15] = 400
    return sitk.GetImageFromArray(hu)


def values(mask: VertebraMask) -> np.ndarray:
    """The mask's values on the scan's grid."""
    whole = np.zeros((40, 40, 40), np.uint8)
    x, y, z = (c + 10 for c in mask.corner)
    depth, rows, columns = mask.probability.shape
    whole[z : z + depth, y : y + rows, x : x + columns] = mask.probability
    return whole[10:30, 10:30, 10:30]


@pytest.mark.parametrize(("reach", "joined"), [(1, 1), (2, 2), (3, 2)])
def test_bright_voxels_join_as_far_as_a_coarse_voxel_reaches(block, reach, joined):
    drawn = VertebraMask(np.full((6, 6, 6), 255, np.uint8), (7, 7, 7), complete=True, confidence=0.9)
    moved = along_bone(drawn, block, reach)
    inside = values(moved) >= 128
    assert inside[10, 10, 7 - joined] and not inside[10, 10, 6 - joined]
    assert values(moved)[10, 10, 8] == 255 and values(moved)[10, 10, 6] == 128  # new ones are unsure
    assert (moved.complete, moved.confidence) == (True, 0.9)


def test_dark_voxels_leave_the_border_but_no_more_than_one(block):
    drawn = VertebraMask(np.full((14, 10, 10), 255, np.uint8), (5, 5, 3))
    inside = values(along_bone(drawn, block, 2)) >= 128
    assert list(np.flatnonzero(inside[:, 10, 10])) == list(range(4, 16))


def test_masks_at_and_beyond_the_end_of_a_scan(block):
    drawn = VertebraMask(np.full((6, 6, 6), 255, np.uint8), (-3, 7, 7))
    assert (values(along_bone(drawn, block, 2))[10, 10] >= 128).tolist()[:3] == [True, True, False]
    assert hu_of(block, (-3, 0, 0), (1, 1, 4)).tolist() == [[[-1024, -1024, -1024, 0]]]


def test_an_empty_mask_stays_empty(block):
    empty = VertebraMask(np.zeros((1, 1, 1), np.uint8), (10, 10, 10))
    assert along_bone(empty, block, 2) is empty
