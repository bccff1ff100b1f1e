"""Folders of truth and predictions: their layouts, bad ones, unusable calls."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from spines import ct_of, level_range, rows, save, spine

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.evaluation.command import evaluate, score_folders
from SpineSegmentationLib.evaluation.dataset import centroids_of_mask, find_scans, prediction_of, read_scan_centroids
from SpineSegmentationLib.io.values import write_centroids, write_json
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.resampling import upright
from SpineSegmentationLib.spine import Centroid, Centroids


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
    result = evaluate(tmp_path, {"truth": tmp_path}, tmp_path / "out")
    assert any("verse014_ctd.json states no axes: read as a file of the VerSe challenges" in m for m in result.messages)


def test_verse_2019_as_published(tmp_path):
    """``seg-vb_ctd``: its scans are no scans of their own, and its names are all right."""
    mask, centroids = spine(level_range("T12", "L2"))
    for number in range(2):
        name = f"sub-verse{number:03d}"
        save(tmp_path / "derivatives" / name, name, mask, centroids)
        file = tmp_path / "derivatives" / name / f"{name}_seg-subreg_ctd.json"
        file.rename(file.with_name(f"{name}_seg-vb_ctd.json"))
    assert [scan.name for scan in find_scans(tmp_path)] == ["sub-verse000", "sub-verse001"]
    result = evaluate(tmp_path, {"same": tmp_path}, tmp_path / "out")
    assert [one.value("id_rate") for one in result.results] == [1.0, 1.0]


@pytest.mark.parametrize("name", ["s_seg-subreg_ctd.json", "s_seg-vb_ctd.json", "centroids.json"])
def test_centroids_without_axes_are_not_guessed(tmp_path, name):
    (tmp_path / name).write_text(json.dumps([{"label": 20, "X": 1, "Y": 1, "Z": 1}]))
    mask, _ = spine(level_range("T12", "L2"))
    with pytest.raises(SpineError, match="entry 1 must name the axes"):
        read_scan_centroids(tmp_path / name, mask)


def test_challenge_centroids_outside_the_scan_are_refused(tmp_path):
    mask, _ = spine(level_range("T12", "L2"))
    (tmp_path / "s_ctd.json").write_text(json.dumps([{"label": 20, "X": 1, "Y": 9000, "Z": 1}]))
    with pytest.raises(SpineError, match="entry 1 lies outside the scan"):
        read_scan_centroids(tmp_path / "s_ctd.json", mask)


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


def test_a_scan_is_not_given_the_prediction_of_its_like(tmp_path):
    mask, centroids = spine((Level.L1,))
    for name in ("sub-1_dir-ax", "sub-1_dir-sag"):
        save(tmp_path / "truth", name, mask, centroids)
    for name in ("sub-1_dir-sag", "sub-1"):
        save(tmp_path / "ours", name, mask, centroids)
    evaluation = score_folders(tmp_path / "truth", {"ours": tmp_path / "ours"})
    assert [result.failures for result in evaluation.results] == [("sub-1_dir-ax: no prediction",), ()]
    assert "ours: 1 predictions belong to no scan of the truth: sub-1" in evaluation.messages


def test_voxels_of_predicted_centroids_are_those_of_the_ct(tmp_path):
    mask, centroids = spine(level_range("T12", "L3"))
    cut = mask[2:, :, 6:]
    save(tmp_path / "truth", "one", cut, None)
    write_image(ct_of(mask), tmp_path / "truth" / "one_ct.nii.gz")
    (tmp_path / "ours").mkdir()
    write_centroids(centroids, mask, tmp_path / "ours" / "one_ctd.json")
    (result,) = score_folders(tmp_path / "truth", {"ours": tmp_path / "ours"}).results
    assert result.labelling.id_rate == 1 and result.labelling.d_mean < 5


def test_our_centroids_of_a_tilted_ct_are_those_of_the_upright_grid(tmp_path):
    mask, centroids = spine(level_range("T12", "L3"))
    ct = ct_of(mask)
    ct.SetDirection((1, 0, 0, 0, 1, 0.5, 0, 0, 0.75**0.5))
    points = Centroids(
        tuple(
            Centroid(
                p.level,
                ct.TransformContinuousIndexToPhysicalPoint(mask.TransformPhysicalPointToContinuousIndex(p.position)),
            )
            for p in centroids
        )
    )
    for folder in ("truth", "ours", "theirs"):
        (tmp_path / folder).mkdir()
    sitk.WriteImage(ct, str(tmp_path / "truth" / "one_ct.nrrd"))
    for folder in ("truth", "theirs"):
        write_centroids(points, ct, tmp_path / folder / "one_seg-subreg_ctd.json")
    grid = upright(ct)
    write_centroids(points, grid, tmp_path / "ours" / "one_seg-subreg_ctd.json")
    write_json(tmp_path / "ours" / "one_run.json", {"input": {"size": grid.GetSize()}})
    found = score_folders(tmp_path / "truth", {name: tmp_path / name for name in ("ours", "theirs")}).results
    assert [result.labelling.d_mean < 0.01 for result in found] == [True, True]
