"""The verdict on the names goes with the centroids through their files, and not with names that somebody changed."""

import json

import numpy as np
import pytest
import standins

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.io.values import numbering_json, parse_numbering, read_centroids, write_centroids
from SpineSegmentationLib.numbering import Numbering, Reading
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.results.outputs import run_json
from SpineSegmentationLib.spine import Centroid, Centroids

T12, L1, L2 = Level.T12, Level.L1, Level.L2
VERDICT = Numbering(
    "doubtful", (Reading((T12, L1), 0.6), Reading((L1, L2), 0.3)), ("last rib at T12",), (0.0, 5.0, -500.25)
)
NAMED = Centroids((Centroid(T12, (0, 0, -380), 0.6), Centroid(L1, (0, 5, -395), 0.6)), VERDICT)
IMAGE = standins.spine_ct(3)


@pytest.mark.parametrize("name", ["ctd.json", "points.mrk.json"])
def test_the_verdict_reads_back(tmp_path, name):
    write_centroids(NAMED, IMAGE, tmp_path / name)
    read = read_centroids(tmp_path / name, IMAGE)
    assert read.numbering == VERDICT and np.allclose(read.positions, NAMED.positions)
    write_centroids(Centroids(NAMED.points), IMAGE, tmp_path / name)
    assert read_centroids(tmp_path / name, IMAGE).numbering is None


def test_a_verse_reader_sees_a_direction_as_ever(tmp_path):
    write_centroids(NAMED, IMAGE, tmp_path / "ctd.json")
    first, *others = json.loads((tmp_path / "ctd.json").read_text())
    assert first["direction"] == ["L", "P", "S"] and first["numbering"]["certainty"] == "doubtful"
    assert all(set(entry) == {"label", "X", "Y", "Z", "confidence"} for entry in others)


def test_names_that_were_changed_have_no_verdict(tmp_path):
    write_centroids(NAMED, IMAGE, tmp_path / "ctd.json")
    entries = json.loads((tmp_path / "ctd.json").read_text())
    entries[2]["label"] = 21
    (tmp_path / "ctd.json").write_text(json.dumps(entries))
    assert read_centroids(tmp_path / "ctd.json", IMAGE).numbering is None


PLAIN = numbering_json(VERDICT)


@pytest.mark.parametrize(
    "wrong",
    [
        "yes",
        {},
        {**PLAIN, "certainty": "perhaps"},
        {**PLAIN, "readings": [{"levels": ["X9"], "probability": 1}]},
    ],
)
def test_a_verdict_that_is_none(tmp_path, wrong):
    with pytest.raises(SpineError, match="cannot be understood"):
        parse_numbering(wrong)
    write_centroids(NAMED, IMAGE, tmp_path / "ctd.json")
    entries = json.loads((tmp_path / "ctd.json").read_text())
    (tmp_path / "ctd.json").write_text(json.dumps([{**entries[0], "numbering": wrong}, *entries[1:]]))
    with pytest.raises(SpineError, match=r"ctd\.json: the verdict"):
        read_centroids(tmp_path / "ctd.json", IMAGE)


def test_the_run_file_holds_the_verdict(tmp_path, monkeypatch):
    from SpineSegmentationLib.io.ct import read_ct
    from SpineSegmentationLib.io.writing import write_image

    standins.install()
    write_image(IMAGE, tmp_path / "ct.nii.gz")
    scan, pipeline = read_ct(tmp_path / "ct.nii.gz"), Pipeline("standin", "cpu")
    result = pipeline.run(scan.image, centroids=NAMED)
    run = json.loads(json.dumps(run_json(pipeline, scan, result, {}, 0.0)))
    assert parse_numbering(run["numbering"]) == VERDICT
    result = pipeline.run(scan.image)
    assert run_json(pipeline, scan, result, {}, 0.0)["numbering"] is None
