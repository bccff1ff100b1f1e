"""What people say of results is kept, and done once."""

import csv
import json
import os
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from small_cohort import cohort_in, many_in

from SpineSegmentationLib import cli
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.cohort.results import read_result
from SpineSegmentationLib.cohort.review import verdicts
from SpineSegmentationLib.cohort.review.apply import apply_review
from SpineSegmentationLib.cohort.review.page import build
from SpineSegmentationLib.cohort.review.rows import rows_of
from SpineSegmentationLib.cohort.review.server import ReviewServer
from SpineSegmentationLib.cohort.review.verdicts import Say, Verdict, current
from SpineSegmentationLib.cohort.tables import write_tables
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.exchange.extras import Extras
from SpineSegmentationLib.io.values import read_centroids

L = Level


@pytest.fixture
def out(tmp_path):
    return cohort_in(tmp_path)


def verdict(out, scan, say, reviewer="me", **more) -> Verdict:
    return Verdict(scan, read_result(out, scan).digest, reviewer, verdicts.now(), say, **more)


def labels(out, scan) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{scan}_seg-vert_msk.nii.gz")))


def test_rows_show_the_most_doubtful_first(out):
    rows, problems = rows_of(out)
    assert problems == [] and [row["scan"] for row in rows] == ["anna", "bert", "carl"]
    first, _, second = rows
    assert first["names"] == "unknown" and second["names"] == "doubtful" and second["probability"] == 0.6
    assert second["confidences"] == {"T11": 0.9, "T12": 0.8, "L1": pytest.approx(0.7)}
    assert second["second"]["levels"] == ["T12", "L1", "L2"] == second["shifts"]["1"]
    assert second["shifts"]["-3"] == ["T8", "T9", "T10"] and second["evidence"] == ["last rib at T12"]
    assert [row["label"] for row in second["measures"]] == ["T11", "T12", "L1"]
    assert (out / "cohort" / "review" / second["picture"]).samefile(out / "carl_seg-vert_snp.png")


def test_a_shift_is_done_once_on_all_files_and_without_a_network(out):
    before, calls = labels(out, "carl"), dict(standins.CALLS)
    verdicts.add(out, verdict(out, "carl", Say.SHIFT, by=1, note="rib"))
    [applied], problems = apply_review(out)
    assert (applied.done, problems) == ("T11 T12 L1 -> T12 L1 L2", [])
    expected = np.zeros_like(before)
    for old, new in ((L.T11, L.T12), (L.T12, L.L1), (L.L1, L.L2)):
        expected[before == old] = new
    assert np.array_equal(labels(out, "carl"), expected) and dict(standins.CALLS) == calls
    read = read_centroids(out / "carl_seg-subreg_ctd.json", sitk.ReadImage(str(out / "carl_seg-vert_msk.nii.gz")))
    assert read.levels == (L.T12, L.L1, L.L2) and read.numbering is None and {p.confidence for p in read} == {1.0}
    rows = list(csv.DictReader((out / "carl_measurements.csv").open()))
    assert [row["label"] for row in rows] == ["T12", "L1", "L2"]
    run = json.loads((out / "carl_run.json").read_text())
    assert run["centroids"] == ["T12", "L1", "L2"] and run["numbering"] is None
    assert run["review"]["reviewer"] == "me" and run["review"]["note"] == "rib"
    assert run["review"]["names_before"] == "T11 T12 L1"
    assert run["warnings"] == []
    # The verdict was on the result as it was.
    assert apply_review(out) == ([], [])
    assert np.array_equal(labels(out, "carl"), expected)


def test_what_was_said_of_a_vertebra_goes_with_its_name(out):
    run, rows = out / "carl_run.json", out / "carl_measurements.csv"
    said = json.loads(run.read_text())
    said["warnings"] += ["L1: look at its mask", "1 slices were missing", "T12 and L1 lie 9 mm apart"]
    said["warnings"] += ["L3 has no mask"]
    run.write_text(json.dumps({**said, "mask_confidence": {"T12": 0.9, "L1": 0.25}}))
    rows.write_text(rows.read_text().replace("complete,0.8", "incomplete,0.8"))
    verdicts.add(out, verdict(out, "carl", Say.SHIFT, by=1))
    assert apply_review(out)[0][0].done
    said = json.loads(run.read_text())
    assert said["warnings"] == ["L2: look at its mask", "1 slices were missing", "L1 and L2 lie 9 mm apart"]
    assert said["mask_confidence"] == {"L1": 0.9, "L2": 0.25}
    written = {row["label"]: row for row in csv.DictReader(rows.open())}
    assert [row["mask_confidence"] for row in written.values()] == ["", "0.9", "0.25"]
    assert [row["completeness"] for row in written.values()] == ["complete", "incomplete", "complete"]


def test_files_for_other_programs_are_renamed_too(tmp_path):
    pytest.importorskip("vtk")
    out = cohort_in(tmp_path, extras=Extras(surfaces="stl", points=("csv",), report=True))
    verdicts.add(out, verdict(out, "carl", Say.SHIFT, by=1))
    [applied], _ = apply_review(out)
    assert applied.done
    assert sorted(path.name for path in out.glob("carl_*.stl")) == ["carl_L1.stl", "carl_L2.stl", "carl_T12.stl"]
    assert "T11" not in (out / "carl_vertebrae.csv").read_text()


def test_files_that_do_not_fit_together_spoil_no_table(out):
    points = out / "carl_seg-subreg_ctd.json"
    points.write_text(json.dumps(json.loads(points.read_text())[:-1]))
    (out / "bert_measurements.csv").unlink()
    table, problems = write_tables(out)
    assert [row["scan"] for row in csv.DictReader(table.open())] == ["anna"]
    assert len(problems) == 2 and all("do not fit together" in line for line in problems)


def test_other_names_and_right_names(out):
    verdicts.add(out, verdict(out, "bert", Say.NAMES, levels=(L.L4, L.L6)))
    verdicts.add(out, verdict(out, "anna", Say.RIGHT))
    assert [one.done for one in apply_review(out)[0]] == ["right", "T11 T12 -> L4 L6"]
    assert np.unique(labels(out, "bert")).tolist() == [0, L.L4, L.L6]
    run = json.loads((out / "anna_run.json").read_text())
    assert run["review"]["verdict"] == "right" and run["numbering"]["certainty"] == "unknown"
    assert [row["review"] is not None for row in rows_of(out)[0]] == [True, False, True]


def test_the_last_word_of_each_reviewer_counts_and_disagreement_stops(out):
    for by in (1, -1):
        verdicts.add(out, verdict(out, "carl", Say.SHIFT, by=by))
    verdicts.add(out, verdict(out, "carl", Say.SHIFT, "you", by=-1))
    verdicts.add(out, verdict(out, "bert", Say.RIGHT))
    verdicts.add(out, verdict(out, "bert", Say.WRONG, "you"))
    verdicts.add(out, verdict(out, "anna", Say.WRONG))
    verdicts.add(out, verdict(out, "anna", Say.NOTHING))
    bert, carl = apply_review(out)[0]
    assert carl.done == "T11 T12 L1 -> T10 T11 T12"
    assert bert.problem == "me and you disagree" and bert.script.exists() and not bert.done
    assert labels(out, "bert").max() == L.T12


def test_what_cannot_be_carried_out_is_said_and_changes_nothing(out, tmp_path):
    before = labels(out, "carl")
    verdicts.add(out, verdict(out, "carl", Say.NAMES, levels=(L.L1, L.L2)))
    [applied], _ = apply_review(out)
    assert "3 vertebrae, and 2 names" in applied.problem and not applied.done
    verdicts.add(out, verdict(out, "carl", Say.SHIFT, by=1))
    path = out / "carl_seg-vert_msk.nii.gz"
    mended = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.DICOMOrient(mended, "RAI"), str(path))
    assert "does not lie on the grid of" in apply_review(out)[0][0].problem
    sitk.WriteImage(mended, str(path))
    (tmp_path / "scans" / "carl.nii.gz").write_bytes(b"another")
    [applied], _ = apply_review(out)
    assert "is not the scan any more" in applied.problem
    assert np.array_equal(labels(out, "carl"), before)


def test_a_verdict_on_a_replaced_result_does_not_count(out):
    said = verdict(out, "carl", Say.WRONG)
    run = out / "carl_run.json"
    run.write_text(run.read_text() + "\n")
    assert current([said], {"carl": read_result(out, "carl").digest}) == {}


def test_two_reviewers_at_once_lose_nothing(out):
    said = [[verdict(out, "carl", Say.SHIFT, who, by=by) for by in range(1, 40)] for who in ("me", "you")]
    threads = [threading.Thread(target=lambda mine=mine: [verdicts.add(out, one) for one in mine]) for mine in said]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read, problems = verdicts.read(out)
    assert problems == [] and sorted(read, key=str) == sorted([*said[0], *said[1]], key=str)


def test_a_torn_line_spoils_no_other(out):
    first, second = verdict(out, "carl", Say.RIGHT), verdict(out, "bert", Say.RIGHT)
    verdicts.add(out, first)
    file = out / "cohort" / "review" / "verdicts.jsonl"
    with file.open("a") as torn:
        torn.write('{"scan": "ber')
    verdicts.add(out, second)
    read, problems = verdicts.read(out)
    assert read == [first, second] and len(problems) == 1 and "line 2" in problems[0]
    # One that a browser saved counts as well.
    other = replace(first, reviewer="you", time="2020")
    (file.parent / "verdicts-you.jsonl").write_text(json.dumps(other.to_json()))
    assert verdicts.read(out)[0] == [other, first, second]


@pytest.mark.parametrize(
    "wrong", [{"say": "shift"}, {"say": "names", "levels": ["L1", "T12"]}, {"say": "perhaps"}, {"levels": ["X"]}]
)
def test_what_is_no_verdict(wrong):
    value = {"scan": "a", "result": "b", "reviewer": "c", "time": "d", "say": "right", **wrong}
    with pytest.raises(SpineError):
        Verdict.from_json(value)


def test_the_server_takes_verdicts_of_who_knows_the_address(out):
    build(out, "me")
    with ReviewServer(out) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            said = verdict(out, "carl", Say.SHIFT, by=1)
            page = server.url.rsplit("/", 1)[0]
            results = page.rsplit("/", 2)[0]

            def ask(path, value=None, base=page, **headers):
                data = None if value is None else json.dumps(value).encode()
                try:
                    with urllib.request.urlopen(urllib.request.Request(f"{base}/{path}", data, headers)) as answer:
                        return answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    return error.code, error.read()

            assert ask("index.html")[0] == 200 and ask("carl_seg-vert_snp.png", base=results)[1][:4] == b"\x89PNG"
            assert ask("verdicts", said.to_json()) == (200, b"saved")
            assert json.loads(ask("verdicts")[1]) == [said.to_json()]
            code, path = ask("slicer", {"scan": "carl"})
            assert code == 200 and path.decode().endswith("carl.py")
            # Neither other files, nor other addresses, nor pages of other sites, nor what does not fit.
            for path in ("carl_run.json", "../scans/carl.nii.gz", "%2e%2e/scans/carl.nii.gz"):
                assert ask(path, base=results)[0] == 404
            host = f"http://127.0.0.1:{server.server_port}"
            assert ask("cohort/review/index.html", base=host)[0] == 404
            assert ask("cohort/review/index.html", base=f"{host}/guess")[0] == 404
            assert ask("verdicts", said.to_json(), Origin="http://evil.example")[0] == 404
            assert ask("verdicts", Host="evil.example")[0] == 404
            assert ask("verdicts", {**said.to_json(), "result": "old"})[0] == 400
            assert ask("verdicts", {**said.to_json(), "say": "names", "levels": ["L1"]})[0] == 400
            assert [ask("slicer", {"scan": scan})[0] for scan in ("../x", ["carl"], None)] == [400] * 3
            assert len(verdicts.read(out)[0]) == 1
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are always Unicode here")
def test_the_server_sends_pictures_whose_names_are_no_utf_8(tmp_path):
    output = many_in(tmp_path / "out", 1, [os.fsdecode(b"Gr\xfc\xdfe")])
    page, _ = build(output, "me")
    (row,) = json.loads((page.parent / "review.json").read_text())["rows"]
    assert row["picture"] == "../../Gr%FC%DFe_seg-vert_snp.png"
    with ReviewServer(output) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with urllib.request.urlopen(server.url.replace("cohort/review/index.html", row["picture"][6:])) as answer:
                assert answer.read()[:4] == b"\x89PNG"
        finally:
            server.shutdown()
            thread.join()


def test_on_the_command_line(out, capsys):
    assert cli.main(["review", str(out), "--no-server"]) == 0
    assert capsys.readouterr().out == f"{out / 'cohort' / 'review' / 'index.html'}\n"
    verdicts.add(out, verdict(out, "carl", Say.SHIFT, by=1, note="rib"))
    verdicts.add(out, verdict(out, "bert", Say.WRONG))
    assert cli.main(["apply-review", str(out)]) == 0
    told = capsys.readouterr()
    script = out / "cohort" / "review" / "bert.py"
    assert told.out.splitlines() == [
        f'bert: wrong; open it: Slicer --python-script "{script}"',
        "carl: T11 T12 L1 -> T12 L1 L2 (rib)",
    ]
    table = list(csv.DictReader((out / "cohort" / "scans.csv").open()))
    assert [(row["levels"], row["reviewed"]) for row in table] == [("T11", ""), ("T11 T12", ""), ("T12 L1 L2", "shift")]
    assert cli.main(["review", str(out / "none")]) == 2 and cli.main(["apply-review", str(out / "none")]) == 2
