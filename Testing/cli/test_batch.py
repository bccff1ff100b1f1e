"""The command line: outputs, exit codes, and every unusable call or bad scan in one line."""

import csv
import errno
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import standins
import torch

from SpineSegmentationLib import cli, pipeline, weights
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.io.ct import read_ct, same_grid, write_image
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import SYSTEMS, Pipeline
from SpineSegmentationLib.results import outputs
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.systems import DEFAULT

L = Level
ENDINGS = ("_seg-vert_msk.nii.gz", "_seg-subreg_ctd.json", "_seg-vert_snp.png", "_measurements.csv", "_run.json")
LEVELS = (L.T11, L.T12, L.L1)


@pytest.fixture(scope="module")
def ct() -> sitk.Image:
    """Three vertebrae for the stand-in stages."""
    return standins.spine_ct(3)


@pytest.fixture
def called(monkeypatch):
    """The names of the stages that ran, in order; the system is one of stand-ins."""
    names = []
    standins.install()
    monkeypatch.setitem(SYSTEMS, DEFAULT, SYSTEMS["standin"])
    monkeypatch.setattr(standins._Stage, "begin", lambda stage: names.append(stage.name))
    return names


def failing(monkeypatch, called: list[str], error: BaseException, at_call: int = 1) -> None:
    """From now on the segmenter's call of that number ends with the error."""

    def begin(stage) -> None:
        called.append(stage.name)
        if stage.name == "segmentation" and called.count("segmentation") == at_call:
            raise error

    monkeypatch.setattr(standins._Stage, "begin", begin)


@pytest.fixture
def scan(tmp_path, ct) -> Path:
    path = tmp_path / "in" / "one_ct.nii.gz"
    path.parent.mkdir()
    write_image(ct, path)
    return path


@pytest.fixture
def two(scan, ct) -> Path:
    write_image(ct, scan.with_name("two_ct.nii.gz"))
    return scan.parent


def segment(*arguments, to: Path) -> int:
    return cli.main(["segment", *map(str, arguments), "--output", str(to)])


def outputs_of(folder: Path, name: str) -> list[str]:
    """The endings of a scan's outputs; nothing else may have been left in the folder."""
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    return [ending for ending in ENDINGS if (folder / f"{name}{ending}").exists()]


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
    assert "one: segmentation, vertebra 2 of 3 (T12)\n" in told.err


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


def test_progress_on_a_terminal_is_one_line(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    console = cli.Console()
    console.progress("a long line")
    console.progress("b")
    console.message("warning")
    assert sys.stderr.getvalue() == "a long line\r\x1b[Kb\r\x1b[Kwarning\n"


def test_detect_and_label_stop_after_their_stage(called, scan, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["detect", str(scan), "--output", str(out)]) == 0
    assert called == ["detection"] and [path.name for path in out.iterdir()] == ["one_box.json"]
    box = json.loads((out / "one_box.json").read_text())["box"]
    printed = capsys.readouterr().out.split(": ")[1].split(" -> ")[0]
    assert np.allclose([float(v) for v in printed.split(",")], box, atol=0.06)

    # What detect printed (it begins with a minus here) is what --box takes.
    assert printed.startswith("-")
    called.clear()
    assert cli.main(["label", str(scan), "--box", printed, "--output", str(out), "--overwrite"]) == 0
    assert called == ["labelling"]
    assert sorted(path.name for path in out.iterdir()) == ["one_box.json", "one_seg-subreg_ctd.json"]


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


def test_what_is_done_is_skipped_unless_overwrite(called, two, tmp_path, capsys):
    out = tmp_path / "out"
    assert segment(two / "one_ct.nii.gz", to=out) == 0
    before = (out / "one_run.json").read_bytes()
    called.clear()
    assert segment(two, to=out) == 0
    assert called.count("detection") == 1 and (out / "one_run.json").read_bytes() == before
    assert "[1/2] one: done before, skipped" in capsys.readouterr().err
    (out / "one_seg-vert_snp.png").write_bytes(b"old")
    assert segment(two / "one_ct.nii.gz", "--overwrite", to=out) == 0
    assert (out / "one_seg-vert_snp.png").stat().st_size > 1000
    assert outputs_of(out, "one") == list(ENDINGS)


def test_somebody_elses_mask_is_not_overwritten(called, scan, capsys):
    mask = scan.with_name("one_seg-vert_msk.nii.gz")
    mask.write_bytes(b"truth")
    assert segment(scan, to=scan.parent) == 1
    assert mask.read_bytes() == b"truth" and "--overwrite" in capsys.readouterr().err and not called


def test_one_bad_scan_stops_no_batch(called, two, tmp_path, capsys):
    whole = (two / "one_ct.nii.gz").read_bytes()
    (two / "broken_ct.nii.gz").write_bytes(whole[: len(whole) // 2])
    (two / "text.nrrd").write_text("this is no image")
    flat = sitk.Image([20, 20, 20], sitk.sitkInt16) + 7
    sitk.WriteImage(flat, str(two / "notct.mha"))
    assert segment(two, to=tmp_path / "out") == 1
    for name in ("one", "two"):
        assert outputs_of(tmp_path / "out", name) == list(ENDINGS)
    told = capsys.readouterr()
    errors = [line for line in told.err.splitlines() if "error" in line]
    assert len(errors) == 3 and "Traceback" not in told.err
    for line, name in zip(errors, ("broken_ct.nii.gz", "notct.mha", "text.nrrd"), strict=True):
        assert name in line
    assert "--force" in errors[1] and len(told.out.splitlines()) == 2


def test_a_missing_input_fails_alone(called, scan, tmp_path, capsys):
    assert segment(scan, tmp_path / "nothing.nii.gz", to=tmp_path / "out") == 1
    assert outputs_of(tmp_path / "out", "one") == list(ENDINGS)
    assert f"error: {tmp_path / 'nothing.nii.gz'} does not exist" in capsys.readouterr().err


def test_an_unexpected_error_in_a_scan_stops_no_batch(called, monkeypatch, two, tmp_path, capsys):
    failing(monkeypatch, called, ZeroDivisionError("of ours"))
    assert segment(two, to=tmp_path / "out") == 1
    assert outputs_of(tmp_path / "out", "one") == [] and outputs_of(tmp_path / "out", "two") == list(ENDINGS)
    assert "unexpected ZeroDivisionError; please report" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
        RuntimeError("Exception thrown in SimpleITK: Failed to allocate memory for image."),
    ],
)
def test_out_of_memory_is_one_line(called, monkeypatch, error, two, tmp_path, capsys):
    failing(monkeypatch, called, error)
    assert segment(two, to=tmp_path / "out") == 1
    assert outputs_of(tmp_path / "out", "one") == [] and outputs_of(tmp_path / "out", "two") == list(ENDINGS)
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and "one_ct.nii.gz: not enough memory" in lines[0]


def test_another_runtime_error_is_not_taken_for_a_full_memory(called, monkeypatch, scan, tmp_path, capsys):
    failing(monkeypatch, called, RuntimeError("shapes differ"))
    assert segment(scan, to=tmp_path / "out") == 1
    assert "unexpected RuntimeError" in capsys.readouterr().err


def test_interrupting_keeps_what_is_finished(called, monkeypatch, two, tmp_path, capsys):
    failing(monkeypatch, called, KeyboardInterrupt(), at_call=5)
    assert segment(two, to=tmp_path / "out") == 130
    assert outputs_of(tmp_path / "out", "one") == list(ENDINGS) and outputs_of(tmp_path / "out", "two") == []
    told = capsys.readouterr()
    assert "interrupted" in told.err and "Traceback" not in told.err


def test_interrupting_while_writing_leaves_nothing(called, monkeypatch, scan, tmp_path):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs, "write_picture", interrupted)
    assert segment(scan, to=tmp_path / "out") == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_leaves_nothing(called, monkeypatch, two, tmp_path, capsys):
    write_text, full = outputs.write_text, []

    def no_space(path, text):
        if not full:
            full.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        write_text(path, text)

    monkeypatch.setattr(outputs, "write_text", no_space)
    assert segment(two, to=tmp_path / "out") == 1
    assert outputs_of(tmp_path / "out", "one") == [] and outputs_of(tmp_path / "out", "two") == list(ENDINGS)
    line = next(line for line in capsys.readouterr().err.splitlines() if "error" in line)
    assert str(tmp_path / "out") in line and "No space left on device" in line


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


def test_two_scans_of_one_name_get_two_names(called, ct, tmp_path):
    for person in ("anna", "bert"):
        (tmp_path / "in" / person).mkdir(parents=True)
        write_image(ct, tmp_path / "in" / person / "scan.nii.gz")
    assert segment(tmp_path / "in", "--quiet", to=tmp_path / "out") == 0
    for name in ("anna_scan", "bert_scan"):
        assert outputs_of(tmp_path / "out", name) == list(ENDINGS)


def test_a_scan_given_twice_runs_once(called, scan, tmp_path):
    scan.with_name("same.nii.gz").symlink_to(scan.name)
    assert segment(scan.parent, scan, to=tmp_path / "out") == 0
    assert called.count("detection") == 1 and outputs_of(tmp_path / "out", "one") == list(ENDINGS)


UNUSABLE = {
    "no command": [],
    "no output": ["segment", "IN"],
    "box without numbers": ["segment", "IN", "--output", "OUT", "--box", "1,2"],
    "box without extent": ["segment", "IN", "--output", "OUT", "--box", "0,0,0,0,9,9"],
    "box and centroids": ["segment", "IN", "--output", "OUT", "--box", "-1,0,0,1,9,9", "--centroids", "IN"],
    "unknown vertebra": ["segment", "IN", "--output", "OUT", "--only", "L3,L9"],
    "unknown system": ["segment", "IN", "--output", "OUT", "--system", "none"],
    "unknown labeller": ["label", "IN", "--output", "OUT", "--labeller", "none"],
    "stage of another command": ["detect", "IN", "--output", "OUT", "--segmenter", "standin"],
    "unknown device": ["segment", "IN", "--output", "OUT", "--device", "gpu"],
    "absent CUDA device": ["segment", "IN", "--output", "OUT", "--device", "cuda:99"],
    "no such input": ["segment", "OUT", "--output", "OUT"],
    "no such centroids": ["segment", "IN", "--output", "OUT", "--centroids", "OUT"],
    "one box for two scans": ["segment", "TWO", "--output", "OUT", "--box=-1,0,0,1,9,9"],
    "output is a file": ["segment", "IN", "--output", "IN"],
    "no such truth": ["evaluate", "--truth", "OUT", "--prediction", "a=OUT", "--report", "OUT"],
    "prediction without name": ["evaluate", "--truth", "TWO", "--prediction", "TWO", "--report", "OUT"],
    "spacing": ["phantom", "--output", "OUT", "--spacing", "1,1"],
    "steps": ["train", "labelling", "--output", "OUT", "--steps", "-3"],
}


@pytest.mark.parametrize("words", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_call_is_exit_code_2(called, words, two, tmp_path, capsys):
    places = {"IN": two / "one_ct.nii.gz", "TWO": two, "OUT": tmp_path / "out"}
    try:
        code = cli.main([str(places.get(word, word)).replace("a=OUT", f"a={two}") for word in words])
    except SystemExit as stop:
        code = stop.code
    told = capsys.readouterr()
    assert code == 2 and told.out == "" and "error: " in told.err and "Traceback" not in told.err
    assert not called


def test_cuda_that_is_not_there(called, monkeypatch, scan, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert segment(scan, "--device", "cuda", to=tmp_path / "out") == 2
    assert "use --device cpu" in capsys.readouterr().err


def test_missing_or_replaced_weights(monkeypatch, scan, tmp_path, capsys):
    place = tmp_path / "models"
    place.mkdir()
    monkeypatch.setattr(weights, "FOLDERS", (place,))
    assert segment(scan, "--system", "anduin", to=tmp_path / "out") == 2
    assert "missing" in capsys.readouterr().err
    entry = {"sha256": "0" * 64, "width": "compact"}
    (place / weights.REGISTRY).write_text(json.dumps({"anduin-detection": entry}))
    assert segment(scan, "--system", "anduin", to=tmp_path / "out") == 2
    assert "anduin-detection.safetensors: the weights are missing" in capsys.readouterr().err
    (place / "anduin-detection.safetensors").write_bytes(b"something else")
    assert segment(scan, "--system", "anduin", to=tmp_path / "out") == 2
    assert "wrong checksum" in capsys.readouterr().err and list((tmp_path / "out").iterdir()) == []


def test_phantoms_are_written_in_the_layout_that_evaluate_reads(tmp_path, capsys, monkeypatch):
    small = PhantomSpec(seed=5, first=L.L3, last=L.L4, field=(110, 120))
    monkeypatch.setattr("SpineSegmentationLib.phantom.make_phantom", lambda seed, spacing: make_phantom(small, spacing))
    folder = tmp_path / "data"
    assert cli.main(["phantom", "--output", str(folder), "--seed", "5", "--spacing", "3,3,3"]) == 0
    assert (folder / "rawdata" / "sub-phantom0005" / "sub-phantom0005_ct.nii.gz").exists()
    call = [
        "evaluate",
        "--truth",
        folder,
        "--prediction",
        f"truth={folder / 'derivatives'}",
        "--report",
        tmp_path / "r",
    ]
    assert cli.main([str(word) for word in call]) == 0
    table = capsys.readouterr().out
    assert (tmp_path / "r" / "report.html").exists() and "id.rate" in table
    assert " 100.00 " in table and "truth" in table


def test_train_hands_its_arguments_on(monkeypatch, tmp_path, capsys):
    command = pytest.importorskip("SpineSegmentationLib.training.command")
    seen = {}

    def train_stage(**given):
        seen.update(given)
        return tmp_path / "w.safetensors"

    monkeypatch.setattr(command, "train_stage", train_stage)
    call = "train labelling --steps 7 --phantoms 2 --verse a b --shared c --seed 3 --member 2 --device cpu --output"
    assert cli.main([*call.split(), str(tmp_path)]) == 0
    seen.pop("report")
    assert seen == {
        "stage": "labelling",
        "system": "anduin",
        "width": "compact",
        "folder": tmp_path,
        "steps": 7,
        "seed": 3,
        "device": "cpu",
        "phantoms": 2,
        "verse": [Path("a"), Path("b")],
        "shared": Path("c"),
        "own_masks": False,
        "member": 2,
    }
    assert "w.safetensors" in capsys.readouterr().out


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys\nfrom SpineSegmentationLib import cli\n"
        "try: cli.main(['segment', '--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "assert not {'torch', 'numpy', 'SimpleITK'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--centroids" in done.stdout, done.stderr


def test_every_stage_has_output_files():
    assert set(outputs.FILES) == set(pipeline.STAGES)
