"""Projected training samples: whatever is done to the pictures is done to the points."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.training.views import Views, batched, degraded, mirrored, resized, stacked, window

BLOB = 3.0  # pixels


def _views(rows, ranks, positions, size=(40, 50), base=0.0):
    """Views with a blob of HU 1000 + rank at each position, on a ground of ``base`` HU."""
    positions = np.asarray(positions, float).reshape(-1, 3)
    pictures = []
    for columns, axis in zip(size, (1, 2), strict=True):
        z, along = np.mgrid[:rows, :columns]
        picture = np.full((rows, columns), base)
        for point in positions:
            away = (z - point[0]) ** 2 + (along - point[axis]) ** 2
            picture += 1000 * np.exp(-away / (2 * BLOB**2))
        pictures.append(torch.from_numpy(np.repeat(picture[None], 3, 0).astype(np.float32)))
    return Views(*pictures, np.array(ranks), positions)


def _brightest(view, near, reach=5):
    low = np.maximum(np.rint(near).astype(int) - reach, 0)
    part = view[0, low[0] : low[0] + 2 * reach + 1, low[1] : low[1] + 2 * reach + 1]
    return low + np.unravel_index(int(part.argmax()), part.shape)


def _assert_points_are_blobs(views):
    for point in views.positions:
        for view, axis in ((views.sagittal, 1), (views.coronal, 2)):
            np.testing.assert_allclose(_brightest(view, point[[0, axis]]), point[[0, axis]], atol=1.1)


def _column(first, count, rows, gap=16, y=20.0, x=25.0, base=0.0):
    z = rows - 10 - gap * np.arange(count)
    ranks = np.arange(first, first + count)
    return _views(rows, ranks, np.stack([z, np.full(count, y), np.full(count, x)], 1), base=base)


def test_a_window_keeps_the_vertebrae_inside():
    views = _column(3, 5, 90)
    part = window(views, 20, 70)
    assert part.sagittal.shape[1] == part.coronal.shape[1] == 50
    assert list(part.ranks) == [4, 5, 6]
    _assert_points_are_blobs(part)


def test_the_mirror_image_exchanges_left_and_right_alone():
    views = _column(3, 3, 60, x=12.0)
    other = mirrored(views)
    _assert_points_are_blobs(other)
    assert list(other.positions[:, 2]) == [37, 37, 37]
    torch.testing.assert_close(mirrored(other).coronal, views.coronal)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_stretching_moves_the_points_with_the_pictures(seed):
    result = resized(_column(2, 4, 80), np.random.default_rng(seed))
    assert result.sagittal.shape[1] == result.coronal.shape[1]
    _assert_points_are_blobs(result)


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.floats(10, 30), st.floats(12, 38))
@settings(max_examples=40, deadline=None)
def test_two_people_are_joined_at_a_shared_level(seed, first, y, x):
    upper = _column(0, 6, 100)
    lower = _column(first, 6, 110, y=y, x=x, base=0.0)
    joined = stacked(upper, lower, np.random.default_rng(seed))
    if first == 6:
        assert joined is upper
        return
    assert list(joined.ranks) == list(range(first + 6))
    assert (np.diff(joined.positions[:, 0]) < 0).all()
    np.testing.assert_allclose(np.diff(joined.positions[:, 0]), -16, atol=1)
    inside = [np.all((p > 2) & (p < [joined.sagittal.shape[1] - 3, 37, 47])) for p in joined.positions]
    shown = Views(joined.sagittal, joined.coronal, joined.ranks[inside], joined.positions[inside])
    _assert_points_are_blobs(shown)


def test_the_joint_takes_each_side_from_its_own_person():
    upper, lower = _column(0, 6, 100, base=100.0), _column(2, 6, 110, base=-300.0)
    joined = stacked(upper, lower, np.random.default_rng(0))
    assert float(joined.sagittal[0, -1, 0]) == pytest.approx(100, abs=1)
    assert float(joined.sagittal[0, 0, 0]) == pytest.approx(-300, abs=1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_degrading_keeps_size_and_finite_values_and_its_input(seed):
    views = _column(2, 3, 60)
    before = views.sagittal.clone()
    torch.manual_seed(seed)
    result = degraded(views.sagittal, np.random.default_rng(seed))
    assert result.shape == before.shape
    assert torch.isfinite(result).all()
    torch.testing.assert_close(views.sagittal, before)


def test_batches_are_padded_with_air():
    batch = batched([torch.zeros(3, 4, 5), torch.ones(3, 6, 2)])
    assert batch.shape == (2, 3, 6, 5)
    assert float(batch[0, :, 4:].max()) == float(batch[1, :, :, 2:].max()) == -1000
    assert float(batch[1, 0, 5, 1]) == 1
