"""DICOM from and to the command line."""

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import standins
from dicom_series import BLOCKS, label_map_of, write_series

from SpineSegmentationLib import cli
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.pipeline import SYSTEMS
from SpineSegmentationLib.systems import DEFAULT

hd = pytest.importorskip("highdicom", reason="highdicom is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A series, and what ``adopt`` made of its label map: SEG and SR beside the other files."""
    standins.install()
    before, SYSTEMS[DEFAULT] = SYSTEMS[DEFAULT], SYSTEMS["standin"]
    folder = tmp_path_factory.mktemp("archive")
    write_series(folder / "one")

    sitk.WriteImage(label_map_of(read_ct(folder / "one").image), str(folder / "mask.nii.gz"))
    words = [folder / "one", "--mask", folder / "mask.nii.gz", "--dicom-sr", "--unchecked", "--output", folder / "out"]
    assert cli.main(["adopt", *map(str, words)]) == 0
    yield folder
    SYSTEMS[DEFAULT] = before


def test_seg_and_report_are_written(folder):
    seg, report = hd.seg.segread(folder / "out" / "one_seg.dcm"), hd.sr.srread(folder / "out" / "one_sr.dcm")
    assert [item.SegmentAlgorithmType for item in seg.SegmentSequence] == 3 * ["SEMIAUTOMATIC"]
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert {group.tracking_identifier for group in groups} == {level.name for level in BLOCKS}
    volume = next(m for m in groups[0].get_measurements() if m.name.value == "118565006").value
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "mask.nii.gz")))
    assert volume == pytest.approx(np.count_nonzero(labels == 19) * 1.25 * 1.5 * 2.5, rel=1e-3)


def test_a_seg_is_adopted_voxel_for_voxel(folder, tmp_path):
    words = [folder / "one", "--mask", folder / "out" / "one_seg.dcm", "--unchecked", "--output", tmp_path]
    assert cli.main(["adopt", *map(str, words)]) == 0
    ours, theirs = (sitk.ReadImage(str(p)) for p in (tmp_path / "one_seg-vert_msk.nii.gz", folder / "mask.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))


@pytest.mark.parametrize(
    "tag, message",
    [("PatientID", "is of patient 'other', the scan of 'P1'"), ("FrameOfReferenceUID", "another frame of reference")],
)
def test_a_seg_of_another_patient_or_frame_is_refused(folder, tmp_path, capsys, tag, message):
    seg = pydicom.dcmread(folder / "out" / "one_seg.dcm")
    setattr(seg, tag, "other" if tag == "PatientID" else "1.2.3.4")
    seg.save_as(tmp_path / "seg.dcm")
    words = [folder / "one", "--mask", tmp_path / "seg.dcm", "--unchecked", "--output", tmp_path / "out"]
    assert cli.main(["adopt", *map(str, words)]) == 2
    assert message in capsys.readouterr().err


def test_segment_writes_a_seg_too(folder, tmp_path):
    shutil.copytree(folder / "one", tmp_path / "one")
    words = ["segment", tmp_path / "one", "--dicom-seg", "--output", tmp_path / "out"]
    assert cli.main([str(word) for word in words]) == 0
    seg = hd.seg.segread(tmp_path / "out" / "one_seg.dcm")
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"AUTOMATIC"}
