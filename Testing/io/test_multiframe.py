"""Enhanced CT: one file of many frames, read by the same rules as a series of single slices."""

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import heights, volume, write_enhanced, write_series

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import read_ct


def check(path, expected, *, step=2.0, warnings=0, **options):
    """Voxels, spacing and origin are right to the letter; returns the scan."""
    scan = read_ct(path, **options)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), expected)
    np.testing.assert_allclose(scan.image.GetSpacing(), (0.7, 0.8, step))
    np.testing.assert_allclose(scan.image.GetOrigin(), (-50, -60, -700))
    assert len(scan.warnings) == warnings, scan.warnings
    return scan


def test_file_and_folder_give_the_volume(tmp_path):
    write_enhanced(tmp_path / "ct.dcm", volume(6), heights(6))
    check(tmp_path, volume(6))
    check(tmp_path / "ct.dcm", volume(6))


@pytest.mark.parametrize("order", ["shuffled", "odd-even", "backwards"])
def test_frames_may_be_stored_in_any_order(tmp_path, order):
    numbers = {
        "shuffled": np.random.default_rng(1).permutation(12).tolist(),
        "odd-even": [*range(0, 12, 2), *range(1, 12, 2)],
        "backwards": list(range(11, -1, -1)),
    }[order]
    write_enhanced(tmp_path / "ct.dcm", volume(12)[numbers], [heights(12)[number] for number in numbers])
    check(tmp_path, volume(12))


def test_a_missing_frame_keeps_the_step(tmp_path):
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    write_enhanced(tmp_path / "ct.dcm", volume(9)[kept], [heights(9)[number] for number in kept])
    scan = check(tmp_path, volume(9), warnings=1)
    assert "1 interpolated (at -692 mm)" in scan.warnings[0]


def test_every_frame_has_its_own_rescale(tmp_path):
    rescale = [(1, -1024), (2, -1024), (0.5, -1000), (1, 0), (1, -2000), (1, -1100)]
    planes = volume(6)
    planes[3] = np.maximum(planes[3], 0)
    write_enhanced(tmp_path / "ct.dcm", planes, heights(6), rescale=rescale)
    check(tmp_path, planes)


@pytest.mark.parametrize(
    "content",
    [
        [{"TemporalPositionIndex": 1 + number // 8} for number in range(16)],
        [{"FrameAcquisitionNumber": 1 + number // 8} for number in range(16)],
        [{"FrameAcquisitionDateTime": f"2020010110{number // 8}000"} for number in range(16)],
        [{"StackID": f"{number // 8}"} for number in range(16)],
        [{}] * 16,
    ],
    ids=["temporal", "acquisition", "time", "stack", "order alone"],
)
def test_two_phases_in_one_file_are_told_apart(tmp_path, content):
    late = volume(8) + 60
    write_enhanced(tmp_path / "ct.dcm", np.concatenate([volume(8), late]), [*heights(8), *heights(8)], content=content)
    scan = check(tmp_path, volume(8), warnings=1)
    assert "series 1.2.3 holds 2 volumes; taken is 1.2.3:1" in scan.warnings[0]
    assert "--series 1.2.3:2 takes" in scan.warnings[0]
    check(tmp_path, late, series="1.2.3:2")


def test_a_series_in_two_files_is_one_volume(tmp_path):
    write_enhanced(tmp_path / "b.dcm", volume(9)[:5], heights(9)[:5])
    write_enhanced(tmp_path / "a.dcm", volume(9)[5:], heights(9)[5:])
    check(tmp_path, volume(9))


def test_two_files_over_the_same_place_are_two_volumes(tmp_path):
    write_enhanced(tmp_path / "a.dcm", volume(6), heights(6))
    write_enhanced(tmp_path / "b.dcm", volume(6) + 60, heights(6))
    check(tmp_path, volume(6), warnings=1)
    check(tmp_path, volume(6) + 60, series="1.2.3:2")
    check(tmp_path / "b.dcm", volume(6) + 60)


def test_single_and_multi_frame_files_of_one_series_join(tmp_path):
    write_enhanced(tmp_path / "a.dcm", volume(9)[:5], heights(9)[:5])
    write_series(tmp_path, volume(9)[5:], heights(9)[5:])
    check(tmp_path, volume(9))


def test_frames_that_the_header_does_not_describe_are_refused(tmp_path):
    write_enhanced(tmp_path / "ct.dcm", volume(6), heights(6), NumberOfFrames=7)
    with pytest.raises(SpineError, match=r"ct\.dcm is truncated, damaged"):
        read_ct(tmp_path)
