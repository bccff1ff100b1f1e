"""Batches as cohorts: shards, records of runs, tables of all scans."""

import csv
import json
from pathlib import Path

import pytest
import standins
from calls import ENDINGS, TWICE, failing, outputs_of, segment, started

from SpineSegmentationLib import cli
from SpineSegmentationLib.cohort.claim import Claim
from SpineSegmentationLib.io.writing import write_image


def table_of(out: Path, name: str = "scans") -> list[dict[str, str]]:
    with (out / "cohort" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def manifests_in(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((out / "cohort" / "runs").iterdir())]


@pytest.fixture
def five(scan, ct) -> Path:
    scan.unlink()
    for name in "abcde":
        write_image(ct, scan.with_name(f"{name}.nii.gz"))
    return scan.parent


def test_shards_do_every_scan_once(called, five, tmp_path, capsys):
    out = tmp_path / "out"
    assert [segment(five, "--shard", f"{number}/3", to=out) for number in (1, 2, 3)] == [0, 0, 0]
    assert called.count("detection") == 5 and all(outputs_of(out, name) == list(ENDINGS) for name in "abcde")
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 5
    assert [row["scan"] for row in table_of(out)] == list("abcde")
    shares = [{scan["name"] for scan in manifest["scans"]} for manifest in manifests_in(out)]
    assert sorted(name for share in shares for name in share) == list("abcde")
    # Again: nothing is computed, in whatever other split.
    called.clear()
    assert segment(five, "--shard", "1/1", to=out) == 0 and not called


def test_an_empty_shard_is_said(called, two, tmp_path, capsys):
    codes = [segment(two, "--shard", f"{number}/9", to=tmp_path / "out") for number in range(1, 10)]
    assert codes == [0] * 9 and called.count("detection") == 2
    assert "none of the 2 scans falls into shard" in capsys.readouterr().err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x"])
def test_no_such_shard(called, two, tmp_path, capsys, shard):
    assert segment(two, "--shard", shard, to=tmp_path / "out") == 2
    assert "shard" in capsys.readouterr().err


def test_the_record_of_a_run_repeats_it(called, monkeypatch, two, tmp_path):
    out = tmp_path / "out"
    failing(monkeypatch, called, ValueError("x"), *TWICE)
    assert segment(two, to=out) == 1
    [manifest] = manifests_in(out)
    assert manifest["command"] == ["segment", str(two), "--output", str(out)]
    assert manifest["weights"] == {f"standin-{stage}": stage for stage in ("detection", "labelling", "segmentation")}
    assert manifest["finished"] and manifest["versions"]["torch"] and manifest["shard"] is None
    one, other = manifest["scans"]
    assert (one["name"], one["status"]) == ("one", "failed") and "unexpected ValueError" in one["reason"]
    assert other["status"] == "done" and len(other["sha256"]) == 64
    assert other["path"] == str(two / "two_ct.nii.gz")

    rows = table_of(out)
    assert [(row["scan"], row["status"]) for row in rows] == [("one", "failed"), ("two", "done")]
    assert "unexpected ValueError" in rows[0]["reason"]
    assert rows[1]["levels"] == "T11 T12 L1" and float(rows[1]["lowest_confidence"]) == pytest.approx(0.7)
    assert rows[1]["sha256"] == other["sha256"] == rows[0]["sha256"]
    vertebrae = table_of(out, "vertebrae")
    assert [(row["scan"], row["label"]) for row in vertebrae] == [("two", "T11"), ("two", "T12"), ("two", "L1")]

    # What failed is done when it is called again, and the table says so.
    monkeypatch.setattr(standins._Stage, "begin", lambda stage: None)
    assert segment(two, to=out) == 0
    assert [row["status"] for row in table_of(out)] == ["done", "done"]
    assert [scan["status"] for scan in manifests_in(out)[-1]["scans"]] == ["done", "skipped"]


def test_an_interrupted_run_is_recorded_as_such(called, monkeypatch, two, tmp_path):
    failing(monkeypatch, called, KeyboardInterrupt(), 5)
    assert segment(two, to=tmp_path / "out") == 130
    [manifest] = manifests_in(tmp_path / "out")
    assert manifest["finished"] is None
    assert [scan["status"] for scan in manifest["scans"]] == ["done", "waiting"]


def test_one_scan_is_no_cohort(called, scan, tmp_path):
    assert segment(scan, to=tmp_path / "out") == 0
    assert not (tmp_path / "out" / "cohort").exists()


def test_a_table_is_made_of_label_maps_alone(called, two, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["label", str(two), "--output", str(out)]) == 0
    assert "warning" not in capsys.readouterr().err
    assert len(manifests_in(out)) == 1 and not (out / "cohort" / "scans.csv").exists()


def test_a_changed_input_is_not_taken_for_done(called, two, tmp_path, capsys):
    assert segment(two, to=tmp_path / "out") == 0
    write_image(standins.spine_ct(2), two / "one_ct.nii.gz")
    called.clear()
    assert segment(two, to=tmp_path / "out") == 1
    assert not called
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1 and "is of another scan" in errors[0] and "--overwrite" in errors[0]


def test_a_scan_in_other_hands_is_no_failure(called, two, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    claim = Claim.take(tmp_path / "out", "one")
    assert segment(two, to=tmp_path / "out") == 0
    claim.release()
    assert "one: another process is at it" in capsys.readouterr().err
    assert [row["status"] for row in table_of(tmp_path / "out")] == ["busy", "done"]


def test_two_processes_share_one_list(five, tmp_path):
    """Without shards, both over the same list: every scan is written once, and nothing is left lying about."""
    both = [started("segment", five, "--output", tmp_path / "out", "--quiet") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    lines = [line.split(":")[0] for out, _ in told for line in out.decode().splitlines()]
    assert sorted(lines) == list("abcde")
    assert all(outputs_of(tmp_path / "out", name) == list(ENDINGS) for name in "abcde")
    assert [row["status"] for row in table_of(tmp_path / "out")] == ["done"] * 5


def test_weights_of_ones_own_must_be_there(called, scan, tmp_path, capsys):
    assert segment(scan, "--weights", tmp_path / "none", to=tmp_path / "out") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "none/models.json does not exist; give a folder that train wrote" in line and not called
