"""Stored values to Hounsfield units: rescale, padding, photometric interpretation, compression."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import heights, volume, write_enhanced, write_series
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import read_ct


def padded(value: int) -> np.ndarray:
    """The volume with padding, in Hounsfield units, outside a circle (here: a corner and the border)."""
    planes = volume(6).astype(int)
    planes[:, :2, :3] = value
    planes[:, -1] = value
    return planes


def array_of(path, **options) -> np.ndarray:
    return sitk.GetArrayFromImage(read_ct(path, **options).image)


@pytest.mark.parametrize("enhanced", [False, True])
def test_monochrome1_is_not_inverted(tmp_path, enhanced):
    """It says how values are shown, not what they are (DICOM C.7.6.3.1.2)."""
    if enhanced:
        write_enhanced(tmp_path / "ct", volume(6), heights(6), PhotometricInterpretation="MONOCHROME1")
    else:
        write_series(tmp_path, volume(6), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(array_of(tmp_path), volume(6))


@pytest.mark.parametrize(
    "stored, tags",
    [
        (-2000, {"PixelRepresentation": 1, "PixelPaddingValue": -2000}),
        (-3024, {"PixelRepresentation": 1}),
        (63536, {"PixelPaddingValue": 63536}),
        (4095, {"PixelPaddingValue": 4095}),
        (3950, {"PixelPaddingValue": 3900, "PixelPaddingRangeLimit": 4000}),
        (3950, {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 3900}),
    ],
)
def test_padding_is_air(tmp_path, stored, tags):
    write_series(tmp_path, padded(stored - 1024), **tags)
    np.testing.assert_array_equal(array_of(tmp_path), padded(-1024))


def test_padding_written_as_the_other_type(tmp_path):
    """-2000 of signed pixels in an attribute that is stated to be unsigned, as some scanners write it."""
    write_series(tmp_path, padded(-3024), PixelRepresentation=1)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        data.add_new("PixelPaddingValue", "US", 63536)
        data.save_as(path)
    np.testing.assert_array_equal(array_of(tmp_path), padded(-1024))


@pytest.mark.parametrize("padding", [-2000, -3024, None])
def test_a_lost_offset_is_noticed_beside_padding(tmp_path, padding):
    planes = volume(6) - 100
    planes[:, 5:, 8:] = 900
    planes = np.maximum(planes, -1000) + 1024
    if padding:
        planes[:, :2, :3] = padding
    write_series(tmp_path, planes, intercept=None, PixelRepresentation=1)
    scan = read_ct(tmp_path)
    expected = np.maximum(planes - 1024, -1024)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), expected)
    assert "1024 subtracted" in scan.warnings[0]


@pytest.mark.parametrize("unit", ["Z_EFF", "ED", "MGML"])
def test_what_spectral_ct_computes_besides_hounsfield_units_is_no_ct(tmp_path, unit):
    write_series(tmp_path, volume(6), RescaleType=unit)
    with pytest.raises(SpineError, match="no CT series"):
        read_ct(tmp_path)
    write_series(tmp_path, volume(6), uid="1.2.9", RescaleType="HU")
    assert "series 1.2.9" in read_ct(tmp_path).source


def compressed(folder, compressor: str) -> None:
    """The series again, its pixels compressed by GDCM."""
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        if compressor == "RLE":
            data.compress(RLELossless)
            data.save_as(path)
            continue
        plane = sitk.GetImageFromArray(data.pixel_array[None])
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(path.with_suffix(".packed.dcm")))
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        writer.Execute(plane)
        packed = pydicom.dcmread(path.with_suffix(".packed.dcm"))
        path.with_suffix(".packed.dcm").unlink()
        data.PixelData, data.file_meta.TransferSyntaxUID = packed.PixelData, packed.file_meta.TransferSyntaxUID
        data["PixelData"].is_undefined_length = True
        for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
            data[keyword] = packed[keyword]
        data.save_as(path)


@pytest.mark.parametrize("compressor", ["RLE", "JPEG", "JPEG2000"])
@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_compressed_pixels(tmp_path, compressor, interpretation):
    write_series(tmp_path, volume(4), PhotometricInterpretation=interpretation, slope=2, intercept=-1000)
    compressed(tmp_path, compressor)
    assert all(pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed for path in tmp_path.iterdir())
    np.testing.assert_array_equal(array_of(tmp_path), volume(4))
    path = sorted(tmp_path.iterdir())[1]
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(SpineError, match="damaged"):
        read_ct(tmp_path)


def test_compressed_frames_of_one_file(tmp_path):
    write_enhanced(tmp_path / "ct", volume(6), heights(6))
    data = pydicom.dcmread(tmp_path / "ct")
    data.compress(RLELossless)
    data.save_as(tmp_path / "ct")
    np.testing.assert_array_equal(array_of(tmp_path), volume(6))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_plain_transfer_syntax(tmp_path, syntax):
    write_series(tmp_path, volume(4))
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            data.PixelData = data.pixel_array.astype(">u2").tobytes()
        data.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, data, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    np.testing.assert_array_equal(array_of(tmp_path), volume(4))


def test_old_files_without_a_preamble(tmp_path):
    write_series(tmp_path, volume(4))
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        del data.file_meta
        pydicom.dcmwrite(path, data, implicit_vr=True, little_endian=True, enforce_file_format=False)
        path.write_bytes(path.read_bytes().removeprefix(bytes(128) + b"DICM"))
    assert all(path.read_bytes()[:2] == b"\x08\0" for path in tmp_path.iterdir())
    np.testing.assert_array_equal(array_of(tmp_path), volume(4))


def test_bits_beside_the_stored_ones_are_no_values(tmp_path):
    """Old scanners kept overlays in the upper bits of 12-bit pixels."""
    write_series(tmp_path, volume(4), BitsStored=12, HighBit=11)
    for path in tmp_path.iterdir():
        data = pydicom.dcmread(path)
        stored = np.frombuffer(data.PixelData, "<u2").copy()
        stored[::3] |= 0x8000
        data.PixelData = stored.tobytes()
        data.save_as(path)
    np.testing.assert_array_equal(array_of(tmp_path), volume(4))
