"""NIfTI files: the grid and the values that the standard and the other readers of this field give them."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from grids import body, turn

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import read_ct

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SFORM = np.array([[-0.8, 0, 0, 5], [0, -0.9, 0, 6], [0, 0, 2.0, 7], [0, 0, 0, 1]])


@pytest.fixture
def saved(tmp_path):
    """Saves the body under sform and qform (RAS, with codes), and header fields of any value."""

    def save(sform=None, sform_code=0, qform=None, qform_code=0, kind=nibabel.Nifti1Image, name="scan.nii.gz", **more):
        image = kind(body().T, None)
        image.set_sform(sform, sform_code)
        image.set_qform(qform, qform_code)
        nibabel.save(image, tmp_path / "plain.nii")
        data = bytearray((tmp_path / "plain.nii").read_bytes())
        for layout, offset, *values in more.values():
            struct.pack_into(layout, data, offset, *values)
        (tmp_path / name).write_bytes(gzip.compress(bytes(data)) if name.endswith("gz") else data)
        return tmp_path / name

    return save


def refused(path, *words):
    with pytest.raises(SpineError) as caught:
        read_ct(path)
    assert all(word in str(caught.value) for word in (str(path), *words)) and "\n" not in str(caught.value)


def placed(path) -> np.ndarray:
    """The 4 x 4 of the scan as read, voxel index to RAS mm."""
    image = read_ct(path).image
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), body())
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return RAS @ affine


def shifted(millimetres: float) -> np.ndarray:
    other = SFORM.copy()
    other[2, 3] += millimetres
    return other


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("sform_code, qform_code", [(1, 1), (2, 1), (4, 1), (1, 2), (1, 0), (3, 3)])
def test_the_sform_counts(saved, kind, sform_code, qform_code):
    qform = shifted(40.0) if qform_code else None
    path = saved(SFORM, sform_code, qform, qform_code, kind)
    np.testing.assert_allclose(placed(path), SFORM, atol=1e-5)
    np.testing.assert_allclose(placed(path), nibabel.load(path).affine, atol=1e-5)
    warnings = read_ct(path).warnings
    assert len(warnings) == (qform_code > 0)
    assert not warnings or "sform and qform place the volume up to 40.0 mm apart" in warnings[0]


@pytest.mark.parametrize("apart, told", [(0.07, False), (0.09, True)])
def test_a_tenth_of_a_voxel_apart_is_told(saved, apart, told):
    assert bool(read_ct(saved(SFORM, 1, shifted(apart), 1)).warnings) == told


def test_without_an_sform_the_qform_counts(saved):
    qform = np.eye(4)
    qform[:3, :3] = turn(1, 30) * [0.8, 0.9, 2.0]
    qform[:3, 3] = 5, 6, 7
    np.testing.assert_allclose(placed(saved(None, 0, qform, 1)), qform, atol=1e-5)


def test_without_both_the_orientation_is_said_to_be_unknown(saved):
    path = saved(pixdim=("<3f", 80, 0.8, 0.9, 2.0))
    assert "does not state its orientation" in read_ct(path).warnings[0]
    np.testing.assert_allclose(read_ct(path).image.GetSpacing(), (0.8, 0.9, 2.0), atol=1e-6)


def test_negative_voxel_sizes(saved):
    """Left over from Analyze: an sform does without them; a qform cannot, and readers differ."""
    negative = ("<f", 80, -0.8)
    np.testing.assert_allclose(placed(saved(SFORM, 1, pixdim=negative)), SFORM, atol=1e-5)
    refused(saved(None, 0, SFORM, 1, pixdim=negative), "voxel size that is not positive")
    for size in (0.0, float("nan")):
        refused(saved(SFORM, 1, pixdim=("<f", 80, size)), "voxel size that is not positive")


@pytest.mark.parametrize(
    "slope, intercept, factor, offset",
    [(0.0, 7.0, 1, 0), (float("nan"), 7.0, 1, 0), (1.0, 0.0, 1, 0), (2.0, -100.0, 2, -100), (0.5, 0.0, 0.5, 0)],
)
def test_scaling(saved, slope, intercept, factor, offset):
    """A slope of 0 means no scaling at all, without the intercept, too (nifti1.h)."""
    path = saved(SFORM, 1, scl=("<2f", 112, slope, intercept))
    expected = np.maximum(np.rint(body() * factor + offset), -1024)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path).image), expected)


def test_sheared_axes_are_set_upright(saved):
    sheared = SFORM.copy()
    sheared[1, 2] = 2.0
    scan = read_ct(saved(sheared, 1))
    assert "sheared by 45.0 degrees" in scan.warnings[0]
    direction = np.reshape(scan.image.GetDirection(), (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-6)


def test_a_flattened_sform_is_refused(saved):
    flat = SFORM.copy()
    flat[:3, 2] = flat[:3, 1]
    refused(saved(flat, 1), "flattened")


def test_sizes_that_the_file_cannot_hold(saved):
    huge = ("<3h", 42, 30000, 30000, 30000)
    for name in ("scan.nii.gz", "scan.nii"):
        refused(saved(SFORM, 1, name=name, dim=huge), "export it again")


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), -5.0, 0.0, 348.0, 351.0])
def test_voxels_do_not_begin_in_the_header(saved, offset):
    """nibabel takes 0 at its word and refuses 348, ITK begins at 348 with both."""
    refused(saved(SFORM, 1, begin=("<f", 108, offset)), "export it again")


@pytest.mark.parametrize("order", "<>")
def test_nifti_of_both_byte_orders(tmp_path, order):
    """A header laid out by hand after the NIfTI-1 standard; with NaN, then cut short, then with no voxel size."""
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, 3, 16, 14, 12, 1, 1, 1, 1)
    struct.pack_into(order + "2h", header, 70, 16, 32)
    struct.pack_into(order + "8f", header, 76, 1, 0.8, 0.9, 2, 1, 1, 1, 1)
    struct.pack_into(order + "3f", header, 108, 352, 1.0, 0.0)
    struct.pack_into(order + "2h", header, 252, 0, 1)
    struct.pack_into(order + "12f", header, 280, 0.8, 0, 0, 5, 0, 0.9, 0, 6, 0, 0, 2, 7)
    header[344:348] = b"n+1\0"
    voxels = body().astype(order + "f4")
    voxels[3, 4, 5:8] = [np.nan, np.inf, -np.inf]
    path = tmp_path / "scan.nii"
    path.write_bytes(header + voxels.tobytes())
    scan = read_ct(path)
    assert scan.warnings == ("3 voxels are NaN or infinite; taken as air",)
    expected = body()
    expected[3, 4, 5:8] = -1024
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), expected)
    np.testing.assert_allclose(scan.image.GetOrigin(), (-5, -6, 7))
    path.write_bytes(header + voxels.tobytes()[:-1])
    refused(path, "export it again")
    struct.pack_into(order + "f", header, 84, 0.0)
    path.write_bytes(header + voxels.tobytes())
    refused(path, "voxel size")
