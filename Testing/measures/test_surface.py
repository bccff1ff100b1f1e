"""The surface between voxels inside and outside, against planes that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.measures.surface import between

ANYTHING = np.zeros(3), np.array([10.0, 1.0, 1.0])
X, Y = (values.ravel() for values in np.meshgrid(np.arange(-15, 16.0), np.arange(-12, 13.0)))


def plane(offset, along_x, along_y, thickness, start=0.0, way=1, expected=ANYTHING):
    """Of the voxels of slices of a thickness in mm, the first of which lies at ``start`` below -20."""
    x, y, z = (np.concatenate(all_) for all_ in zip(*((X, Y, np.full(X.shape, z)) for z in np.arange(
        -20 - start, 20, thickness)), strict=True))  # fmt: skip
    design = np.stack([np.ones_like(x), x, y], axis=1)
    inside = way * (offset + along_x * x + along_y * y - z) > 0
    return between(design, z, inside, *expected, way)


@settings(max_examples=15, deadline=None)
@given(
    offset=st.floats(-3, 3),
    tilt=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    start=st.floats(0, 1),
    way=st.sampled_from([1, -1]),
)
def test_thin_slices_tell_the_plane(offset, tilt, start, way):
    found = plane(offset, *tilt, 1.0, start, way)
    assert found[0] == pytest.approx(offset, abs=0.55)
    # Without a step within 24 mm a plane may lean by 1 mm.
    assert found[1:] == pytest.approx(tilt, abs=0.07)


def test_thick_slices_tell_a_plane_that_crosses_several_of_them():
    # 30 mm at a slope of 0.5 cross five slices of 3 mm: where they do is known to half a voxel.
    assert plane(0.7, 0.5, 0.1, 3.0) == pytest.approx([0.7, 0.5, 0.1], abs=0.07)


def test_what_the_slices_leave_open_is_as_expected():
    # A flat plane between slices at -2 and 1 mm may lie anywhere between them, and lean a little.
    expected = np.array([0.5, 0.0, 0.0]), np.array([0.3, 0.05, 0.05])
    assert plane(0.0, 0.0, 0.0, 3.0, start=0.0, expected=expected)[1:] == pytest.approx([0, 0], abs=0.01)
    assert -2 < plane(0.0, 0.0, 0.0, 3.0, start=0.0, expected=expected)[0] < 1


def test_a_spur_does_not_tip_the_plane():
    x, y, z = (np.concatenate(all_) for all_ in zip(*((X, Y, np.full(X.shape, z)) for z in np.arange(-10, 11.0)),
                                                    strict=True))  # fmt: skip
    inside = (z < 0.5) | ((x > 9) & (np.abs(y) < 6) & (z < 6))
    found = between(np.stack([np.ones_like(x), x, y], axis=1), z, inside, *ANYTHING, 1)
    # Between the slices at 0 and 1 mm but for half a millimetre beside the spur, which is 5 mm high.
    heights = np.stack([np.ones_like(X), X, Y], axis=1) @ found
    assert heights.min() > -0.1 and heights.max() < 1.5
