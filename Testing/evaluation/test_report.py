"""The evaluation of a data set: scores, ranking, tables, and the report opened in a browser."""

import csv
import json
import math
import shutil
import subprocess
from dataclasses import replace

import pytest
from spines import SCANS, SPACING, rows, without_t13

from SpineSegmentationLib.evaluation.command import score_folders
from SpineSegmentationLib.evaluation.ranking import rank
from SpineSegmentationLib.evaluation.tables import across_datasets, success


def test_good_method(evaluation):
    (row,) = rows(evaluation, "overall", "good")
    assert row["scans"] == 10
    assert row["id.rate mean [%]"] == row["id.rate median [%]"] == 1.0
    assert row["d_mean mean [mm]"] == pytest.approx(0.0, abs=1e-3)
    # A block of 7x9x11 voxels with a process of 3x7x3, of which one layer of 7x11 is missing.
    size = 7 * 9 * 11 + 3 * 7 * 3
    assert row["Dice mean [%]"] == pytest.approx(2 * (size - 77) / (2 * size - 77))
    assert row["HD mean [mm]"] == pytest.approx(SPACING[1])


def test_method_with_errors(evaluation):
    (row,) = rows(evaluation, "overall", "worse")
    # Two scans off by one label, one vertebra of six missing in another.
    assert row["id.rate mean [%]"] == pytest.approx((7 + 5 / 6) / 10)
    (shift,) = rows(evaluation, "label_shift", "worse")
    assert shift["scans off by one"] == 2 and shift["id.rate after shift [%]"] > 0.95
    assert shift["Dice after shift [%]"] > shift["Dice [%]"] + 0.1
    assert rows(evaluation, "failures", "worse")[0]["id.rate under 5 %"] == 2
    (lessmann,) = rows(evaluation, "agreement", "worse")
    assert 0.9 < lessmann["weighted kappa"] < 1.0
    assert lessmann["identification accuracy [%]"] < 0.9


def test_method_without_masks_takes_part_in_labelling_only(evaluation):
    (row,) = rows(evaluation, "overall", "points")
    assert row["id.rate mean [%]"] == 0.9 and math.isnan(row["Dice mean [%]"])
    assert [r.scan for r in evaluation.failed if r.method == "points"] == ["sub-verse504_dir-ax"]
    assert any("points: sub-verse504_dir-ax: no prediction" in line for line in evaluation.messages)


def test_ranking_of_the_folders(evaluation):
    assert evaluation.ranking.counted == ("id_rate", "dice")
    assert next(iter(evaluation.ranking.scores)) == "good"
    # Dice: good beats worse on all ten scans, p = 2 ** -10 < 0.001, and the other way round never.
    dice = next(c for c in evaluation.ranking.comparisons if c.measure == "dice")
    assert dice.methods == ("good", "worse")
    assert dice.p_values[0, 1] == pytest.approx(2**-10)
    assert dice.points == {"good": 1, "worse": 0}
    # id.rate: no method beats another; so the score of good is 2/3 for segmentation.
    assert evaluation.ranking.scores == pytest.approx({"good": 2 / 3, "worse": 0.0, "points": 0.0})


def test_challenge_mode(data, evaluation):
    result = score_folders(data / "truth", {"b": data / "worse"}, challenge=True)
    (row,) = rows(result, "overall", "b")
    # One vertebra of six is missing in one scan: 1000 mm / 6 on top of the two shifted scans.
    shifted = [r.value("d_mean", True) for r in result.results if r.scan[10:12] in ("00", "06")]
    assert row["d_mean mean [mm]"] == pytest.approx((sum(shifted) + 1000 / 6) / 10, rel=1e-4)
    assert rank(evaluation.results[:6], challenge=True).counted == ("id_rate", "d_mean", "dice", "hd")


def test_files_are_complete_and_say_the_same(data, evaluation):
    report = data / "report"
    content = json.loads((report / "report.json").read_text())
    assert len(content["scans"]) == 30
    first = next(s for s in content["scans"] if s["method"] == "good")
    with (report / "report_scans.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["method"] == "good" and r["scan"] == first["scan"])
    assert float(row["Dice [%]"]) == pytest.approx(100 * first["dice"])
    with (report / "report_vertebrae.csv").open() as file:
        assert sum(r["method"] == "good" for r in csv.DictReader(file)) == sum(len(without_t13(s)) for s in SCANS)
    html = (report / "report.html").read_text()
    assert "http:" not in html.replace("http://www.w3.org", "") and "https:" not in html
    assert html.count("data:image/jpeg") == 30


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the report in")
def test_report_in_a_browser(data, evaluation, tmp_path):
    def browse(*arguments: str) -> subprocess.CompletedProcess:
        flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        flags += " --disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=4000"
        command = [CHROMIUM, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    # The page itself counts what it shows: tables and pictures that really loaded, and what it asked the network for.
    probe = """<script>addEventListener("load", async () => {
        const images = [...document.images];
        images.forEach(i => i.loading = "eager");
        await Promise.all(images.map(i => i.complete || new Promise(done => i.onload = i.onerror = done)));
        document.title = JSON.stringify({
            images: images.length, broken: images.filter(i => !i.naturalWidth).length,
            tables: document.querySelectorAll("table").length,
            empty: [...document.querySelectorAll("table")].filter(t => t.rows.length < 2).length,
            links: [...document.querySelectorAll("nav a")].filter(a => !document.querySelector(a.hash)).length,
            asked: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
            wide: document.documentElement.scrollWidth > document.documentElement.clientWidth + 1,
        });
    });</script>"""
    page = tmp_path / "probe.html"
    page.write_text((data / "report/report.html").read_text().replace("</body>", probe + "</body>"))
    dom = browse("--window-size=1280,900", "--dump-dom", page.as_uri()).stdout
    title = dom[dom.index("<title>") + 7 : dom.index("</title>")]
    found = json.loads(title.replace("&quot;", '"'))
    assert found == {"images": 30 + 8, "broken": 0, "tables": 12, "empty": 0, "links": 0, "asked": 0, "wide": False}


def test_success_counts_scans_that_reach_the_threshold(evaluation):
    worse = [r for r in evaluation.results if r.method == "worse"]
    assert success(worse, "id_rate", 0.0) == 1.0
    assert success(worse, "id_rate", 5 / 6) == 0.8
    assert success(worse, "id_rate", 1.0) == 0.7


def test_transitional_vertebrae_are_apart(evaluation):
    counts = {row["region"]: row["vertebrae"] for row in rows(evaluation, "per_region", "good")}
    assert counts["T13"] == counts["L6"] == 1
    assert sum(counts.values()) == sum(len(without_t13(levels)) for levels in SCANS)
    assert [(r["anatomy"], r["scans"]) for r in rows(evaluation, "per_anatomy", "good")] == [("normal", 9), ("rare", 1)]


def test_data_sets_stand_side_by_side_and_the_hidden_one_counts_twice(evaluation):
    own = [r for r in evaluation.results if r.method in ("good", "worse")]
    public = [replace(r, dataset="02_validation") for r in own]
    # On the hidden set the methods have changed places.
    names = {"good": "worse", "worse": "good"}
    hidden = [replace(r, dataset="03_test", method=names[r.method]) for r in own]
    table = across_datasets([*public, *hidden], challenge=False)
    assert table.columns == (
        "method",
        "id.rate on 02_validation [%]",
        "id.rate on 03_test [%]",
        "Dice on 02_validation [%]",
        "Dice on 03_test [%]",
    )
    (good,) = (row for row in table.rows if row[0] == "good")
    assert good[1] == 1.0 and good[2] == pytest.approx((7 + 5 / 6) / 10) and good[3] > 0.9 > good[4]
    # A point for Dice each; 1/3 and 2/3 of the segmentation's 2/3.
    assert rank([*public, *hidden], challenge=False).scores == pytest.approx({"worse": 4 / 9, "good": 2 / 9})


def test_ranking_ignores_the_order_of_methods(evaluation):
    backwards = rank(evaluation.results[::-1], challenge=False)
    assert backwards.scores == evaluation.ranking.scores
