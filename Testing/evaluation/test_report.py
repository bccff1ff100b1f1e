"""The evaluation of whole folders: layouts, bad input, ranking, tables, and the report opened in a browser."""

import csv
import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.evaluation.command import evaluate, score_folders
from SpineSegmentationLib.evaluation.dataset import centroids_of_mask, find_scans, prediction_of, read_scan_centroids
from SpineSegmentationLib.evaluation.ranking import rank
from SpineSegmentationLib.evaluation.tables import across_datasets, success
from SpineSegmentationLib.io.ct import write_image
from SpineSegmentationLib.io.values import write_centroids
from SpineSegmentationLib.spine import Centroid, Centroids

SPACING = (4.0, 4.0, 3.0)


def level_range(first: str, last: str) -> tuple[Level, ...]:
    return COLUMN[Level[first].rank : Level[last].rank + 1]


def spine(levels: tuple[Level, ...], pitch: float = 27.0, origin=(-60.0, -50.0, 10.0)) -> tuple[sitk.Image, Centroids]:
    """A column of blocks with a process behind, and their centres; the first level at the top."""
    pitch_voxels = round(pitch / SPACING[2])
    labels = np.zeros((pitch_voxels * len(levels) + 4, 28, 24), np.uint8)
    points = []
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    for place, level in enumerate(levels):
        low = pitch_voxels * (len(levels) - 1 - place) + 2
        labels[low : low + 7, 6:15, 7:18] = level
        labels[low + 2 : low + 5, 15:22, 11:14] = level
        points.append(Centroid(level, image.TransformContinuousIndexToPhysicalPoint((12.0, 10.0, low + 3.0))))
    filled = sitk.GetImageFromArray(labels)
    filled.CopyInformation(image)
    return filled, Centroids(tuple(points))


def ct_of(mask: sitk.Image) -> sitk.Image:
    ct = sitk.Cast(mask > 0, sitk.sitkInt16) * 500 - 50
    ct.CopyInformation(mask)
    return ct


def renamed(mask: sitk.Image, centroids: Centroids, shift: int) -> tuple[sitk.Image, Centroids]:
    names = {p.level: COLUMN[p.level.rank + shift] for p in centroids}
    table = np.arange(256, dtype=np.uint8)
    for old, new in names.items():
        table[old] = new
    other = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(mask)])
    other.CopyInformation(mask)
    return other, Centroids(tuple(Centroid(names[p.level], p.position) for p in centroids))


def eroded(mask: sitk.Image, voxels: int) -> sitk.Image:
    """A worse mask: the front ``voxels`` layers of every vertebra are gone."""
    labels = sitk.GetArrayFromImage(mask)
    labels[:, 6 : 6 + voxels] = 0
    worse = sitk.GetImageFromArray(labels)
    worse.CopyInformation(mask)
    return worse


def save(folder: Path, name: str, mask: sitk.Image | None, centroids: Centroids | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if mask is not None:
        write_image(mask, folder / f"{name}_seg-vert_msk.nii.gz")
    if centroids is not None:
        grid = mask if mask is not None else spine((Level.L1,))[0]
        write_centroids(centroids, grid, folder / f"{name}_seg-subreg_ctd.json")


SCANS = (
    level_range("T10", "L5"),
    level_range("C1", "T3"),
    level_range("C6", "T4"),
    (*level_range("T11", "T12"), Level.T13, *level_range("L1", "L6")),
    level_range("T12", "L2"),
    level_range("C7", "L5"),
    level_range("T3", "T8"),
    level_range("L1", "L5"),
    level_range("T9", "L4"),
    level_range("T10", "L3"),
)
"""Ten scans: the fewest with which the signed-rank test can reach p < 0.001."""


def without_t13(levels):
    return tuple(level for level in levels if level is not Level.T13 or Level.T12 not in levels or Level.L6 in levels)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A truth folder in the VerSe'20 layout, a good method, one that errs, and one that only labels."""
    root = tmp_path_factory.mktemp("verse")
    for number, levels in enumerate(SCANS):
        name = f"sub-verse{500 + number}_dir-ax"
        mask, centroids = spine(without_t13(levels))
        (root / f"truth/rawdata/sub-verse{500 + number}").mkdir(parents=True)
        write_image(ct_of(mask), root / f"truth/rawdata/sub-verse{500 + number}/{name}_ct.nii.gz")
        save(root / f"truth/derivatives/sub-verse{500 + number}", name, mask, centroids)
        # Every other prediction is stored in another order of the axes than its scan.
        save(root / "good", name, sitk.DICOMOrient(eroded(mask, 1), ("LPS", "RSA")[number % 2]), centroids)
        worse, shifted = eroded(mask, 3), centroids
        if number in (0, 6):
            worse, shifted = renamed(worse, centroids, -1)
        if number == 9:
            shifted = centroids.only(centroids.levels[1:])
            worse = sitk.ChangeLabel(worse, {int(centroids.levels[0]): 0})
        save(root / "worse", name, worse, shifted)
        if number != 4:
            save(root / "points", name, None, centroids)
    return root


@pytest.fixture(scope="module")
def evaluation(data):
    methods = {"good": data / "good", "worse": data / "worse", "points": data / "points"}
    return evaluate(data / "truth", methods, data / "report")


def rows(evaluation, key: str, method: str) -> list[dict]:
    table = evaluation.table(key)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows if method in row[:2]]


# Whole folders ----------------------------------------------------------------------------------------------------


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


# Bad input --------------------------------------------------------------------------------------------------------


def test_bad_predictions_count_as_failed_and_stop_nothing(data, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(data / "good", bad)
    names = [f"sub-verse{500 + n}_dir-ax" for n in range(10)]
    masks = [bad / f"{name}_seg-vert_msk.nii.gz" for name in names]
    points = [bad / f"{name}_seg-subreg_ctd.json" for name in names]
    masks[0].write_bytes(masks[0].read_bytes()[:200])  # truncated
    masks[1].unlink()  # missing
    write_image(sitk.ReadImage(str(masks[2]))[1:, :, :], masks[2])  # another grid
    masks[3].with_name(f"{names[3]}_msk.nii.gz").write_bytes(masks[3].read_bytes())  # twice
    points[4].write_text('[{"direction": ["L", "P", "S"]}, {"label": 20, "X": 1, "Y": 1}]')  # a coordinate missing
    entries = json.loads(points[5].read_text())
    points[5].write_text(json.dumps([*entries, entries[1]]))  # a level twice
    points[6].unlink()  # centroids to be taken from the mask
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(masks[7])))
    labels[:2, :2, :2] = 99  # a code that is no vertebra
    odd = sitk.GetImageFromArray(labels)
    odd.CopyInformation(sitk.ReadImage(str(masks[7])))
    write_image(odd, masks[7])
    write_image(sitk.ReadImage(str(masks[8])) * 0, masks[8])  # empty
    masks[9].unlink(), points[9].unlink()  # nothing at all
    save(bad, "somebody_else", *spine((Level.L1,)))

    result = evaluate(data / "truth", {"bad": bad}, tmp_path / "out")
    of = {r.scan: r for r in result.results}
    assert len(of) == 10
    failures = {name: " ".join(of[name].failures) for name in names}
    for number, text in {
        0: "truncated, damaged",
        1: "no mask",
        2: "different grids",
        3: "two files for one thing",
        4: "X, Y and Z",
        5: "twice",
        9: "no prediction",
    }.items():
        assert text in failures[names[number]], number
    assert {name for name in names if failures[name]} == {names[n] for n in (0, 1, 2, 3, 4, 5, 9)}
    # What can be used of a scan is used: masks and centroids fail apart.
    assert [of[names[n]].value("dice") for n in (0, 1, 2, 3, 8, 9)] == [0.0] * 6
    assert [of[names[n]].value("id_rate") for n in (0, 1, 2, 8)] == [1.0] * 4
    assert [of[names[n]].value("id_rate") for n in (3, 4, 5, 9)] == [0.0] * 4
    assert all(of[names[n]].value("dice") > 0.9 for n in (4, 5, 6, 7))
    # Centroids of blocks with a process come out near the middle of the block.
    assert of[names[6]].value("id_rate") == 1.0 and of[names[6]].value("d_mean") < 5.0
    messages = "\n".join(result.messages)
    for text in ("centroids taken from the mask", "[99]", "mask is empty", "1 predictions belong to no scan"):
        assert text in messages
    assert rows(result, "failures", "bad")[0]["unusable"] == 7
    assert (tmp_path / "out/report.html").exists()


def test_bad_truth_leaves_the_scan_out(data, tmp_path):
    truth = tmp_path / "truth"
    shutil.copytree(data / "truth", truth)
    folder = truth / "derivatives/sub-verse500"
    next(folder.glob("*_msk.nii.gz")).write_bytes(b"no image")
    next(folder.glob("*_ctd.json")).write_text("{")
    next((truth / "rawdata/sub-verse501").glob("*_ct.nii.gz")).write_bytes(b"no image")
    mask = next((truth / "derivatives/sub-verse502").glob("*_msk.nii.gz"))
    write_image(sitk.ReadImage(str(mask)) * 0, mask)
    result = score_folders(truth, {"good": data / "good"})
    assert len(result.results) == 9 and not result.failed
    messages = "\n".join(result.messages)
    assert "sub-verse500_dir-ax is left out" in messages and "shown without the CT" in messages
    labels_only = next(r for r in result.results if r.scan == "sub-verse502_dir-ax")
    assert labels_only.segmentation is None and labels_only.value("id_rate") == 1.0


def test_unusable_calls(data, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SpineError, match="not a folder"):
        evaluate(tmp_path / "nowhere", {"a": data / "good"}, tmp_path / "out")
    with pytest.raises(SpineError, match="no annotations"):
        evaluate(empty, {"a": data / "good"}, tmp_path / "out")
    with pytest.raises(SpineError, match="no predictions"):
        evaluate(data / "truth", {"a": empty}, tmp_path / "out")
    save(tmp_path / "others", "other", *spine((Level.L1,)))
    with pytest.raises(SpineError, match="none of its 1 predictions"):
        evaluate(data / "truth", {"a": tmp_path / "others"}, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(SpineError, match="another place for the report"):
        evaluate(data / "truth", {"a": data / "good"}, tmp_path / "file" / "out")


# Layouts ----------------------------------------------------------------------------------------------------------


def test_challenge_layouts_of_2019_and_2020(tmp_path):
    """Centroids in mm: 2019 counts (I, P, L), 2020 counts (P, I, R); no direction entry."""
    mask, centroids = spine(level_range("T12", "L2"))
    turned = sitk.DICOMOrient(mask, "PSR")
    size = np.multiply(mask.GetSize(), mask.GetSpacing())
    for name, suffix, axes in (("verse014", "ctd", "IPL"), ("verse512_CT-iso", "iso-ctd", "PIR")):
        folder = tmp_path / "02_validation" / name
        folder.mkdir(parents=True)
        write_image(ct_of(turned), folder / f"{name}.nii.gz")
        write_image(turned, folder / f"{name}_seg.nii.gz")
        entries = []
        for point in centroids:
            x, y, z = np.subtract(point.position, mask.GetOrigin())
            far = size - mask.GetSpacing()
            along = {"L": x, "R": far[0] - x, "P": y, "A": far[1] - y, "S": z, "I": far[2] - z}
            entries.append({"label": int(point.level), **{k: along[a] for k, a in zip("XYZ", axes, strict=True)}})
        (folder / f"{name}_{suffix}.json").write_text(json.dumps(entries))
    scans = find_scans(tmp_path)
    assert [(s.name, s.dataset) for s in scans] == [("verse014", "02_validation"), ("verse512_CT-iso", "02_validation")]
    for scan in scans:
        assert scan.ct.name == f"{scan.name}.nii.gz"
        read = read_scan_centroids(scan.centroids, sitk.ReadImage(str(scan.mask)))
        assert read.levels == centroids.levels
        np.testing.assert_allclose(read.positions, centroids.positions, atol=1e-3)


def test_one_folder_per_scan_and_predictions_of_this_tool(tmp_path):
    mask, centroids = spine(level_range("L1", "L3"))
    for case in ("one", "two"):
        (tmp_path / "truth" / case).mkdir(parents=True)
        write_image(ct_of(mask), tmp_path / "truth" / case / "ct.nii.gz")
        points = [
            {"label": p.level.name, "position": p.position, "complete": p.level is not Level.L3} for p in centroids
        ]
        value = {"coordinate_system": "LPS", "points": [*points, {"label": "S1", "position": [0, 0, 0]}]}
        (tmp_path / "truth" / case / "centroids.json").write_text(json.dumps(value))
        save(tmp_path / "mine" / case, "ct", mask, centroids)
        (tmp_path / "mine" / case / "ct_measurements.csv").write_text("label,completeness\nL1,1.0\nL2,0.2\nL3,0.1\n")
    write_image(mask, tmp_path / "truth/one/seg-vert_msk.nii.gz")
    result = evaluate(tmp_path / "truth", {"mine": tmp_path / "mine"}, tmp_path / "out" / "my.html")
    assert [r.scan for r in result.results] == ["one", "two"]
    assert all(r.value("id_rate") == 1.0 and not r.failures for r in result.results)
    assert result.results[0].value("dice") == 1.0 and result.results[1].segmentation is None
    (row,) = rows(result, "agreement", "mine")
    # L1 rightly complete, L2 wrongly incomplete, L3 rightly incomplete; in each of two scans.
    assert row["completeness accuracy [%]"] == pytest.approx(2 / 3)
    assert (row["false complete per scan"], row["false incomplete per scan"]) == (0.0, 1.0)
    assert (tmp_path / "out/my.html").exists() and (tmp_path / "out/my_overall.csv").exists()


def test_predictions_are_found_across_layouts_and_data_sets(tmp_path):
    mask, _ = spine((Level.L1,))
    for subset in ("dataset-verse19validation", "dataset-verse20test"):
        save(tmp_path / "truth" / subset / "derivatives/sub-verse004", "sub-verse004_dir-sag", mask, None)
        save(tmp_path / "same" / subset / "derivatives/sub-verse004", "sub-verse004_dir-sag", mask, None)
    (tmp_path / "flat").mkdir()
    write_image(mask, tmp_path / "flat/verse004.nii.gz")
    scans = find_scans(tmp_path / "truth")
    assert [s.dataset for s in scans] == ["dataset-verse19validation", "dataset-verse20test"]
    for scan in scans:
        found = prediction_of(scan, find_scans(tmp_path / "same", predictions=True))
        assert scan.dataset in found.mask.parts
        assert prediction_of(scan, find_scans(tmp_path / "flat", predictions=True)).mask.name == "verse004.nii.gz"
    write_image(mask, tmp_path / "flat/sub-verse004_dir-ax.nii.gz")
    with pytest.raises(SpineError, match="2 predictions"):
        prediction_of(scans[0], find_scans(tmp_path / "flat", predictions=True))


def test_centroids_of_a_mask_lie_in_the_body():
    mask, centroids = spine(level_range("C1", "C4"))
    found = centroids_of_mask(mask)
    assert found.levels == centroids.levels
    # The middle of the mask is drawn backwards by the process, 13 mm and more from the front; the body's middle less.
    for point in found:
        apart = np.subtract(point.position, centroids[point.level].position)
        assert abs(apart[0]) < 0.1 and abs(apart[2]) < 0.1
        assert abs(apart[1]) < (5.0 if point.level is not Level.C1 else 10.0)


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


def test_success_counts_scans_that_reach_the_threshold(evaluation):
    worse = [r for r in evaluation.results if r.method == "worse"]
    assert success(worse, "id_rate", 0.0) == 1.0
    assert success(worse, "id_rate", 5 / 6) == 0.8
    assert success(worse, "id_rate", 1.0) == 0.7
