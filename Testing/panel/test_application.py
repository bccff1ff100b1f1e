"""The module in the application: scripts, sample data, PyTorch, the name of a new centroid."""

from __future__ import annotations

import hashlib
import importlib
import runpy
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineSegmentation"


def test_the_script_of_the_application(module, monkeypatch):
    """The other test that a real Slicer runs: no panel, a worker that is waited for."""
    import slicer
    from scenes import add_volume
    from standins import spine_ct

    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "Application"))
    script = importlib.import_module("SpineSegmentationScriptTest")
    monkeypatch.setattr(script, "add_phantom", lambda *_: add_volume(slicer.mrmlScene, spine_ct(5), "phantom"))
    script.SpineSegmentationScriptTest("test_script").debug()


@pytest.fixture
def batch(module, monkeypatch):
    """Runs the example as the tutorial calls it; returns the exit codes. Scans are told apart by their folders."""
    import slicer
    from scenes import add_volume
    from standins import spine_ct

    cts = {"a": spine_ct(4), "b": spine_ct(3), "bad": spine_ct(4) > 10_000}
    monkeypatch.setattr(
        slicer.util, "loadVolume", lambda path: add_volume(slicer.mrmlScene, cts[Path(path).parent.name], "ct")
    )

    def run(*arguments) -> list[int]:
        exits: list[int] = []
        monkeypatch.setattr(slicer.util, "exit", exits.append)
        monkeypatch.setattr(sys, "argv", ["batch.py", *map(str, arguments)])
        runpy.run_path(str(ROOT / "examples" / "batch.py"))
        return exits

    return run


def test_the_example_script(batch, tmp_path, capsys):
    import slicer

    output = tmp_path / "out"
    exits = batch(output, *(tmp_path / folder / "scan.nii.gz" for folder in ("bad", "a", "b")))
    assert exits == [slicer.util.EXIT_FAILURE]
    endings = ("_measurements.csv", "_seg-vert_msk.nii.gz", "_seg-subreg_ctd.json")
    assert {path.name for path in output.iterdir()} == {f"{name}_scan{end}" for name in "ab" for end in endings}
    told = capsys.readouterr()
    assert "bad" in told.err and "Hounsfield" in told.err and "a_scan_seg" in told.out
    assert batch(output, tmp_path / "a" / "scan.nii.gz") == [slicer.util.EXIT_SUCCESS]


def test_the_example_script_ends_whatever_happens(batch, tmp_path, monkeypatch, capsys):
    import slicer

    assert batch() == [slicer.util.EXIT_FAILURE] and "usage" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "SpineSegmentation", None)
    assert batch(tmp_path, "a/scan.nii.gz") == [slicer.util.EXIT_FAILURE]
    assert "ModuleNotFoundError" in capsys.readouterr().err


def test_the_phantom_is_offered_as_sample_data(module, monkeypatch):
    """As the button of the module and ``SampleData.downloadSample("SpinePhantom")`` find it."""
    import SimpleITK as sitk

    sample, offered = sys.modules["SpineSegmentationPanel.sample"], []
    logic = SimpleNamespace(registerCustomSampleDataSource=lambda **source: offered.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=logic))
    sample.register_sample_data(str(ROOT / "Resources" / "SampleData" / "SpinePhantom.nrrd"), "thumbnail.png")
    [source] = offered
    assert source["uris"].startswith("file:///") and source["fileNames"].endswith(".nrrd")
    with urllib.request.urlopen(source["uris"]) as file:
        assert f"SHA256:{hashlib.sha256(file.read()).hexdigest()}" == source["checksums"]
    image = sitk.ReadImage(str(ROOT / "Resources" / "SampleData" / source["fileNames"]))
    assert image.GetSize() == (70, 70, 95) and image.GetPixelID() == sitk.sitkInt16
    assert sitk.GetArrayViewFromImage(image).max() > 400


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


@pytest.mark.parametrize("problem", ["", "refused"])
def test_slicers_own_dicom_export_is_taken_where_highdicom_is_missing(steps, monkeypatch, tmp_path, problem):
    import slicer

    from SpineSegmentationLib.errors import SpineError

    archiving, exported = sys.modules["SpineSegmentationPanel.archiving"], []
    file = tmp_path / "1.dcm"
    file.write_bytes(b"")

    class Plugin:
        def examineForExport(self, item):
            return [SimpleNamespace(directory="", item=item)]

        def export(self, exportables):
            exported.extend(exportables)
            return problem

    monkeypatch.setattr(archiving, "has_highdicom", lambda: False)
    monkeypatch.setattr(slicer, "dicomDatabase", SimpleNamespace(fileForInstance=lambda uid: str(file)), raising=False)
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {"DICOMSegmentationPlugin": Plugin}, raising=False)
    with pytest.raises(SpineError, match="was not loaded from DICOM"):
        archiving.export_dicom(steps.logic, steps.result, tmp_path, "scan")
    steps.volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    if problem:
        with pytest.raises(SpineError, match="refused"):
            archiving.export_dicom(steps.logic, steps.result, tmp_path, "scan")
    else:
        assert archiving.export_dicom(steps.logic, steps.result, tmp_path, "scan") == [tmp_path]
    tree = slicer.mrmlScene.GetSubjectHierarchyNode()
    assert exported[0].directory == str(tmp_path)
    assert tree.GetItemDataNode(exported[0].item) is steps.result.segmentation
