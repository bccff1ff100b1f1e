"""Whether values are Hounsfield units: what is mended, what is refused."""

import numpy as np
import pytest
import SimpleITK as sitk
from grids import body, image_of

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.hounsfield import in_hounsfield


def mended(volume: np.ndarray, warnings: list[str] | None = None) -> np.ndarray:
    return sitk.GetArrayFromImage(in_hounsfield(image_of(volume), "scan", False, [] if warnings is None else warnings))


def padded(value: int, dtype=np.int16, offset=0) -> tuple[np.ndarray, np.ndarray]:
    """The body with padding round it, and what is right: air there."""
    volume, right = body(dtype=np.int64) + offset, body()
    volume[:, :, 0] = value
    right[:, :, 0] = -1024
    return volume.astype(dtype), right


@pytest.mark.parametrize("value", [-2000, -3024, -2048, -32768])
def test_padding_is_air(value):
    volume, right = padded(value)
    np.testing.assert_array_equal(mended(volume), right)


@pytest.mark.parametrize("value", [-2000, -3024, -1])
def test_an_offset_is_noticed_beside_padding(value):
    volume, right = padded(value, offset=1024)
    warnings: list[str] = []
    np.testing.assert_array_equal(mended(volume, warnings), right)
    assert "1024 subtracted" in warnings[0]


@pytest.mark.parametrize("value, offset", [(63536, 1024), (62512, 1024)])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_padding_stored_as_unsigned(value, offset, dtype):
    volume, right = padded(value, dtype, offset)
    warnings: list[str] = []
    np.testing.assert_array_equal(mended(volume, warnings), right)
    assert "168 voxels are negative numbers stored as unsigned ones" in warnings[0]


def test_hounsfield_units_stored_as_unsigned():
    np.testing.assert_array_equal(mended(body().view(np.uint16)), body())


def test_an_int16_image_is_not_copied():
    image = image_of(padded(-2000)[0])
    assert in_hounsfield(image, "scan", False, []) is image


def test_noise_round_the_offset_air_does_not_hide_the_offset():
    volume = body() + 1024
    volume[:, :2] = np.random.default_rng(0).normal(5, 30, volume[:, :2].shape).astype(np.int16)
    assert mended(volume).min() == -1024


WRONG = {
    "inverted": 113 - body(),
    "inverted about the highest value": body().max() - body(),
    "cone-beam": (body() * 0.7 + 400).astype(np.int16),
    "cone-beam with air": np.where(body() < -500, -1000, body() + 700).astype(np.int16),
    "mr": np.abs(np.random.default_rng(0).normal(0, 400, (12, 14, 16))).astype(np.int16),
    "mr with negative padding": np.where(
        body() < -500, -1000, np.random.default_rng(1).integers(0, 2500, (12, 14, 16))
    ),
    "labels": np.random.default_rng(0).integers(0, 25, (12, 14, 16)).astype(np.uint8),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_ct_is_refused(kind):
    with pytest.raises(SpineError) as caught:
        mended(WRONG[kind].astype(np.int16))
    message = str(caught.value)
    assert message.startswith("scan ") and "Hounsfield" in message and "--force" in message and "\n" not in message


def test_forced_values_are_taken_as_they_are(tmp_path):
    sitk.WriteImage(image_of(WRONG["cone-beam"]), str(tmp_path / "scan.nii.gz"))
    scan = read_ct(tmp_path / "scan.nii.gz", force=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), WRONG["cone-beam"])


def test_scaled_values_are_warned_of():
    tissues = np.repeat([-1000, -850, -100, 50, 400, 1300], [600, 500, 600, 900, 80, 8])
    right = (tissues + np.random.default_rng(0).normal(0, 15, tissues.size)).reshape(12, 14, 16)
    for factor, offset, lines in ((1, 0, 0), (2, 0, 1), (0.5, 0, 1), (1, -1024, 1)):
        warnings: list[str] = []
        mended((right * factor + offset).round().astype(np.int16), warnings)
        assert len(warnings) == lines and all("no Hounsfield units" in line for line in warnings)
