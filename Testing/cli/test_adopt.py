"""``adopt``, and the files that are written for other programs."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from calls import ENDINGS
from scipy import ndimage

from SpineSegmentationLib import cli
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.cohort.claim import Claim
from SpineSegmentationLib.cohort.review import verdicts
from SpineSegmentationLib.cohort.review.apply import apply_review
from SpineSegmentationLib.cohort.review.rows import rows_of
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.foreign.masks import mask_of
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.measures import column
from SpineSegmentationLib.measures.density import Calibration
from SpineSegmentationLib.results import outputs

FOUND = (Level.T11, Level.T12, Level.L1)
"""What the stand-in labeller says."""


@pytest.fixture
def labels(ct) -> np.ndarray:
    """The three blocks, named as the stand-in labeller names them."""
    bone, count = ndimage.label(sitk.GetArrayFromImage(ct) > 250)
    assert count == 3
    heights = [place[0] for place in ndimage.center_of_mass(bone, bone, (1, 2, 3))]
    array = np.zeros(bone.shape, np.uint8)
    for level, number in zip(FOUND, np.argsort(heights)[::-1] + 1, strict=True):
        array[bone == number] = level
    return array


@pytest.fixture
def adopt(called, scan, ct, tmp_path):
    """Calls ``adopt`` with a label map; the exit code, and the label map that was written."""

    def call(labels: np.ndarray, *options, name="mask.nii.gz"):
        image = sitk.GetImageFromArray(labels)
        image.CopyInformation(ct)
        sitk.WriteImage(image, str(tmp_path / name))
        words = ["adopt", scan, "--mask", tmp_path / name, "--output", tmp_path / "out", *options]
        code = cli.main([str(word) for word in words])
        written = tmp_path / "out" / "one_seg-vert_msk.nii.gz"
        return code, sitk.GetArrayFromImage(sitk.ReadImage(str(written))) if written.exists() else None

    return call


def test_everything_is_written_and_no_voxel_changed(adopt, called, labels, tmp_path, capsys):
    code, array = adopt(labels)
    assert (code, called) == (0, ["detection", "labelling"])
    assert np.array_equal(array, labels)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"one{ending}" for ending in ENDINGS)
    record = json.loads((tmp_path / "out" / "one_run.json").read_text())
    assert record["given"]["mask"].endswith("mask.nii.gz")
    assert record["adopted"]["verdict"]["shift"] == 0
    told = capsys.readouterr()
    assert told.out == f"one: T11 T12 L1 -> {tmp_path / 'out' / 'one_seg-vert_msk.nii.gz'}\n"
    assert "one: names: our labeller gives the same names (3 of 3)." in told.err


def test_shifted_names_are_told_and_mended(adopt, labels, capsys):
    one_off = np.where(labels > 0, labels + 1, 0).astype(np.uint8)
    code, array = adopt(one_off)
    assert code == 0 and np.array_equal(array, one_off)
    assert "your T12 looks like our T11 (3 of 3 agree): shift by -1?" in capsys.readouterr().err
    code, array = adopt(one_off, "--shift", "-1", "--overwrite")
    assert code == 0 and np.array_equal(array, labels)
    code, array = adopt(one_off, "--rename", "T12=T11,L1=T12,L2=L1", "--overwrite")
    assert code == 0 and np.array_equal(array, labels)


def test_findings_are_shown_in_a_review_until_the_names_are_others(adopt, labels, tmp_path):
    one_off = np.where(labels > 0, labels + 1, 0).astype(np.uint8)
    one_off[:2, -2:, -3:] = Level.L1
    assert adopt(one_off)[0] == 0
    out = tmp_path / "out"
    (row,), _ = rows_of(out)
    assert row["names"] == "doubtful" and row["doubt"] >= 1
    read, *others = row["warnings"]
    assert read.startswith("numbers read as those of verse") and row["sentence"] == others[0]
    assert others[0] == "your T12 looks like our T11 (3 of 3 agree): shift by -1?"
    pieces = [line for line in others if "in 2 pieces" in line]
    assert [line[:3] for line in pieces] == ["L1 "]
    verdicts.add(out, verdicts.Verdict("one", row["result"], "me", verdicts.now(), verdicts.Say.SHIFT, by=-1))
    assert apply_review(out)[0][0].done
    (row,), _ = rows_of(out)
    assert row["names"] == "not stated" and row["doubt"] < 1 and row["sentence"] == ""
    assert row["warnings"][0] == read and others[0] not in row["warnings"]
    assert pieces[0].replace("L1", "T12").replace("L2", "L1") in row["warnings"]


def test_only_marked_levels_are_segmented_again(adopt, called, labels, tmp_path):
    code, array = adopt(labels, "--redo", "T12")
    assert code == 0 and called == ["detection", "labelling", "segmentation"]
    assert np.array_equal(array * (array != Level.T12), labels * (labels != Level.T12))
    assert not np.array_equal(array, labels)


def test_a_missing_level_is_taken_from_our_labeller(adopt, called, labels, tmp_path):
    code, array = adopt(np.where(labels == Level.T12, 0, labels).astype(np.uint8), "--redo", "T12")
    assert code == 0 and np.count_nonzero(array == Level.T12) > 20
    assert "no mask" not in (tmp_path / "out" / "one_run.json").read_text()
    assert np.array_equal(array * (array != Level.T12), labels * (labels != Level.T12))


def test_numbers_of_others(adopt, labels, tmp_path):
    theirs = np.choose(labels - 17 * (labels > 0), [0, 33, 32, 31]).astype(np.uint8)
    assert np.array_equal(adopt(theirs)[1], labels)
    (tmp_path / "own.csv").write_text("number,name\n33,T11\n32,T12\n31,L1\n")
    assert np.array_equal(adopt(theirs, "--codes", tmp_path / "own.csv", "--overwrite", "--unchecked")[1], labels)


@pytest.mark.parametrize(
    "options, message",
    [
        (("--rename", "L5=L4"), "L5 cannot be renamed: there is no such mask"),
        (("--rename", "T11=T12"), "T12 is given twice"),
        (("--codes", "nothing"), "is no code table"),
        (("--redo", "L5"), "L5 has no mask, and nothing tells where it is"),
        (("--dicom-seg",), "is not DICOM"),
        (("--centroids", "points.json"), "--centroids says where the levels of --redo are"),
    ],
)
def test_what_cannot_be_done_is_refused(adopt, labels, tmp_path, capsys, options, message):
    code, array = adopt(labels, *options)
    assert code == 2 and array is None
    assert message in capsys.readouterr().err
    assert not any((tmp_path / "out").glob("*"))


def test_what_is_done_is_skipped_only_if_it_would_be_the_same(adopt, scan, labels, ct, tmp_path, capsys):
    one_off = np.where(labels > 0, labels + 1, 0).astype(np.uint8)
    options = ("--unchecked", "--calibration", "0.8,-10", "--points", "csv")
    assert adopt(labels, *options)[0] == 0
    capsys.readouterr()
    assert adopt(labels, *options)[0] == 0 and "done before, skipped" in capsys.readouterr().err
    for mask, more in ((one_off, ()), (labels, ("--shift", "-1"))):
        assert adopt(mask, *options, *more)[0] == 2
        assert "is of another scan, another mask or other options; --overwrite" in capsys.readouterr().err
    moved = sitk.Image(ct)
    moved.SetOrigin((1.0, 2.0, 3.0))
    write_image(moved, scan)
    code, array = adopt(labels, *options)
    assert code == 2 and np.array_equal(array, labels)


def test_a_scan_in_other_hands_is_left_alone(adopt, labels, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    claim = Claim.take(tmp_path / "out", "one")
    assert adopt(labels)[1] is None and "another process is at it" in capsys.readouterr().err
    claim.release()


def test_surfaces_and_points_are_written_too(adopt, labels, ct, tmp_path):
    pytest.importorskip("vtk")
    assert adopt(labels, "--surfaces", "ply", "--points", "mrk.json,csv", "--unchecked")[0] == 0
    out = tmp_path / "out"
    assert {path.name for path in out.glob("*.ply")} == {f"one_{level.name}.ply" for level in FOUND}
    points = read_centroids(out / "one_vertebrae.mrk.json", ct)
    lines = (out / "one_vertebrae.csv").read_text().splitlines()
    assert points.levels == FOUND and lines[0] == "label,x,y,z,confidence" and len(lines) == 4
    assert lines[1].startswith(f"T11,{points[Level.T11].position[0]:.3f},")


def test_many_scans_with_a_folder_of_their_masks(called, two, labels, ct, tmp_path, capsys):
    masks, out = tmp_path / "masks", tmp_path / "out"
    (masks / "two").mkdir(parents=True)
    for name, array in (("one_seg.nii.gz", labels), ("two/vertebrae_T12.nii.gz", labels == Level.T12)):
        image = sitk.GetImageFromArray(array.astype(np.uint8))
        image.CopyInformation(ct)
        sitk.WriteImage(image, str(masks / name))
    sitk.WriteImage(ct, str(masks / "one_ct.nii.gz"))
    words = ["adopt", str(two), "--mask", str(masks), "--output", str(out)]
    assert cli.main(words) == 0
    written = {
        name: np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{name}_seg-vert_msk.nii.gz"))))
        for name in ("one", "two")
    }
    assert {name: set(codes) - {0} for name, codes in written.items()} == {"one": set(FOUND), "two": {Level.T12}}
    with (out / "cohort" / "scans.csv").open(newline="") as lines:
        assert [row["scan"] for row in csv.DictReader(lines)] == ["one", "two"]
    # Done before; then one is without a mask, which is said and stops nothing.
    capsys.readouterr()
    assert cli.main(words) == 0 and capsys.readouterr().err.count("done before, skipped") == 2
    (masks / "one_seg.nii.gz").unlink()
    assert cli.main([*words, "--overwrite", "--unchecked"]) == 1
    told = capsys.readouterr()
    assert f"one: error: {masks} holds no mask for one; its name must begin with the scan's" in told.err
    assert told.out.startswith("two: T12 -> ")


@pytest.mark.parametrize("option", [("--shift", "1"), ("--rename", "L1=L2"), ("--redo", "L1"), ("--series", "1.2")])
def test_what_belongs_to_one_scan_is_refused_for_many(called, two, tmp_path, capsys, option):
    words = ["adopt", str(two), "--mask", str(tmp_path), "--output", str(tmp_path / "out"), *option]
    assert cli.main(words) == 2
    assert f"{option[0]} belongs to one scan, and 2 were given" in capsys.readouterr().err


def test_a_vertebra_is_renamed_once(adopt, labels, capsys):
    with pytest.raises(SystemExit):
        adopt(labels, "--rename", "T11=L2,T11=L3")
    assert "a vertebra is there twice" in capsys.readouterr().err


def test_which_mask_is_of_a_scan(tmp_path):
    for name in ("one_seg.nii.gz", "one2.nii.gz", "one_ct.nii.gz", "one.txt", "two-a.nrrd", "two_b.nrrd"):
        (tmp_path / name).touch()
    assert mask_of(tmp_path, "one").name == "one_seg.nii.gz"
    assert mask_of(tmp_path, "ONE2").name == "one2.nii.gz"
    with pytest.raises(SpineError, match=r"holds 2 masks for two: two-a.nrrd, two_b.nrrd"):
        mask_of(tmp_path, "two")
    assert mask_of(tmp_path, "two", ("two", "two_b", "one")).name == "two-a.nrrd"
    with pytest.raises(SpineError, match="holds no mask for o"):
        mask_of(tmp_path, "o", ("o", "one"))
    with pytest.raises(SpineError, match="must be a folder with a mask for each scan"):
        mask_of(tmp_path / "one.txt", "one")


def test_the_calibration_is_used_and_recorded(adopt, labels, tmp_path, monkeypatch):
    used = []
    monkeypatch.setattr(
        outputs, "measure", lambda *args, **more: used.append(args[-1]) or column.measure(*args, **more)
    )
    assert adopt(labels, "--unchecked", "--calibration", "0.8,-10")[0] == 0
    assert used == [Calibration(0.8, -10)]
    assert json.loads((tmp_path / "out" / "one_run.json").read_text())["given"]["calibration"] == [0.8, -10]
    assert adopt(labels, "--unchecked", "--overwrite", "--calibration", "0,1")[0] == 2
    with pytest.raises(SystemExit):
        adopt(labels, "--calibration", "0.8")
