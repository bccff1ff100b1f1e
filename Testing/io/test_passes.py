"""Series that hold the body more than once: passes are told apart, one is taken, and how to take the other is said."""

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import heights, volume, write_series

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import read_ct

VENOUS = volume(12) + 60
"""The second pass."""


def array_of(folder, **options) -> np.ndarray:
    return sitk.GetArrayFromImage(read_ct(folder, **options).image)


def times(first: float, step: float, count=12) -> list[str]:
    return [f"10{int(t // 60):02d}{t % 60:05.2f}" for t in first + step * np.arange(count)]


WAYS = {
    "acquisition": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
    "temporal position": ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
    "contrast": ({"ContrastBolusAgent": "none"}, {"ContrastBolusAgent": "Omnipaque"}),
    "contrast start": ({"ContrastBolusStartTime": "100000"}, {"ContrastBolusStartTime": "101500"}),
    "content time": ({"ContentTime": "100000"}, {"ContentTime": "100500"}),
    "heart phase": ({"NominalPercentageOfCardiacPhase": 40}, {"NominalPercentageOfCardiacPhase": 75}),
    "time of each slice": (
        {"each": [{"AcquisitionTime": time} for time in times(0, 0.5)]},
        {"each": [{"AcquisitionTime": time} for time in times(60, 0.5)]},
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shift", [1.0, 0.3, 0.0])
def test_two_passes_are_told_apart(tmp_path, way, shift):
    first, second = WAYS[way]
    write_series(tmp_path, volume(12), heights(12), **first)
    write_series(tmp_path, VENOUS, heights(12, first=shift), first=13, **second)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), volume(12))
    assert scan.image.GetSpacing()[2] == pytest.approx(2.0)
    (warning,) = scan.warnings
    assert "series 1.2.3 holds 2 volumes; taken is 1.2.3:1" in warning
    assert "--series 1.2.3:2 takes" in warning and "12 slices" in warning
    other = read_ct(tmp_path, series="1.2.3:2")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(other.image), VENOUS)
    assert other.image.GetOrigin()[2] == pytest.approx(-700 + shift) and other.warnings == ()
    with pytest.raises(SpineError, match=r"no series 1\.2\.3:3; it has 1\.2\.3:1 \(CT, 12 slices\); 1\.2\.3:2"):
        read_ct(tmp_path, series="1.2.3:3")


def test_instance_numbers_tell_where_nothing_else_does(tmp_path):
    write_series(tmp_path, volume(12), heights(12))
    write_series(tmp_path, VENOUS, heights(12, first=0.3), first=13)
    np.testing.assert_array_equal(array_of(tmp_path), volume(12))


def test_mixed_passes_that_nothing_tells_apart_are_refused(tmp_path):
    mixed = np.stack([volume(12), VENOUS], axis=1).reshape(24, 10, 12)
    places = [place for pair in zip(heights(12), heights(12, first=0.3), strict=True) for place in pair]
    write_series(tmp_path, mixed, places)
    with pytest.raises(SpineError, match="two passes were mixed"):
        read_ct(tmp_path)


def test_overlapping_blocks_are_not_interleaved(tmp_path):
    write_series(tmp_path, volume(12), heights(12), AcquisitionNumber=1)
    write_series(tmp_path, volume(8) + 60, heights(8, first=17.0), first=13, AcquisitionNumber=2)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), volume(12))
    assert "--series 1.2.3:2 takes acquisition 2, 8 slices from -683 to -669 mm" in scan.warnings[0]


def test_blocks_that_follow_one_another_are_one_volume(tmp_path):
    for block in range(3):
        part = slice(4 * block, 4 * block + 4)
        tags = {"AcquisitionNumber": block + 1, "ContentTime": f"10{block:02d}00", "first": 4 * block + 1}
        write_series(tmp_path, volume(12)[part], heights(12)[part], **tags)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), volume(12))
    assert scan.warnings == ()


@pytest.mark.parametrize("tag", ["AcquisitionNumber", "TriggerTime", "InstanceNumber", "ContentTime", "KVP"])
def test_tags_of_their_own_in_every_slice_part_nothing(tmp_path, tag):
    order = np.random.default_rng(0).permutation(12)
    each = [{tag: f"10{number:02d}00" if tag == "ContentTime" else int(number)} for number in order]
    write_series(tmp_path, volume(12), each=each)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), volume(12))
    assert scan.warnings == ()


def test_a_volume_made_by_two_processors_at_once_is_one(tmp_path):
    """Both halves are computed at the same time, so that each second has slices of both."""
    each = [{"ContentTime": f"1000{number % 15 // 3:02d}"} for number in range(30)]
    write_series(tmp_path, volume(30), each=each)
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), volume(30))
    assert scan.warnings == ()


def test_two_energies_over_the_same_place(tmp_path):
    write_series(tmp_path, volume(12), heights(12), KVP=80)
    write_series(tmp_path, VENOUS, heights(12), first=13, KVP=140)
    np.testing.assert_array_equal(array_of(tmp_path), volume(12))
    np.testing.assert_array_equal(array_of(tmp_path, series="1.2.3:2"), VENOUS)


def test_the_pass_that_covers_more_is_taken(tmp_path):
    write_series(tmp_path, volume(4), heights(4, first=0.3), AcquisitionNumber=1)
    write_series(tmp_path, VENOUS, heights(12), first=13, AcquisitionNumber=2)
    np.testing.assert_array_equal(array_of(tmp_path), VENOUS)
