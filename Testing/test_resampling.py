"""Resampling to the working lattice: exact, whatever the storage order, and averaged where it gets coarser."""

import numpy as np
import pytest
import SimpleITK as sitk
from grids import body, image_of, turn
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.resampling import resample, same_grid
from SpineSegmentationLib.spine import SpineBox


def linear(points: np.ndarray) -> np.ndarray:
    """A field that linear interpolation and block averages keep exactly."""
    return points @ [3.0, -2.0, 1.5] + 7.0


def field_image(direction, spacing, size=(30, 28, 26), origin=(3.0, -7.0, 11.0)) -> sitk.Image:
    """The linear field sampled on a grid."""
    indices = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    points = (indices * spacing) @ np.reshape(direction, (3, 3)).T + origin
    return image_of(linear(points).astype(np.float32).transpose(2, 1, 0), spacing, origin, direction)


def lattice(image: sitk.Image) -> np.ndarray:
    """The points (z, y, x, 3) of an image along the LPS axes."""
    axes = [
        o + s * np.arange(n) for o, s, n in zip(image.GetOrigin(), image.GetSpacing(), image.GetSize(), strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).transpose(2, 1, 0, 3)


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "ASR", "SLP"])
@pytest.mark.parametrize("box", [None, SpineBox((-3.0, 2.0, 5.0), (9.0, 11.0, 17.0))])
def test_resampling_does_not_depend_on_the_storage_order(orientation, box):
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(0, 300, (31, 33, 35)).astype(np.float32))
    image.SetSpacing((0.7, 0.9, 0.8))
    image.SetOrigin((-8.0, -6.0, -2.0))
    stored = sitk.DICOMOrient(image, orientation)
    as_it_is, otherwise = (sitk.GetArrayFromImage(resample(one, 4.0, box)) for one in (image, stored))
    np.testing.assert_allclose(as_it_is, otherwise, atol=1e-3)


@given(
    order=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    tilt=st.floats(-30, 30).map(lambda angle: round(angle, 6)),  # ITK cannot invert denormal directions
    step=st.sampled_from([0.7, 1.0, 2.0, 3.3, (2.0, 1.0, 4.0)]),
)
@settings(max_examples=40, deadline=None)
def test_resampling_is_exact_for_a_linear_field(order, flips, tilt, step):
    direction = turn(0, tilt) @ (np.eye(3)[list(order)] * flips)
    image = field_image(direction, (1.0, 0.8, 1.3))
    result = resample(image, step)
    voxels, points = sitk.GetArrayFromImage(result), lattice(result)
    spacing = np.broadcast_to(step, 3)
    assert result.GetPixelID() == sitk.sitkFloat32
    np.testing.assert_array_equal(np.reshape(result.GetDirection(), (3, 3)), np.eye(3))
    steps = np.divide(result.GetOrigin(), spacing)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    # Deep inside every value is right; at the border a voxel's width is clamped or lost to whole blocks.
    indices = (points - image.GetOrigin()) @ direction / image.GetSpacing()
    margin = 2 * spacing.max() / 0.8 + 1
    inside = ((indices > margin) & (indices < np.array(image.GetSize()) - 1 - margin)).all(-1)
    assert inside.any()
    np.testing.assert_allclose(voxels[inside], linear(points[inside]), atol=1e-2)
    outside = ((indices < -1) | (indices > np.array(image.GetSize()))).any(-1)
    assert (voxels[outside] == -1024).all()


@given(
    lower=st.tuples(*[st.floats(-20, 30)] * 3),
    extent=st.tuples(*[st.floats(0.5, 30)] * 3),
    step=st.sampled_from([0.9, 2.0, 4.0]),
    tilt=st.sampled_from([0.0, 17.0]),
)
@settings(max_examples=40, deadline=None)
def test_crops_agree_with_the_whole(lower, extent, step, tilt):
    noise = np.random.default_rng(1).integers(-1000, 1000, (26, 28, 30)).astype(np.int16)
    image = image_of(noise, (1.0, 0.8, 1.3), (3.0, -7.0, 11.0), turn(2, tilt) @ np.diag([-1, -1, 1]))
    box = SpineBox(lower, np.add(lower, extent))
    whole, part = resample(image, step), resample(image, step, box)
    shift = np.round((np.subtract(part.GetOrigin(), whole.GetOrigin())) / step).astype(int)
    np.testing.assert_allclose(np.add(whole.GetOrigin(), shift * step), part.GetOrigin(), atol=1e-9)
    start, stop = np.maximum(shift, 0), np.minimum(shift + part.GetSize(), whole.GetSize())
    common = tuple(slice(a, max(a, b)) for a, b in zip(start[::-1], stop[::-1], strict=True))
    here = tuple(slice(a, max(a, b)) for a, b in zip((start - shift)[::-1], (stop - shift)[::-1], strict=True))
    voxels = sitk.GetArrayFromImage(part)
    np.testing.assert_allclose(voxels[here], sitk.GetArrayFromImage(whole)[common], atol=1e-2)
    voxels[here] = -1024
    assert (voxels == -1024).all()
    points = lattice(part).reshape(-1, 3)
    if (np.array(extent) > step).all():
        assert box.contains(points[[0, -1]]).all() or np.allclose(np.clip(points, lower, box.upper), points, atol=1e-5)
        assert (points[0] - lower < step + 1e-6).all() and (box.upper - points[-1] < step + 1e-6).all()


def test_coarse_grids_are_averaged_not_picked():
    # A checkerboard of +-100 is pure aliasing: its average is 0 wherever a whole block is seen.
    board = (100 * (-1) ** np.indices((16, 16, 16)).sum(0)).astype(np.int16)
    voxels = sitk.GetArrayFromImage(resample(image_of(board, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), 4.0))
    assert np.abs(voxels[voxels != -1024]).max() == 0


def test_fill_and_a_box_off_the_image():
    far = SpineBox((500, 500, 500), (520, 520, 520))
    assert (sitk.GetArrayFromImage(resample(image_of(body()), 4.0, far, fill=-7.0)) == -7.0).all()


def test_grids_are_the_same_within_a_micrometre():
    image = image_of(body())
    assert same_grid(image, image_of(body(), origin=(-30.0005, 12.5, -500.25)))
    assert not same_grid(image, image_of(body(), origin=(-30.01, 12.5, -500.25)))
    assert not same_grid(image, image_of(body()[1:]))
    assert not same_grid(image, image_of(body(), direction=np.diag([-1.0, 1, 1])))
