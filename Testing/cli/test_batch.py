"""Many scans: what is done is kept, and a bad scan stops no other."""

import errno

import pytest
import SimpleITK as sitk
import torch
from calls import ENDINGS, TWICE, failing, outputs_of, segment

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.results import outputs


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
    failing(monkeypatch, called, ZeroDivisionError("of ours"), *TWICE)
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
    failing(monkeypatch, called, error, *TWICE)
    assert segment(two, to=tmp_path / "out") == 1
    assert outputs_of(tmp_path / "out", "one") == [] and outputs_of(tmp_path / "out", "two") == list(ENDINGS)
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and "one_ct.nii.gz: not enough memory" in lines[0]


def test_another_runtime_error_is_not_taken_for_a_full_memory(called, monkeypatch, scan, tmp_path, capsys):
    failing(monkeypatch, called, RuntimeError("shapes differ"), *TWICE)
    assert segment(scan, to=tmp_path / "out") == 1
    assert "unexpected RuntimeError" in capsys.readouterr().err


def test_interrupting_keeps_what_is_finished(called, monkeypatch, two, tmp_path, capsys):
    failing(monkeypatch, called, KeyboardInterrupt(), 5)
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
    write_text = outputs.write_text

    def no_space(path, text):
        if path.name.startswith("one"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_text(path, text)

    monkeypatch.setattr(outputs, "write_text", no_space)
    assert segment(two, to=tmp_path / "out") == 1
    assert outputs_of(tmp_path / "out", "one") == [] and outputs_of(tmp_path / "out", "two") == list(ENDINGS)
    line = next(line for line in capsys.readouterr().err.splitlines() if "error" in line)
    assert str(tmp_path / "out") in line and "No space left on device" in line


def test_every_stage_has_output_files():
    assert set(outputs.FILES) == set(pipeline.STAGES)
