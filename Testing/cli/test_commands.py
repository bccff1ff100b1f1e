"""``phantom``, ``evaluate`` and ``train``."""

from pathlib import Path

import pytest

from SpineSegmentationLib import cli
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom

L = Level


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


def test_two_predictions_of_one_name_are_refused(tmp_path, capsys):
    call = [
        "evaluate",
        "--truth",
        tmp_path,
        "--prediction",
        f"a={tmp_path}",
        f"a={tmp_path}",
        "--report",
        tmp_path / "r",
    ]
    assert cli.main([str(word) for word in call]) == 2
    assert "--prediction names two methods 'a'" in capsys.readouterr().err


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
        "own_masks": None,
        "member": 2,
        "corrections": None,
        "fold": None,
        "final": False,
        "fine_tune": False,
        "start": None,
    }
    assert "w.safetensors" in capsys.readouterr().out
