"""McCouat and Glocker's detector without trained networks: patches, islands, the box."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.detection.mccouat_glocker import (
    BORDER,
    PATCH,
    by_patches,
    column,
    likeliest_way,
    patch_size,
)
from SpineSegmentationLib.spine import SpineBox

LEVELS = (Level.T11, Level.T12, Level.L1, Level.L2)


@pytest.mark.parametrize("shape", [(33, 30, 25), (40, 9, 5), (32, 28, 24)])
def test_patches_of_a_network_that_sees_no_further_than_the_border_equal_the_whole(shape):
    rng = np.random.default_rng(1)
    kernel, image = rng.normal(size=(5, 5, 5)), rng.normal(size=shape)
    whole = ndimage.correlate(image, kernel, mode="constant", cval=-7.0)

    def compute(part):
        return torch.from_numpy(ndimage.correlate(part.numpy(), kernel, mode="nearest"))

    apart = by_patches(compute, torch.from_numpy(image), (24, 20, 16), (4, 3, 2), -7.0)
    np.testing.assert_allclose(apart, whole, atol=1e-4)
    too_narrow = by_patches(compute, torch.from_numpy(image), (20, 16, 14), (1, 1, 1), -7.0)
    assert np.abs(too_narrow.numpy() - whole).max() > 0.1


def test_the_papers_patches_step_by_half_of_their_size():
    corners = []

    def compute(part):
        assert tuple(part.shape) == PATCH
        corners.append(1)
        return part

    image = torch.arange(80.0 * 64 * 32).reshape(80, 64, 32)
    torch.testing.assert_close(by_patches(compute, image, PATCH, BORDER, 0.0), image)
    assert len(corners) == 2 * 2 * 1


@given(st.tuples(*[st.integers(1, 700)] * 3))
def test_patches_cover_the_image_in_few_parts(shape):
    size = patch_size(shape)
    assert all(n % 16 == 0 for n in size)
    assert all(n > 2 * border for n, border in zip(size, BORDER, strict=True))
    assert np.all(np.array(size) <= (160, 128, 128))


def test_the_column_is_the_likeliest_way_not_the_largest_island():
    probability = np.zeros((60, 40, 40), np.float32)
    probability[2:30, 10:20, 10:20] = 0.9
    probability[32:44, 10:20, 10:20] = 0.3  # a part of the column, less sure
    probability[0:14, 2:38, 28:40] = 0.95  # a shoulder: more voxels, in few slices
    probability[49:60, 14:16, 14:16] = 0.1  # too unlikely
    bodies = column(probability, 2.0)
    assert bodies[2:30, 10:20, 10:20].all() and bodies[32:44, 10:20, 10:20].all()
    assert bodies.sum() == 2800 + 1200
    assert not column(np.minimum(probability, 0.5), 2.0).any()  # nothing is more likely than not
    assert not column(probability[28:30], 2.0).any()  # 200 voxels of 8 mm^3 are no vertebra
    assert not column(np.zeros((4, 4, 4)), 2.0).any()


def test_the_way_leans_with_the_column():
    probability = np.zeros((30, 40, 20), np.float32)
    for row in range(30):
        probability[row, row : row + 6, 8:13] = 0.8
    way, likely = likeliest_way(probability, 2.0)
    assert np.abs(way[3:-3] - [[row + 2.5, 10] for row in range(3, 27)]).max() <= 1.5
    assert likely[3:-3].min() > 0.25


def test_the_detector_finds_the_box_round_the_bodies(mccouat_glocker, coded_ct):
    image, points = coded_ct
    detector, _ = mccouat_glocker
    assert detector(image).contains(points).all()
    assert detector(image) == detector(image).intersection(SpineBox.of_image(image))
    assert detector(image * 0) is None
