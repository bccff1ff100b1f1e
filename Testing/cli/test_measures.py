"""What ``segment`` measures, and what it writes of that when it is asked to."""

import csv
import json

import numpy as np
import SimpleITK as sitk
from calls import ENDINGS, segment


def test_report_bodies_and_transforms(called, scan, tmp_path):
    out = tmp_path / "out"
    assert segment(scan, "--report", "--bodies", "--transforms", to=out) == 0
    measures = json.loads((out / "one_measures.json").read_text())
    assert list(measures["vertebrae"]) == ["T11", "T12", "L1"]
    framed = [name for name, bone in measures["vertebrae"].items() if bone["frame"]]
    expected = [*(f"one{ending}" for ending in ENDINGS), "one_report.html", "one_seg-body_msk.nii.gz"]
    assert sorted(path.name for path in out.iterdir()) == sorted([*expected, *(f"one_frame-{n}.tfm" for n in framed)])
    page = (out / "one_report.html").read_text()
    assert "Not for clinical use" in page and all(f"<td>{name}</td>" in page for name in measures["vertebrae"])
    bodies, labels = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"one_seg-{name}_msk.nii.gz"))) for name in ("body", "vert")
    )
    assert np.all((bodies == 0) | (bodies == labels))
    run = json.loads((out / "one_run.json").read_text())
    assert run["given"]["extras"] == ["report", "bodies", "transforms"]


def test_a_cohort_has_the_measures_of_its_scans_and_their_dictionary(called, two, tmp_path):
    out = tmp_path / "out"
    assert segment(two, to=out) == 0
    rows = list(csv.DictReader((out / "cohort" / "vertebrae.csv").open()))
    scan_rows = list(csv.DictReader((out / "cohort" / "scans.csv").open()))
    explained = {(r["table"], r["column"]) for r in csv.DictReader((out / "cohort" / "dictionary.csv").open())}
    assert {("vertebrae", name) for name in rows[0] if name != "scan"} <= explained
    assert ("scans", "cobb_deg") in explained and "cobb_deg" in scan_rows[0]
    assert all(row["levels_measured"] for row in scan_rows)
