"""The module in the application: scripts, sample data, PyTorch, the name of a new centroid."""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineSegmentation"


def test_the_script_of_the_application(module, monkeypatch):
    """The other test that a real Slicer runs: no panel, no worker."""
    import slicer
    from scenes import add_volume
    from standins import install, spine_ct

    from SpineSegmentationLib import pipeline

    install()
    monkeypatch.setitem(pipeline.SYSTEMS, pipeline.DEFAULT, pipeline.SYSTEMS["standin"])
    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "Application"))
    script = importlib.import_module("SpineSegmentationScriptTest")
    monkeypatch.setattr(script, "add_phantom", lambda *_: add_volume(slicer.mrmlScene, spine_ct(5), "phantom"))
    script.SpineSegmentationScriptTest("test_script").debug()


def test_the_example_script(module, monkeypatch, tmp_path, capsys):
    import slicer
    from scenes import add_volume
    from standins import install, spine_ct

    from SpineSegmentationLib import pipeline

    install()
    monkeypatch.setitem(pipeline.SYSTEMS, pipeline.DEFAULT, pipeline.SYSTEMS["standin"])
    cts = {"good": spine_ct(4), "bad": spine_ct(4) > 10_000}
    monkeypatch.setattr(
        slicer.util, "loadVolume", lambda path: add_volume(slicer.mrmlScene, cts[Path(path).stem], Path(path).stem)
    )
    exits = []
    monkeypatch.setattr(slicer.util, "exit", exits.append)
    monkeypatch.setattr(sys, "argv", ["batch.py", str(tmp_path), "bad.nrrd", "good.nrrd"])
    runpy.run_path(str(ROOT / "examples" / "batch.py"))
    assert exits == [slicer.util.EXIT_FAILURE]
    assert {path.name for path in tmp_path.iterdir()} == {
        "good.csv",
        "good_seg-vert_msk.nii.gz",
        "good_seg-subreg_ctd.json",
    }
    told = capsys.readouterr()
    assert "bad.nrrd" in told.err and "Hounsfield" in told.err and "good.nrrd: good_seg" in told.out


def test_the_phantom_is_offered_as_sample_data(module, monkeypatch):
    import slicer
    from scenes import add_volume

    sample, offered = sys.modules["SpineSegmentationPanel.sample"], []
    logic = SimpleNamespace(registerCustomSampleDataSource=lambda **source: offered.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=logic))
    push = SimpleNamespace(PushVolumeToSlicer=lambda image, name, className: add_volume(slicer.mrmlScene, image, name))
    monkeypatch.setitem(sys.modules, "sitkUtils", push)
    monkeypatch.setattr(slicer.util, "setSliceViewerLayers", lambda **_: None)
    sample.register_sample_data("thumbnail.png")
    [source] = offered
    # SampleDataSource compares the lengths of these.
    assert source["uris"] == source["fileNames"] == source["nodeNames"] == []
    [volume] = source["customDownloader"](source)
    assert volume.GetName() == source["sampleName"] == "SpinePhantom"
    assert volume.GetImageData().GetDimensions()[:2] == (160, 160)


@pytest.mark.parametrize("declines", [True, False])
def test_pytorch_comes_from_its_extension_and_is_asked_for_once(module, monkeypatch, declines):
    import slicer

    packages, asked = sys.modules["SpineSegmentationPanel.packages"], []
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: False)
    monkeypatch.setattr(slicer.packaging, "pip_ensure", lambda *_, **options: asked.append(options["prompt_install"]))
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    logic = SimpleNamespace(installTorch=lambda **options: asked.append("torch") or (None if declines else "torch"))
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=lambda: logic))
    if declines:
        with pytest.raises(RuntimeError, match="PyTorch was not installed"):
            packages.ensure_packages("")
    else:
        packages.ensure_packages("")
    assert asked == (["torch"] if declines else ["torch", False])


@pytest.mark.parametrize(
    ("heights", "height", "name"),
    [
        ({}, 0, "L1"),
        ({"L1": 0, "L2": -30}, 25, "T12"),
        ({"L1": 0, "L2": -30}, -55, "L3"),
        ({"L1": 0, "L3": -60}, -30, "L2"),
        ({"T12": 0, "L1": -30}, -15, None),
        ({"C1": 0}, 20, None),
        ({"L5": 0}, -30, "L6"),
        ({"T12": 0, "T13": -28, "L2": -90}, -60, "L1"),
    ],
)
def test_the_name_of_a_new_centroid_fits_its_place(monkeypatch, heights, height, name):
    monkeypatch.syspath_prepend(str(MODULE))
    from SpineSegmentationPanel.naming import proposed_level

    assert proposed_level(heights, height) == name
