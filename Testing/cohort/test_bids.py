"""Results as a BIDS derivative data set."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from small_cohort import cohort_in

from SpineSegmentationLib import cli
from SpineSegmentationLib.anatomy import SACRUM, Level
from SpineSegmentationLib.cohort.bids import source_entities, write_bids
from SpineSegmentationLib.cohort.results import read_results
from SpineSegmentationLib.errors import SpineError


def rows(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def test_a_data_set_of_all_results(tmp_path, capsys):
    out, bids = cohort_in(tmp_path), tmp_path / "bids"
    assert cli.main(["bids", str(out), "--output", str(bids)]) == 0
    assert capsys.readouterr().out == f"3 label maps -> {bids}\n"
    about = json.loads((bids / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative" and about["GeneratedBy"][0]["Name"] == "Spine Segmentation"
    folder = bids / "sub-carl" / "anat"
    stem = "sub-carl_seg-vertebrae_"
    assert sorted(path.name for path in folder.iterdir()) == [
        stem + ending for ending in ("ctd.json", "dseg.json", "dseg.nii.gz", "dseg.tsv", "measurements.tsv")
    ]
    ours, theirs = (sitk.ReadImage(str(p)) for p in (folder / f"{stem}dseg.nii.gz", out / "carl_seg-vert_msk.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    table = {int(row["index"]): row for row in rows(folder / f"{stem}dseg.tsv")}
    assert set(np.unique(sitk.GetArrayFromImage(ours))) - {0} <= set(table) == {*Level, SACRUM}
    assert table[28] == {"index": "28", "name": "T13 vertebra", "abbreviation": "T13", "color": table[28]["color"]}
    assert table[1]["color"] == "#E69F00"
    sidecar = json.loads((folder / f"{stem}dseg.json").read_text())
    assert sidecar["Sources"] == ["carl.nii.gz"] and sidecar["Numbering"] == "doubtful" and not sidecar["Manual"]
    measured = rows(folder / f"{stem}measurements.tsv")
    assert [row["label"] for row in measured] == sidecar["Levels"] and "" not in measured[0].values()


def test_the_data_set_of_somebody_else_is_left_alone(tmp_path):
    out, bids = cohort_in(tmp_path), tmp_path / "bids"
    bids.mkdir()
    there = bids / "dataset_description.json"
    there.write_text('{"Name": "Spine Segmentation in CT", "BIDSVersion": "1.8.0"}')
    results, _ = read_results(out)
    with pytest.raises(SpineError, match="bids holds another data set"):
        write_bids(results, bids)
    assert "1.8.0" in there.read_text() and list(bids.iterdir()) == [there]
    there.unlink()
    (out / "carl_seg-subreg_ctd.json").rename(out / "kept")
    with pytest.raises(SpineError, match=r"carl_seg-subreg_ctd.json is not there; segment the scan again"):
        write_bids(results, bids)
    assert not list(bids.iterdir())
    (out / "kept").rename(out / "carl_seg-subreg_ctd.json")
    assert write_bids(results, bids) == write_bids(results, bids)


@pytest.mark.parametrize(
    "name, entities",
    [
        ("sub-gl003_dir-ax", "sub-gl003_dir-ax"),
        ("sub-01_ses-a_run-2", "sub-01_ses-a_run-2"),
        ("case 1.b", "sub-case1b"),
        ("sub-x y", "sub-xy"),
        ("__", "sub-unnamed"),
    ],
)
def test_names(name, entities):
    assert source_entities(name) == entities


def test_a_session_is_a_folder_and_one_name_for_two_is_refused(tmp_path):
    results, _ = read_results(cohort_in(tmp_path))
    files = [f"{results[0].name}{ending}" for ending in ("_measurements.csv", "_seg-vert_msk.nii.gz")]
    for file in (*files, f"{results[0].name}_seg-subreg_ctd.json"):
        source = results[0].folder / file
        source.with_name(file.replace("anna", "sub-1_ses-2")).write_bytes(source.read_bytes())
    (path,) = write_bids([replace(results[0], name="sub-1_ses-2")], tmp_path / "bids")
    assert path.relative_to(tmp_path / "bids").parts[:3] == ("sub-1", "ses-2", "anat")
    with pytest.raises(SpineError, match=r"a_b and ab would both be sub-ab; give their results separate folders"):
        write_bids([replace(results[0], name="a_b"), replace(results[0], name="ab")], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_folder_without_results_is_refused(tmp_path, capsys):
    assert cli.main(["bids", str(tmp_path), "--output", str(tmp_path / "bids")]) == 2
    assert "holds no results" in capsys.readouterr().err and not (tmp_path / "bids").exists()
