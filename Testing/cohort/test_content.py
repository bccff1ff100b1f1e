"""The content of a scan: the same whatever it is called, another one when a byte changes."""

import hashlib
import os

import pytest

from SpineSegmentationLib.cohort.content import Content, files_of
from SpineSegmentationLib.errors import SpineError


def slices(folder, *bodies: bytes) -> None:
    folder.mkdir()
    for number, body in enumerate(bodies):
        (folder / f"{number}.dcm").write_bytes(body)


def test_a_files_content_is_its_checksum(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"abc")
    content = Content.of(tmp_path / "a.nii.gz")
    assert content.sha256 == hashlib.sha256(b"abc").hexdigest() and (content.files, content.bytes) == (1, 3)
    (tmp_path / "a.nii.gz").rename(tmp_path / "b.nii.gz")
    assert content.is_of(tmp_path / "b.nii.gz")
    assert Content.from_json(content.to_json()) == content
    assert Content.from_json({"sha256": "0"}) is None and Content.from_json(None) is None


def test_a_changed_byte_is_noticed_and_a_touched_file_is_not_another(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"abc")
    content = Content.of(path)
    os.utime(path, ns=(0, 0))
    assert content.is_of(path)
    path.write_bytes(b"abd")
    assert not content.is_of(path)


def test_a_folders_content_is_that_of_its_dicom_files_in_any_order(tmp_path):
    slices(tmp_path / "one", b"x", b"yy")
    slices(tmp_path / "two", b"yy", b"x")
    (tmp_path / "two" / "readme.txt").write_text("no slice")
    assert Content.of(tmp_path / "one").sha256 == Content.of(tmp_path / "two").sha256
    (tmp_path / "two" / "2.dcm").write_bytes(b"z")
    assert Content.of(tmp_path / "one").sha256 != Content.of(tmp_path / "two").sha256


def test_the_voxels_beside_a_header_count(tmp_path):
    header = tmp_path / "a.mhd"
    header.write_text("ObjectType = Image\nElementDataFile = a.raw\n")
    (tmp_path / "a.raw").write_bytes(b"1")
    assert files_of(header) == [header, tmp_path / "a.raw"]
    content = Content.of(header)
    (tmp_path / "a.raw").write_bytes(b"2")
    assert not content.is_of(header)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(SpineError, match="cannot be read"):
        Content.of(tmp_path / "none.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpineError, match="no DICOM"):
        Content.of(tmp_path / "empty")
