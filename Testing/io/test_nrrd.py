"""NRRD files: long headers, sequences of one frame, and what they say about their orientation."""

import numpy as np
import pytest
import SimpleITK as sitk
from grids import body, image_of

from SpineSegmentationLib.io.ct import read_ct


def nrrd(path, space: str | None, extra: str = "", sizes="16 14 12", dimension=3, first_axis=""):
    """A raw NRRD file with a header written by hand."""
    none = "none " if first_axis else ""
    lines = [
        "NRRD0005",
        "type: int16",
        f"dimension: {dimension}",
        *([f"space: {space}"] if space else ["space dimension: 3"]),
        f"sizes: {first_axis}{sizes}",
        f"space directions: {none}(0.8,0,0) (0,0.9,0) (0,0,2)",
        f"kinds: {'list ' if first_axis else ''}domain domain domain",
        "endian: little",
        "encoding: raw",
        "space origin: (1,2,3)",
    ]
    path.write_bytes(("\n".join(lines) + extra + "\n\n").encode() + body().astype("<i2").tobytes())
    return path


@pytest.mark.parametrize(
    "space, origin, told",
    [
        ("left-posterior-superior", (1, 2, 3), False),
        ("LPS", (1, 2, 3), False),
        ("right-anterior-superior", (-1, -2, 3), False),
        ("left-anterior-superior", (1, -2, 3), False),
        ("scanner-xyz", (1, 2, 3), True),
        ("3D-right-handed", (1, 2, 3), True),
        (None, (1, 2, 3), True),
    ],
)
def test_the_space_tells_the_orientation_or_not(tmp_path, space, origin, told):
    scan = read_ct(nrrd(tmp_path / "scan.nrrd", space))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), body())
    np.testing.assert_allclose(scan.image.GetOrigin(), origin)
    assert [("does not state its orientation" in warning) for warning in scan.warnings] == [True] * told


@pytest.mark.parametrize("length", [70_000, 200_000, 65_536 - 330])
def test_long_headers(tmp_path, length):
    """Slicer writes what it knows of a volume into its header."""
    path = nrrd(tmp_path / "scan.nrrd", "left-posterior-superior", f"\nnote:={'x' * length}")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path).image), body())


def test_a_sequence_of_one_frame(tmp_path):
    path = nrrd(tmp_path / "scan.seq.nrrd", "left-posterior-superior", dimension=4, first_axis="1 ")
    scan = read_ct(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(scan.image), body())
    np.testing.assert_allclose(scan.image.GetSpacing(), (0.8, 0.9, 2.0))


def test_a_sequence_of_one_frame_written_by_itk(tmp_path):
    for name in ("one.nrrd", "one.mha", "one.nii.gz"):
        sitk.WriteImage(sitk.JoinSeries([image_of(body())]), str(tmp_path / name))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(tmp_path / name).image), body())
