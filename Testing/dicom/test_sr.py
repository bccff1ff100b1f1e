"""Measurements as a TID 1500 report, read back."""

import json
import math
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_series import write_series

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.measures.dictionary import VERTEBRA_COLUMNS

hd = pytest.importorskip("highdicom", reason="highdicom is not installed")
seg_writer = pytest.importorskip("SpineSegmentationLib.dicom.seg")
sr_writer = pytest.importorskip("SpineSegmentationLib.dicom.sr")
source_module = pytest.importorskip("SpineSegmentationLib.dicom.source")

TABLE = {
    Level.T12: {"volume_mm3": 31250.5, "width_mm": 44.5, "trabecular_hu": 142.0, "depth_mm": math.nan},
    Level.L6: {"volume_mm3": 40000.0, "rotation_deg": 3.5},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_series(folder / "ct")
    scan = read_ct(folder / "ct")
    labels = np.zeros(scan.image.GetSize()[::-1], np.uint8)
    labels[5:9, 10:20, 8:15], labels[14:20, 8:12, 20:25] = Level.L6, Level.T12
    label_map = sitk.GetImageFromArray(labels)
    label_map.CopyInformation(scan.image)
    source = source_module.source_of(scan)
    algorithm = seg_writer.Algorithm("combined")
    return folder, source, seg_writer.segmentation(source, label_map, algorithm), algorithm


@pytest.fixture(scope="module")
def written(parts):
    folder, source, segmentation, algorithm = parts
    seg_writer.write_dicom(sr_writer.report(source, segmentation, TABLE, algorithm), folder / "sr.dcm")
    return folder / "sr.dcm", segmentation


def test_every_value_comes_back_with_its_unit_and_segment(written):
    path, segmentation = written
    report = hd.sr.srread(path)
    groups = report.content.get_volumetric_roi_measurement_groups()
    read = {}
    for group in groups:
        values = {m.name.value: (m.value, m.unit.value) for m in group.get_measurements()}
        read[group.tracking_identifier] = values
        segment = group.reference_type
        assert segment == hd.sr.CodedConcept("121191", "DCM", "Referenced Segment")
        referenced = group.referenced_segment.referenced_segment_numbers
        numbers = {str(item.TrackingID): item.SegmentNumber for item in segmentation.SegmentSequence}
        assert referenced == [numbers[group.tracking_identifier]]
        assert group.referenced_segment.referenced_sop_instance_uid == segmentation.SOPInstanceUID
    assert read == {
        "T12": {"118565006": (31250.5, "mm3"), "103355008": (44.5, "mm"), "112031": (142.0, "[hnsf'U]")},
        "L6": {"118565006": (40000.0, "mm3"), "rotation_deg": (3.5, "deg")},
    }
    assert groups[0].finding_type == hd.sr.CodedConcept("23215003", "SCT", "T12 vertebra")
    mean = next(m for m in groups[0].get_measurements() if m.name.value == "112031").derivation
    assert mean.meaning == "Mean"


def test_patient_study_and_frame_are_those_of_the_images(written, parts):
    report, image = pydicom.dcmread(written[0]), parts[1].images[0]
    assert (report.PatientID, report.StudyInstanceUID) == (image.PatientID, image.StudyInstanceUID)
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
def test_the_validator_finds_no_error(written):
    said = subprocess.run(["dciodvfy", str(written[0])], capture_output=True, text=True)
    assert [line for line in (said.stderr + said.stdout).splitlines() if line.startswith("Error")] == []


@pytest.mark.skipif(shutil.which("tid1500reader") is None, reason="dcmqi (PyPI) is not installed")
def test_dcmqi_reads_every_value(written, tmp_path):
    words = ["tid1500reader", "--inputDICOM", written[0], "--outputMetadata", tmp_path / "sr.json"]
    subprocess.run([*map(str, words)], check=True, capture_output=True)
    read = json.loads((tmp_path / "sr.json").read_text())
    assert read["CompletionFlag"] == "COMPLETE"
    values = {
        group["TrackingIdentifier"]: [float(item["value"]) for item in group["measurementItems"]]
        for group in read["Measurements"]
    }
    assert values == {
        level.name: [value for value in row.values() if math.isfinite(value)] for level, row in TABLE.items()
    }


def test_standard_codes_are_of_columns_that_there_are():
    units = {column.name: column.unit for column in VERTEBRA_COLUMNS}
    for column, measure in sr_writer.MEASURES.items():
        assert measure.unit == sr_writer.UNITS[units[column]]


def test_measures_without_a_standard_code_get_a_private_one():
    measure = sr_writer.measure_of("height_anterior_mm")
    assert (measure.name.value, measure.name.scheme_designator) == ("height_anterior_mm", "99SPINE")
    assert (measure.name.meaning, measure.unit.value) == ("Height anterior", "mm")
    assert sr_writer.measure_of("genant_grade").unit.value == "1"
    assert sr_writer.measure_of("trabecular_mg_cm3").unit.value == "mg/cm3"


def test_every_column_of_the_table_has_a_name_and_its_unit():
    for column in VERTEBRA_COLUMNS:
        measure = sr_writer.measure_of(column.name)
        assert 0 < len(measure.name.meaning) <= 64
        assert (measure.unit.value == "1") == (column.unit == "")


def test_a_level_without_segment_is_refused(parts):
    _, source, segmentation, algorithm = parts
    with pytest.raises(SpineError, match="L1 has measurements but no segment"):
        sr_writer.report(source, segmentation, {Level.L1: {"volume_mm3": 1.0}}, algorithm)
    with pytest.raises(SpineError, match="nothing was measured"):
        sr_writer.report(source, segmentation, {}, algorithm)
