"""Many vertebra masks merged to one label map."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.segmentation.mask import VertebraMask, merge


def lattice(shape, origin=(0.0, 0.0, 0.0), spacing=(1.0, 1.0, 1.0)):
    image = sitk.Image([int(n) for n in reversed(shape)], sitk.sitkInt16)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    return image


def mask_of(probability, origin=(0.0, 0.0, 0.0)):
    return VertebraMask.of(np.asarray(probability, np.float32), lattice(np.shape(probability), origin))


def block(shape, *slices, value=1.0):
    probability = np.zeros(shape, np.float32)
    probability[slices] = value
    return probability


def array(image):
    return sitk.GetArrayFromImage(image)


def test_a_mask_keeps_its_place_and_forgets_what_is_empty():
    mask = mask_of(block((8, 9, 10), slice(2, 5), slice(3, 6), slice(4, 8)), origin=(100.0, -20.0, 7.0))
    assert mask.corner == (104, -17, 9)
    assert mask.probability.shape == (3, 3, 4)
    assert mask.place == (slice(9, 12), slice(-17, -14), slice(104, 108))


def test_one_mask_on_its_own_lattice_is_its_threshold_at_one_half():
    probability = block((8, 8, 8), slice(2, 6), slice(2, 6), slice(2, 6), value=0.6)
    probability[2, 2, 2] = 0.4
    labels = array(merge({Level.L3: mask_of(probability)}, lattice((8, 8, 8))))
    np.testing.assert_array_equal(labels, np.where(probability >= 0.5, Level.L3, 0))


def test_the_larger_probability_wins():
    first = block((6, 6, 6), slice(0, 4), value=0.9)
    second = block((6, 6, 6), slice(2, 6), value=0.7)
    labels = array(merge({Level.T1: mask_of(first), Level.T2: mask_of(second)}, lattice((6, 6, 6))))
    assert (labels[:4] == Level.T1).all()
    assert (labels[4:] == Level.T2).all()


def test_only_the_largest_piece_stays():
    probability = block((10, 6, 6), slice(0, 4), value=1.0)
    probability[7:9] = 1.0
    labels = array(merge({Level.C4: mask_of(probability)}, lattice((20, 16, 16), (-5.0, -5.0, -5.0))))[5:, 5:11, 5:11]
    assert (labels[:4] == Level.C4).all()
    assert not labels[4:].any()


def test_a_piece_cut_off_by_a_neighbour_goes():
    bar = block((12, 5, 5), slice(0, 12), value=0.8)
    wall = block((12, 5, 5), slice(7, 9), value=0.95)
    labels = array(merge({Level.L1: mask_of(bar), Level.L2: mask_of(wall)}, lattice((22, 15, 15), (-5.0, -5.0, -5.0))))
    labels = labels[5:, 5:10, 5:10]
    assert (labels[:7] == Level.L1).all()
    assert (labels[7:9] == Level.L2).all()
    assert not labels[9:].any()


def test_a_thin_process_survives_thick_slices():
    # A body and a process 2 mm thick that reaches 20 mm back, judged at 1 mm, on slices of 5 mm that cross it.
    probability = block((30, 50, 30), slice(5, 25), slice(0, 20), slice(5, 25))
    probability[14:16, 20:40, 14:16] = 1.0
    thick = lattice((6, 50, 30), origin=(0.0, 0.0, -0.5 + 5.0), spacing=(1.0, 1.0, 5.0))
    thick.SetOrigin((0.0, 0.0, 4.5))  # slices at 4.5, 9.5, 14.5: the last one crosses the process
    labels = array(merge({Level.L4: mask_of(probability)}, thick))
    assert (labels[2, 20:40, 14:16] == Level.L4).all()


def test_an_oblique_grid_shows_the_same_solid():
    probability = block((40, 40, 40), slice(10, 30), slice(10, 30), slice(10, 30))
    angle = np.deg2rad(20)
    grid = lattice((60, 60, 60), origin=(-10.0, -10.0, -10.0))
    grid.SetDirection([np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1])
    labels = array(merge({Level.T7: mask_of(probability)}, grid))
    assert (labels == Level.T7).sum() == pytest.approx(8000, rel=0.03)


def test_a_grid_elsewhere_stays_empty():
    grid = lattice((5, 5, 5), origin=(500.0, 0.0, 0.0))
    assert not array(merge({Level.T7: mask_of(np.ones((4, 4, 4)))}, grid)).any()


def test_no_masks_give_an_empty_label_map_on_the_grid():
    grid = lattice((5, 6, 7), origin=(1.0, 2.0, 3.0), spacing=(0.5, 0.6, 0.7))
    result = merge({}, grid)
    assert result.GetSize() == grid.GetSize()
    assert result.GetOrigin() == grid.GetOrigin()
    assert result.GetPixelID() == sitk.sitkUInt8
    assert not array(result).any()


@st.composite
def random_masks(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    masks = []
    for _ in range(draw(st.integers(1, 4))):
        smooth = ndimage.gaussian_filter(rng.normal(size=(14, 14, 14)), 1.5)
        scaled = (smooth - smooth.min()) / np.ptp(smooth)
        masks.append(mask_of(scaled, origin=tuple(float(v) for v in rng.integers(0, 8, 3))))
    return masks


@given(random_masks(), st.permutations([Level.C2, Level.T5, Level.T13, Level.L6]))
def test_names_and_order_never_move_a_border(masks, names):
    grid = lattice((24, 24, 24))
    names = names[: len(masks)]
    labels = array(merge(dict(zip(names, masks, strict=True)), grid))
    for order in itertools.islice(itertools.permutations(range(len(masks))), 4):
        again = array(merge({names[i]: masks[i] for i in order}, grid))
        np.testing.assert_array_equal(again, labels)
    renamed = array(merge(dict(zip([Level.L1, Level.L2, Level.L3, Level.L4], masks, strict=False)), grid))
    expected = np.zeros_like(labels)
    for old, new in zip(names, [Level.L1, Level.L2, Level.L3, Level.L4], strict=False):
        expected[labels == old] = new
    np.testing.assert_array_equal(renamed, expected)


@given(random_masks())
def test_every_vertebra_is_one_piece_on_the_lattice(masks):
    grid = lattice((40, 40, 40), origin=(-8.0, -8.0, -8.0))
    labels = array(merge(dict(zip([Level.L1, Level.L2, Level.L3, Level.L4], masks, strict=False)), grid))
    for code in np.unique(labels[labels > 0]):
        assert ndimage.label(labels == code, np.ones((3, 3, 3)))[1] == 1
