"""Unusable calls, each told in one line; the console."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from calls import segment

from SpineSegmentationLib import cli, weights
from SpineSegmentationLib.cli.console import Console

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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
@pytest.mark.parametrize("streams, code", [("> /dev/full", 1), ("2> /dev/full", 0), (">&-", 0), ("2>&-", 0)])
def test_output_that_cannot_be_written_loses_nothing(streams, code, tmp_path):
    words = f"-m SpineSegmentationLib phantom --output {tmp_path} --spacing 8,8,8 {streams}"
    ended = subprocess.run(f"{sys.executable} {words}", shell=True, capture_output=True, text=True)
    assert ended.returncode == code and (tmp_path / "rawdata").exists()
    failed = ["error: standard output: No space left on device"] * code
    assert ended.stderr.splitlines() == ([] if streams[0] == "2" else ["phantom 1 of 1", *failed])


def test_progress_on_a_terminal_is_one_line(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    console = Console()
    console.progress("a long line")
    console.progress("b")
    console.message("warning")
    assert sys.stderr.getvalue() == "a long line\r\x1b[Kb\r\x1b[Kwarning\n"
