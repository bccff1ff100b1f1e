"""The scans of a folder, whatever else lies there and whatever it is called."""

import os
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import volume, write_series
from grids import body, image_of
from pydicom.uid import SecondaryCaptureImageStorage

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import find_scans, read_ct
from SpineSegmentationLib.io.writing import write_image

ODD = os.fsdecode(b"Gr\xfc\xdfe")
"""A name that is no UTF-8, as archives of other systems leave it."""

posix = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are always Unicode here")


def test_reports_and_strays_hide_nothing(tmp_path):
    write_series(tmp_path / "series", volume(4))
    write_image(image_of(body()), tmp_path / "other.nii.gz")
    write_series(tmp_path, volume(1), uid="1.9", SOPClassUID=SecondaryCaptureImageStorage)
    write_series(tmp_path, volume(2), uid="1.8", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (tmp_path / "stray.dcm").write_text("notes")
    assert find_scans(tmp_path) == [tmp_path / "other.nii.gz", tmp_path / "series"]


def test_a_folder_of_reports_alone_is_read_to_say_so(tmp_path):
    write_series(tmp_path, volume(1), uid="1.9", SOPClassUID=SecondaryCaptureImageStorage)
    assert find_scans(tmp_path) == [tmp_path]
    with pytest.raises(SpineError, match="no CT series"):
        read_ct(tmp_path)


def test_dose_report_beside_the_slices_does_no_harm(tmp_path):
    write_series(tmp_path, volume(4))
    report = pydicom.dcmread(next(tmp_path.iterdir()))
    report.SeriesInstanceUID = "1.2.9"
    del report.ImagePositionPatient, report.ImageOrientationPatient
    report.save_as(tmp_path / "dose")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(tmp_path).image), volume(4))


def test_masks_of_every_layout_are_no_scans(tmp_path):
    scans = ["verse004.nii.gz", "sub-verse004_ct.nii.gz", "ct.nrrd", "mask_study_7.nii.gz"]
    masks = [
        *("verse004_seg.nii.gz", "sub-verse004_seg-vert_msk.nii.gz", "verse004_mask.nii.gz", "seg.nii.gz"),
        *("Segmentation.seg.nrrd", "CT-label.nrrd", "mask.nii.gz", "labels.nii.gz"),
    ]
    for name in scans + masks:
        (tmp_path / name).touch()
    assert find_scans(tmp_path) == sorted(tmp_path / name for name in scans)


@posix
@pytest.mark.parametrize("extension", ["nii.gz", "nii", "nrrd", "nhdr", "mha", "mhd"])
def test_names_that_are_no_utf_8(tmp_path, extension):
    """ITK ends the whole program with such a name."""
    folder = tmp_path / ODD
    folder.mkdir()
    sitk.WriteImage(image_of(body()), str(tmp_path / f"a.{extension}"))
    for path in list(tmp_path.glob("a.*")):
        path.rename(folder / (f"{ODD}.{extension}" if path.suffix == f".{extension.split('.')[-1]}" else path.name))
    (path,) = find_scans(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path).image), body())


@posix
@pytest.mark.parametrize("extension", ["nii.gz", "nrrd", "mha"])
def test_writing_to_names_that_are_no_utf_8(tmp_path, extension):
    path = tmp_path / ODD / f"{ODD}.{extension}"
    path.parent.mkdir()
    write_image(image_of(body()), path)
    assert list(path.parent.iterdir()) == [path]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path).image), body())


@posix
def test_dicom_in_a_folder_whose_name_is_no_utf_8(tmp_path):
    write_series(tmp_path / ODD, volume(4))
    assert read_ct(tmp_path / ODD).image.GetSize()[2] == 4
