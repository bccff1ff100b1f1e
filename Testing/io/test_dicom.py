"""DICOM folders: the choice of a series, and volumes that lie where the slices were taken."""

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import heights, volume, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import SecondaryCaptureImageStorage

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import find_scans, read_ct

SHARED = Path(__file__).resolve().parents[3] / "shared"


def array_of(scan) -> np.ndarray:
    return sitk.GetArrayFromImage(scan.image)


def test_series_is_read_in_place_whatever_the_file_order(tmp_path):
    write_series(tmp_path / "study", volume(9))
    (tmp_path / "study" / "readme.txt").write_text("hello")
    (tmp_path / "study" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    scan = read_ct(tmp_path / "study")
    assert (scan.name, scan.warnings) == ("study", ())
    assert "series 1.2.3 (CT, 9 slices), the only CT series" in scan.source
    np.testing.assert_array_equal(array_of(scan), volume(9))
    np.testing.assert_allclose(scan.image.GetOrigin(), (-50, -60, -700))
    np.testing.assert_allclose(scan.image.GetSpacing(), (0.7, 0.8, 2))
    np.testing.assert_array_equal(scan.image.GetDirection(), np.eye(3).ravel())
    assert find_scans(tmp_path / "study") == find_scans(tmp_path) == [tmp_path / "study"]


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.sampled_from([0.5, 2.0, 5.0]),
    st.sampled_from([(1, -1024), (1, 0), (2, -1024), (0.5, -1000.5)]),
)
@settings(max_examples=15, deadline=None)
def test_every_voxel_keeps_its_place_and_value(tmp_path_factory, angles, step, rescale):
    """Slices of any orientation: each pixel is found at position + column * spacing + row * spacing (DICOM C.7.6.2)."""
    turn = sitk.Euler3DTransform((0, 0, 0), *np.radians(angles))
    row, column, normal = np.reshape(turn.GetMatrix(), (3, 3)).T
    planes = np.maximum(volume(5), 0 if rescale[1] == 0 else -1000)
    planes[2, 4, 5] = 900
    folder = tmp_path_factory.mktemp("oblique")
    options = {"ImageOrientationPatient": (*row, *column), "slope": rescale[0], "intercept": rescale[1]}
    write_series(folder, planes, step=step, **options)
    scan = read_ct(folder, force=True)
    bright = np.argwhere(array_of(scan) >= 899)
    assert len(bright) == 1
    place = np.array([-50, -60, -700]) + 2 * step * normal + 4 * 0.8 * column + 5 * 0.7 * row
    np.testing.assert_allclose(scan.image.TransformIndexToPhysicalPoint(bright[0][::-1].tolist()), place, atol=1e-3)
    np.testing.assert_allclose(array_of(scan), planes, atol=0.5)


def test_missing_rescale_is_recognised(tmp_path):
    planes = volume(6) - 100
    planes[:, 5:, 8:] = 900
    write_series(tmp_path, np.maximum(planes, -1000) + 1024, intercept=None)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(array_of(scan), np.maximum(planes, -1000))
    assert "1024 subtracted" in scan.warnings[0]


def test_slices_without_the_rescale_of_the_others_are_said(tmp_path):
    write_series(tmp_path, volume(12), each=[{}] * 11 + [{"RescaleIntercept": None}])
    assert read_ct(tmp_path).warnings == ("1 of 12 slices state no rescale intercept; taken as 0",)


def test_missing_slices_are_interpolated_and_reported(tmp_path):
    whole = volume(12)
    kept = [0, 1, 2, 4, 5, 6, 9, 10, 11]
    places = [(-50, -60, -700 + 2.0 * k) for k in kept]
    write_series(tmp_path, whole[kept], places)
    scan = read_ct(tmp_path)
    # The planes rise evenly, so that the interpolated ones are known.
    np.testing.assert_array_equal(array_of(scan), whole)
    assert scan.image.GetSpacing()[2] == pytest.approx(2.0)
    assert "3 interpolated (at -694, -686, -684 mm)" in scan.warnings[0]


def test_unequal_steps_are_made_equal(tmp_path):
    heights = np.array([0, 1, 2, 3, 4, 5, 6, 8.5, 11, 13])
    planes = volume(10)
    planes[:] = np.where(planes > -1000, (100 + 20 * heights)[:, None, None], planes)
    write_series(tmp_path, planes, [(0, 0, -z) for z in heights])
    scan = read_ct(tmp_path)
    assert scan.warnings
    last = array_of(scan)[:, -1, -1]
    z = scan.image.GetOrigin()[2] + scan.image.GetSpacing()[2] * np.arange(len(last))
    assert (z[0], z[-1]) == (pytest.approx(-13), pytest.approx(0))
    np.testing.assert_allclose(last, 100 - 20 * z, atol=2.1)


def test_doubled_slices_are_left_out(tmp_path):
    write_series(tmp_path, volume(8))
    write_series(tmp_path, volume(8)[2:4] + 5, heights(8)[2:4], first=20, AcquisitionNumber=2)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(array_of(scan), volume(8))
    assert "2 slices lie where another does and are left out (at -696, -694 mm)" in scan.warnings[0]


def test_copies_of_a_slice_are_read_once(tmp_path):
    write_series(tmp_path, volume(8))
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        (tmp_path / f"again{number}").write_bytes(path.read_bytes())
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(array_of(scan), volume(8))
    assert "8 slices are there twice" in scan.warnings[0]


def test_a_torn_series_keeps_its_longest_part(tmp_path):
    places = [(0, 0, z) for z in (*range(0, 20, 2), *range(60, 70, 2))]
    write_series(tmp_path, volume(15), places)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(array_of(scan), volume(15)[:10])
    assert "10 of 15 slices" in scan.warnings[0]


def test_gantry_tilt_is_set_upright(tmp_path):
    tilt = np.radians(20)
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(tilt), -np.sin(tilt)])
    places = [(0, 0, 3.0 * k) for k in range(8)]
    planes = volume(8, 30, 12)
    planes[5, 17, 6] = 1500
    write_series(tmp_path, planes, places, ImageOrientationPatient=(*row, *column), pixel=(1.0, 1.0))
    scan = read_ct(tmp_path)
    assert "20.0 degrees (gantry tilt)" in scan.warnings[0]
    direction = np.reshape(scan.image.GetDirection(), (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-6)
    assert scan.image.GetSpacing()[2] == pytest.approx(3 * np.cos(tilt))
    place = np.array([0, 0, 15.0]) + 17 * column + 6 * row
    z, y, x = np.argwhere(array_of(scan) > 700).mean(0)
    np.testing.assert_allclose(scan.image.TransformContinuousIndexToPhysicalPoint((x, y, z)), place, atol=0.6)


def test_slices_shifted_sideways_are_refused(tmp_path):
    write_series(tmp_path, volume(8), [(0, 15.0 * (k > 4), 2 * k) for k in range(8)])
    with pytest.raises(SpineError, match="sideways"):
        read_ct(tmp_path)


def whole_study(folder: Path) -> None:
    """What a scanner sends: scouts, soft and bone kernels, reformats, another modality, a screenshot."""
    write_series(folder, volume(2), uid="1.1", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(folder, volume(20), uid="1.2", step=3.0, SeriesDescription="L-Spine 3.0 soft")
    write_series(folder, volume(60), uid="1.3", step=1.0, SeriesDescription="L-Spine 1.0 B60 bone")
    write_series(folder, volume(60), uid="1.4", step=1.0, SeriesDescription="L-Spine 1.0 soft")
    write_series(folder, volume(70), uid="1.5", step=1.0, SeriesDescription="Abdomen")
    write_series(folder, volume(5), uid="1.6", step=1.0, SeriesDescription="Spine disc", ConvolutionKernel="bone")
    write_series(folder, volume(90), uid="1.7", Modality="PT", SeriesDescription="spine bone PET")
    write_series(folder, volume(3), uid="1.8", SOPClassUID=SecondaryCaptureImageStorage)


@pytest.mark.parametrize("stated", [None, [0, 0], [-0.8, 0.7]])
def test_pixels_of_no_size_are_refused(tmp_path, stated):
    write_series(tmp_path, volume(3), PixelSpacing=stated)
    with pytest.raises(SpineError, match="outside 0"):
        read_ct(tmp_path)


def test_the_spine_ct_is_chosen_from_a_study(tmp_path):
    whole_study(tmp_path)
    scan = read_ct(tmp_path)
    assert "series 1.3 (CT, L-Spine 1.0 B60 bone, 60 slices), chosen from 5 CT series" in scan.source
    assert scan.image.GetSize()[2] == 60


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.4"])
def test_several_patients_in_a_folder_are_said_and_never_one_volume(tmp_path, uid):
    write_series(tmp_path, volume(20), PatientID="a")
    write_series(tmp_path, volume(9) + 10, heights(9, first=40), uid=uid, PatientID="b", first=50)
    scan = read_ct(tmp_path)
    assert scan.image.GetSize()[2] == 20 and any("2 patients" in line for line in scan.warnings)


def test_series_can_be_named(tmp_path):
    whole_study(tmp_path)
    scan = read_ct(tmp_path, series="1.2")
    assert scan.image.GetSize()[2] == 20 and "as asked" in scan.source
    with pytest.raises(SpineError, match=r"has no series 9\.9; it has .*1\.3 \(CT, L-Spine 1\.0 B60 bone, 60 slices\)"):
        read_ct(tmp_path, series="9.9")
    with pytest.raises(SpineError, match=r"no CT series.*--force"):
        read_ct(tmp_path, series="1.7")
    assert read_ct(tmp_path, series="1.7", force=True).image.GetSize()[2] == 90


def test_no_ct_in_the_folder(tmp_path):
    write_series(tmp_path, volume(5), Modality="MR")
    with pytest.raises(SpineError, match=r"no CT series.*1\.2\.3 \(MR, 5 slices\)"):
        read_ct(tmp_path)
    write_series(tmp_path / "one", volume(1))
    with pytest.raises(SpineError, match="no CT series of several slices"):
        read_ct(tmp_path / "one")
    with pytest.raises(SpineError, match="no CT series of several slices"):
        read_ct(next((tmp_path / "one").iterdir()))


@pytest.mark.parametrize("keep", [400, 0.5, -10])
def test_truncated_dicom_names_the_file(tmp_path, keep):
    write_series(tmp_path, volume(6))
    path = sorted(tmp_path.iterdir())[3]
    path = path.rename(path.with_suffix(".dcm"))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(SpineError) as caught:
        read_ct(tmp_path)
    assert str(path) in str(caught.value) and "damaged" in str(caught.value) and "\n" not in str(caught.value)


def test_reports_beside_the_slices_do_no_harm(tmp_path):
    write_series(tmp_path, volume(6))
    report = pydicom.dcmread(next(tmp_path.iterdir()))
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    report.Modality, report.SeriesInstanceUID = "SR", "1.2.9"
    for tag in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
        delattr(report, tag)
    report.save_as(tmp_path / "report", enforce_file_format=True)
    np.testing.assert_array_equal(array_of(read_ct(tmp_path)), volume(6))


def test_a_dicom_folder_is_one_scan_whatever_else_is_in_it(tmp_path):
    for case in ("b", "a"):
        write_series(tmp_path / case, volume(3))
        write_series(tmp_path / case / "inner", volume(3))
        (tmp_path / case / "made_from_it.nii.gz").touch()
    (tmp_path / "c.nrrd").touch()
    assert find_scans(tmp_path) == [tmp_path / "a", tmp_path / "b", tmp_path / "c.nrrd"]


@pytest.mark.parametrize("content", [b"", b"patient list\n", bytes(100)])
def test_a_file_that_is_no_dicom_among_the_slices_is_left_out(tmp_path, content):
    write_series(tmp_path, volume(6))
    (tmp_path / "notes.dcm").write_bytes(content)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(array_of(scan), volume(6))
    assert "1 files are no DICOM though named so, and left out (notes.dcm)" in scan.warnings[0]


def test_links_to_slices_are_followed(tmp_path):
    """As git-annex and datalad lay out a folder; links that lead nowhere are pointed out."""
    write_series(tmp_path / "objects", volume(6))
    folder = tmp_path / "linked"
    folder.mkdir()
    for path in (tmp_path / "objects").iterdir():
        (folder / path.name).symlink_to(path)
    os.mkfifo(folder / "pipe.dcm")
    assert find_scans(folder) == [folder]
    scan = read_ct(folder)
    np.testing.assert_array_equal(array_of(scan), volume(6))
    assert scan.warnings == ()
    next((tmp_path / "objects").iterdir()).unlink()
    assert "1 links lead to files that are not here" in read_ct(folder).warnings[0]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the research data beside the project (../shared) are not here")
def test_real_dicom_folder():
    folder = SHARED / "dicom" / "acrin_flt_013"
    scan = read_ct(folder)
    assert scan.warnings == () and scan.image.GetSize() == (512, 512, 49)
    # The same scan as a cropped NIfTI file, rounded to 2 HU.
    cropped = read_ct(SHARED / "ct" / "acrin_flt_013" / "ct.nii.gz").image
    here = sitk.Resample(scan.image, cropped, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.abs(sitk.GetArrayFromImage(here) - sitk.GetArrayFromImage(cropped)).max() <= 2
