"""``segment``, ``label`` and ``detect``: what one scan becomes."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import standins
import torch
from calls import ENDINGS, outputs_of, segment

from SpineSegmentationLib import cli, pipeline
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.resampling import same_grid
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.systems import DEFAULT

L = Level

LEVELS = (L.T11, L.T12, L.L1)


def test_segment_writes_everything(called, scan, ct, tmp_path, capsys):
    assert segment(scan, to=tmp_path / "out") == 0
    assert called == ["detection", "labelling"] + 3 * ["segmentation"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"one{ending}" for ending in ENDINGS)

    expected = Pipeline().run(read_ct(scan).image)
    labels = sitk.ReadImage(str(tmp_path / "out" / "one_seg-vert_msk.nii.gz"))
    assert same_grid(labels, ct) and labels.GetPixelID() == sitk.sitkUInt8
    truth, found = (sitk.GetArrayFromImage(image) for image in (expected.label_map, labels))
    assert np.array_equal(truth, found) and np.unique(found).tolist() == [0, *LEVELS]

    centroids = read_centroids(tmp_path / "out" / "one_seg-subreg_ctd.json", labels)
    assert centroids.levels == LEVELS
    assert np.allclose(centroids.positions, expected.centroids.positions, atol=1e-5)
    assert [c.confidence for c in centroids] == [c.confidence for c in expected.centroids]

    rows = list(csv.DictReader((tmp_path / "out" / "one_measurements.csv").open()))
    assert [row["label"] for row in rows] == ["T11", "T12", "L1"]
    assert sitk.ReadImage(str(tmp_path / "out" / "one_seg-vert_snp.png")).GetNumberOfComponentsPerPixel() == 3

    run = json.loads((tmp_path / "out" / "one_run.json").read_text())
    assert run["input"]["source"] == str(scan) and run["system"] == DEFAULT and run["device"] in ("cpu", "cuda")
    assert run["weights"]["labelling"] == [{"name": "standin-labelling", "sha256": "labelling", "width": "none"}]
    assert {"reading", "detection", "labelling", "segmentation"} <= run["seconds"].keys()
    assert np.allclose(run["box"]["box"], [*expected.box.lower, *expected.box.upper], atol=1e-4)
    assert run["versions"]["torch"] == torch.__version__ and run["warnings"] == []

    told = capsys.readouterr()
    assert told.out == f"one: T11 T12 L1 -> {tmp_path / 'out' / 'one_seg-vert_msk.nii.gz'}\n"
    assert "one: segmentation, 2 of 3 (T12 vertebra)\n" in told.err


def test_a_stage_replaces_the_systems_own(called, monkeypatch, scan, tmp_path, capsys):
    class TwoNetworks(standins.Labeller):
        def __init__(self, device):
            super().__init__(device)
            first, second = (replace(self.weights[0], name=name) for name in ("first", "second"))
            self.weights = (first, second)
            self.runners = tuple(SimpleNamespace(warnings=[f"{name} is slow"]) for name in ("first", "second"))

    monkeypatch.setitem(pipeline.LABELLERS, "two", TwoNetworks)
    assert segment(scan, "--labeller", "two", "--segmenter", "standin", to=tmp_path / "out") == 0
    run = json.loads((tmp_path / "out" / "one_run.json").read_text())
    assert run["system"] == DEFAULT
    assert run["stages"] == {"detector": "standin", "labeller": "two", "segmenter": "standin"}
    assert [one["name"] for one in run["weights"]["labelling"]] == ["first", "second"]
    assert run["warnings"] == ["first is slow", "second is slow"]
    capsys.readouterr()
    assert segment(scan, "--labeller", "none", "--overwrite", to=tmp_path / "out") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "labeller 'none' is unknown; known are anduin" in line and line.endswith("two")


def test_quiet_says_nothing_but_the_result(called, scan, tmp_path, capsys):
    assert segment(scan, "--quiet", to=tmp_path / "out") == 0
    told = capsys.readouterr()
    assert told.err == "" and told.out.startswith("one: T11 T12 L1")


def test_detect_and_label_stop_after_their_stage(called, scan, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["detect", str(scan), "--output", str(out)]) == 0
    outputs = sorted(path.name for path in out.iterdir())
    assert called == ["detection"] and outputs == ["one_box.json", "one_run.json"]
    box = json.loads((out / "one_box.json").read_text())["box"]
    printed = capsys.readouterr().out.split(": ")[1].split(" -> ")[0]
    assert np.allclose([float(v) for v in printed.split(",")], box, atol=0.06)

    # What detect printed (it begins with a minus here) is what --box takes.
    assert printed.startswith("-")
    called.clear()
    assert cli.main(["label", str(scan), "--box", printed, "--output", str(out), "--overwrite"]) == 0
    assert called == ["labelling"]
    assert sorted(path.name for path in out.iterdir()) == ["one_box.json", "one_run.json", "one_seg-subreg_ctd.json"]


def test_given_values_replace_their_stages(called, scan, ct, tmp_path, capsys):
    box = SpineBox.of_image(ct)
    upper_two = (*box.lower[:2], box.lower[2] + 18, *box.upper)
    assert segment(scan, "--box", ",".join(map(str, upper_two)), to=tmp_path / "boxed") == 0
    assert called == ["labelling"] + 2 * ["segmentation"]

    called.clear()
    file = tmp_path / "boxed" / "one_seg-subreg_ctd.json"
    assert segment(scan, "--centroids", file, "--only", "T12", to=tmp_path / "given") == 0
    assert called == ["segmentation"]
    labels = sitk.ReadImage(str(tmp_path / "given" / "one_seg-vert_msk.nii.gz"))
    assert np.unique(sitk.GetArrayViewFromImage(labels)).tolist() == [0, L.T12]
    # The other centroids are still handed on.
    assert read_centroids(tmp_path / "given" / "one_seg-subreg_ctd.json", labels).levels == (L.T11, L.T12)
    run = json.loads((tmp_path / "given" / "one_run.json").read_text())
    assert run["given"]["centroids"] == str(file) and run["given"]["only"] == ["T12"]
    assert "one: T12 -> " in capsys.readouterr().out


def test_voxels_of_a_tilted_scan_are_taken_where_a_run_file_says_of_which_grid(called, tmp_path, capsys):
    tilted = standins.spine_ct(3, direction=[[1, 0, 0], [0, 1, 0.3], [0, 0, 0.91**0.5]])
    sitk.WriteImage(tilted, str(tmp_path / "one.nrrd"))
    assert segment(tmp_path / "one.nrrd", to=tmp_path / "out") == 0
    file, moved = tmp_path / "out" / "one_seg-subreg_ctd.json", tmp_path / "one_seg-subreg_ctd.json"
    assert segment(tmp_path / "one.nrrd", "--centroids", file, to=tmp_path / "given") == 0
    labels = [sitk.ReadImage(str(tmp_path / name / "one_seg-vert_msk.nii.gz")) for name in ("out", "given")]
    assert np.array_equal(*map(sitk.GetArrayFromImage, labels))
    moved.write_text(file.read_text())
    assert segment(tmp_path / "one.nrrd", "--centroids", moved, to=tmp_path / "moved") == 1
    assert "nothing beside it tells whether they are those of the tilted scan" in capsys.readouterr().err


def test_nothing_is_left_of_a_result_that_is_replaced(called, scan, tmp_path, capsys):
    pytest.importorskip("vtk")
    out = tmp_path / "out"
    more = ("--surfaces", "stl", "--transforms", "--points", "mrk.json,csv", "--report")
    assert segment(scan, *more, to=out) == 0
    points = out / "one_vertebrae.mrk.json"
    points.write_text(points.read_text().replace('"T11"', '"T10"'))
    (out / "one_own.stl").touch()
    assert segment(scan, "--centroids", points, "--surfaces", "stl", "--overwrite", to=out) == 0
    others = {path.name for path in out.iterdir()} - {f"one{ending}" for ending in ENDINGS}
    assert others == {"one_T10.stl", "one_T12.stl", "one_L1.stl", "one_vertebrae.mrk.json", "one_own.stl"}
    # Boxes and centroids found anew would stand beside a label map of other names.
    for command in ("detect", "label"):
        assert cli.main([command, str(scan), "--output", str(out), "--overwrite"]) == 1
        assert "one_seg-vert_msk.nii.gz is there, and would not go with" in capsys.readouterr().err


def test_given_names_in_the_wrong_order_are_said(called, scan, tmp_path, capsys):
    points = {"T11": -100, "T12": -130, "L1": -70, "L4": -160}
    given = [{"label": name, "position": [0, 0, z]} for name, z in points.items()]
    (tmp_path / "given.json").write_text(json.dumps({"coordinate_system": "LPS", "points": given}))
    assert segment(scan, "--centroids", tmp_path / "given.json", to=tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert said.count("names in the wrong order") == 1
    assert "warning: L1 lies above T12: names in the wrong order" in said
    assert "L1 lies above" in (tmp_path / "out" / "one_run.json").read_text()


def test_an_empty_list_of_centroids_is_said(called, scan, tmp_path, capsys):
    point_list = {"markups": [{"type": "Fiducial", "controlPoints": []}]}
    for name, value in (("empty_ctd.json", [{"direction": ["L", "P", "S"]}]), ("F.mrk.json", point_list)):
        (tmp_path / name).write_text(json.dumps(value))
        assert segment(scan, "--centroids", tmp_path / name, "--overwrite", to=tmp_path / "out") == 0
        assert "one: warning: the centroids given hold no vertebra: nothing to segment\n" in capsys.readouterr().err
        run = json.loads((tmp_path / "out" / "one_run.json").read_text())
        assert run["warnings"] == ["the centroids given hold no vertebra: nothing to segment"] and not called
    entries = [{"direction": ["L", "P", "S"]}, {"label": 41, "X": 1, "Y": 2, "Z": 3}]
    (tmp_path / "subregions_ctd.json").write_text(json.dumps(entries))
    assert segment(scan, "--centroids", tmp_path / "subregions_ctd.json", to=tmp_path / "sub") == 1
    assert "entry 2: 41 is no vertebra (from 41 on: sub-regions)" in capsys.readouterr().err


def test_no_spine_is_an_empty_result_with_a_warning(called, tmp_path, capsys):
    voxels = np.random.default_rng(0).integers(-1000, 200, (20, 20, 20)).astype(np.int16)
    write_image(sitk.GetImageFromArray(voxels), tmp_path / "leg.nrrd")
    assert segment(tmp_path / "leg.nrrd", to=tmp_path / "out") == 0
    assert outputs_of(tmp_path / "out", "leg") == list(ENDINGS)
    labels = sitk.ReadImage(str(tmp_path / "out" / "leg_seg-vert_msk.nii.gz"))
    assert labels.GetSize() == (20, 20, 20) and not sitk.GetArrayViewFromImage(labels).any()
    assert len(read_centroids(tmp_path / "out" / "leg_seg-subreg_ctd.json", labels)) == 0
    assert (tmp_path / "out" / "leg_measurements.csv").read_text().count("\n") == 1
    told = capsys.readouterr()
    assert "leg: warning: no spine was found" in told.err and told.out.startswith("leg: no vertebra")
    assert json.loads((tmp_path / "out" / "leg_run.json").read_text())["warnings"] != []
    assert cli.main(["detect", str(tmp_path / "leg.nrrd"), "--output", str(tmp_path / "box")]) == 0
    assert json.loads((tmp_path / "box" / "leg_box.json").read_text())["box"] is None


def test_a_field_of_view_with_one_vertebra(called, tmp_path, capsys):
    write_image(standins.spine_ct(1), tmp_path / "short.nii.gz")
    assert segment(tmp_path / "short.nii.gz", to=tmp_path / "out") == 0
    (row,) = csv.DictReader((tmp_path / "out" / "short_measurements.csv").open())
    assert row["label"] == "T11" and float(row["volume_mm3"]) > 500
    assert capsys.readouterr().out.startswith("short: T11 ->")
