"""Reading a CT, every kind of bad input, and writing."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from grids import body, image_of, turn

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import find_scans, read_ct
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.resampling import same_grid

SHARED = Path(__file__).resolve().parents[3] / "shared"
FORMATS = ["nii.gz", "nii", "nrrd", "nhdr", "mha", "mhd"]


@pytest.fixture
def saved(tmp_path):
    """Saves an array or image under a name and gives the path."""

    def save(volume, name="scan.nii.gz", compress=True) -> Path:
        image = volume if isinstance(volume, sitk.Image) else image_of(volume)
        sitk.WriteImage(image, str(tmp_path / name), compress)
        return tmp_path / name

    return save


def rejected(path, *words, **options) -> None:
    """The file is refused in one line that names it and says each of the words."""
    with pytest.raises(SpineError) as caught:
        read_ct(path, **options)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message


# --- what is read as it is


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_keeps_voxels_and_grid(saved, extension):
    direction = np.array([[0.0, 0.8, 0.6], [0.0, -0.6, 0.8], [1.0, 0.0, 0.0]])
    image = image_of(body(), direction=direction)
    scan = read_ct(saved(image, f"case_ct.{extension}", extension != "nii"))
    assert scan.name == "case" and scan.warnings == () and "case_ct" in scan.source
    assert scan.image.GetPixelID() == sitk.sitkInt16
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), body())
    assert same_grid(scan.image, image)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.float32, np.float64])
def test_pixel_types_become_int16(saved, dtype):
    volume = np.clip(body(), -128, 127) if dtype == np.int8 else body()
    if dtype == np.int8:
        rejected(saved(volume.astype(dtype), "scan.nrrd"), "Hounsfield", "--force")
    scan = read_ct(saved(volume.astype(dtype), "scan.nrrd"), force=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), volume)


def test_big_endian_is_read(saved, tmp_path):
    path = saved(body(), "little.nrrd", False)
    head, data = path.read_bytes().split(b"\n\n", 1)
    swapped = tmp_path / "big.nrrd"
    swapped.write_bytes(head.replace(b"little", b"big") + b"\n\n" + np.frombuffer(data, "<i2").astype(">i2").tobytes())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(swapped).image), body())


def test_floats_are_rounded_and_clipped(saved):
    volume = body(dtype=np.float32)
    volume[0, 0, :5] = [-3024.0, 1e9, 10.4, 10.6, -1024.4]
    voxels = sitk.GetArrayFromImage(read_ct(saved(volume)).image)
    assert voxels[0, 0, :5].tolist() == [-1024, 32767, 10, 11, -1024]


def test_padding_below_air_becomes_air(saved):
    volume = body()
    volume[0] = -2048
    assert sitk.GetArrayFromImage(read_ct(saved(volume)).image).min() == -1024


def test_offset_of_unsigned_values_is_taken_off(saved):
    scan = read_ct(saved((body() + 1024).astype(np.uint16)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), body())
    assert "1024 subtracted" in scan.warnings[0]


def test_few_nan_become_air_with_a_warning(saved):
    volume = body(dtype=np.float32)
    volume[1, 2, 3:6] = [np.nan, np.inf, -np.inf]
    scan = read_ct(saved(volume))
    assert sitk.GetArrayFromImage(scan.image)[1, 2, 3:6].tolist() == [-1024] * 3
    assert scan.warnings == ("3 voxels are NaN or infinite; taken as air",)


def test_one_frame_of_4d_is_read(saved):
    for name in ("one.nii.gz", "one.nrrd"):
        scan = read_ct(saved(sitk.JoinSeries([image_of(body())]), name))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), body())


def test_sheared_volume_is_set_upright(saved):
    # 45 degrees in the plane x, z: plane k is moved by k voxels of 1 mm, and moves back on the upright grid.
    image = image_of(body(), (1.0, 1.0, 2**0.5), (0, 0, 0), [[1, 0, 0.5**0.5], [0, 1, 0], [0, 0, 0.5**0.5]])
    scan = read_ct(saved(image, "tilted.nrrd"))
    assert "45.0 degrees" in scan.warnings[0]
    voxels = sitk.GetArrayFromImage(scan.image)
    assert voxels.shape == (12, 14, 16 + 11)
    np.testing.assert_allclose(scan.image.GetSpacing(), (1, 1, 1))
    for k, plane in enumerate(body()):
        np.testing.assert_array_equal(voxels[k, :, k : k + 16], plane)
        assert (np.delete(voxels[k], range(k, k + 16), axis=1) == -1024).all()


def test_name_of_a_file_called_ct_is_its_folder(tmp_path):
    (tmp_path / "patient7").mkdir()
    sitk.WriteImage(image_of(body()), str(tmp_path / "patient7" / "ct.nii.gz"))
    assert read_ct(tmp_path / "patient7" / "ct.nii.gz").name == "patient7"


# --- what is refused


@pytest.mark.parametrize(
    "extension, packed",
    [("nii.gz", True), ("nii", False), *[(name, packed) for name in FORMATS[2:] for packed in (True, False)]],
)
def test_truncated_and_corrupt_files(saved, tmp_path, extension, packed):
    path = saved(body(), f"scan.{extension}", packed)
    data = next((file for file in tmp_path.iterdir() if file != path), path)
    whole = data.read_bytes()
    read_ct(path)
    for length in (len(whole) // 2, len(whole) - 20, 60, 0):
        data.write_bytes(whole[:length])
        rejected(path, "export it again")
    if packed:
        # In the middle of the voxels: only the checksum of the packed data can tell.
        middle = len(whole) * 3 // 4
        data.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
        rejected(path, "export it again")


def test_gzip_in_several_members_is_whole(saved):
    """As bgzip and parallel packers write it."""
    path = saved(body(), "scan.nii", False)
    data = path.read_bytes()
    packed = path.with_suffix(".nii.gz")
    packed.write_bytes(gzip.compress(data[:500]) + gzip.compress(data[500:]))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(packed).image), body())
    packed.write_bytes(gzip.compress(data[:500]) + gzip.compress(data[500:-1]))
    rejected(packed, "export it again")


def test_missing_unknown_and_empty_paths(tmp_path):
    rejected(tmp_path / "none.nii.gz", "does not exist")
    (tmp_path / "notes.txt").write_text("hello")
    rejected(tmp_path / "notes.txt", "no known volume file", ".nii.gz")
    (tmp_path / "empty").mkdir()
    rejected(tmp_path / "empty", "no DICOM files")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(saved):
    path = saved(body())
    path.chmod(0)
    rejected(path, "cannot be read")


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nrrd", "scan.mha"])
def test_wrong_dimensions(saved, name):
    rejected(saved(sitk.Extract(image_of(body()), (16, 14, 0), (0, 0, 3)), name), "2D")
    rejected(saved(image_of(body()[:1]), name), "2D")
    rejected(saved(sitk.JoinSeries([image_of(body())] * 2), name), "4D")
    rejected(saved(sitk.Compose([image_of(body())] * 3), name), "3 values per voxel")
    rejected(saved(sitk.RealAndImaginaryToComplex(*[sitk.Cast(image_of(body()), sitk.sitkFloat32)] * 2), name), "")


def test_values_that_cannot_be_hounsfield(saved):
    noise = np.random.default_rng(0)
    shape = body().shape
    pictures = {
        "grey": noise.integers(0, 256, shape).astype(np.uint8),
        "mr": np.abs(noise.normal(0, 400, shape)).astype(np.int16),
        "mr_high": noise.integers(0, 4000, shape).astype(np.uint16),
        "labels": noise.integers(0, 25, shape).astype(np.uint8),
        "normalised": noise.normal(0, 1, shape).astype(np.float32),
        "constant": np.full(shape, -1000, np.int16),
    }
    for name, volume in pictures.items():
        path = saved(volume, f"{name}.nii.gz")
        rejected(path, "Hounsfield", "--force")
        read = sitk.GetArrayFromImage(read_ct(path, force=True).image)
        np.testing.assert_array_equal(read, np.rint(volume))


def test_no_number_at_all(saved):
    rejected(saved(np.full((4, 4, 4), np.nan, np.float32)), "no number")


def test_impossible_voxel_sizes(saved, tmp_path):
    rejected(saved(image_of(body(), (0.8, 0.8, 25.0))), "25 mm", "header")
    rejected(saved(image_of(body(), (0.001, 0.001, 0.001))), "0.001")
    for name, old, new in [
        ("odd.mha", b"ElementSpacing = 1 ", b"ElementSpacing = 0 "),
        ("odd.mha", b"ElementSpacing = 1 ", b"ElementSpacing = -1 "),
        ("odd.nrrd", b"(1,0,0)", b"(0,0,0)"),
    ]:
        path = saved(image_of(body(), (1.0, 1.0, 1.0)), name, False)
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))
        rejected(path, "header")


@pytest.mark.parametrize("dimensions", [b"999999", b"11", b"-3", b"0", b"3\nNDims = 99", b"99\nNDims = 3"])
def test_impossible_numbers_of_dimensions(saved, dimensions):
    """MetaIO has room for ten, and ends the program beyond."""
    path = saved(body(), "odd.mha", compress=False)
    path.write_bytes(path.read_bytes().replace(b"NDims = 3", b"NDims = " + dimensions))
    rejected(path, "is truncated, damaged")


@pytest.mark.parametrize("extension, key", [("mhd", "ElementDataFile = "), ("nhdr", "data file: ")])
def test_headers_cannot_point_out_of_their_folder(saved, tmp_path, extension, key):
    (tmp_path / "inner").mkdir()
    path = saved(body(), f"scan.{extension}", False)
    data = next(file for file in tmp_path.glob("scan.*raw"))
    header = tmp_path / "inner" / path.name
    header.write_text(path.read_text().replace(key + data.name, f"{key}../{data.name}"))
    rejected(header, "outside its folder")
    header.write_text(path.read_text())
    rejected(header, "not there")
    (tmp_path / "inner" / data.name).symlink_to(data)
    rejected(header, "outside its folder")
    header.write_text(path.read_text().replace(key + data.name, f"{key}LIST"))
    rejected(header, "several files")


def test_series_of_a_file_makes_no_sense(saved):
    rejected(saved(body()), "not DICOM", series="1.2.3")


# --- the scans of a folder


def test_batch_is_sorted_without_masks_hidden_files_and_linked_folders(saved, tmp_path):
    outside = tmp_path / "outside"
    batch = tmp_path / "batch"
    for folder in (outside, batch / "rawdata" / "sub-2", batch / "derivatives" / "sub-2", batch / ".cache"):
        folder.mkdir(parents=True)
    files = ["rawdata/sub-2/sub-2_ct.nii.gz", "b.nrrd", "a.mha", "c.mhd"]
    ignored = ["derivatives/sub-2/sub-2_seg-vert_msk.nii.gz", "x_msk.nii.gz", "._b.nrrd", ".cache/d.mha", "notes.txt"]
    for name in files + ignored:
        (batch / name).touch()
    (outside / "e.nii").touch()
    (batch / "e.nii").symlink_to(outside / "e.nii")
    (batch / "gone.nii").symlink_to(outside / "gone.nii")
    (batch / "more").symlink_to(outside)
    assert find_scans(batch) == sorted(batch / name for name in [*files, "e.nii"])
    assert find_scans(batch / "b.nrrd") == [batch / "b.nrrd"]


def test_folder_without_scans(tmp_path):
    with pytest.raises(SpineError, match="holds no CT"):
        find_scans(tmp_path)
    with pytest.raises(SpineError, match="does not exist"):
        find_scans(tmp_path / "none")


# --- writing


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nrrd", "out.mha"])
def test_written_images_read_back(tmp_path, name):
    image = image_of(body(), direction=turn(1, 20))
    write_image(image, tmp_path / name)
    back = sitk.ReadImage(str(tmp_path / name))
    assert same_grid(image, back, 1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), body())
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nrrd", "out.mha"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, name, capfd):
    resource = pytest.importorskip("resource")
    (tmp_path / name).write_text("old")
    noise = np.random.default_rng(0).integers(-1000, 1000, (30, 40, 50)).astype(np.int16)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(SpineError, match=name) as caught:
            write_image(image_of(noise), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "space" in str(caught.value)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "old"


def test_unwritable_places(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(SpineError, match="cannot be written"):
            write_image(image_of(body()), folder / "out.nii.gz")
    with pytest.raises(SpineError, match=r"must end in \.nii\.gz"):
        write_image(image_of(body()), tmp_path / "out.jpg")
    assert os.listdir(tmp_path) == ["file"]


# --- real scans

real = pytest.mark.skipif(not SHARED.is_dir(), reason="the research data beside the project (../shared) are not here")


@real
def test_real_scans_are_read():
    cases = [*sorted(SHARED.glob("ct/*/ct.nii.gz"))[::5], SHARED / "ct" / "ts0328_boneonly" / "ct.nii.gz"]
    for path in cases:
        boneonly = path.parent.name.endswith("boneonly")
        scan = read_ct(path, force=boneonly)
        assert scan.name == path.parent.name and scan.warnings == ()
        assert scan.image.GetPixelID() == sitk.sitkInt16
