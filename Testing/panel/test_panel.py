"""The panel over stand-ins for Slicer's application."""

from __future__ import annotations

import ast
import importlib
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import COLUMN
from SpineSegmentationLib.errors import SpineError

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "SpineSegmentation"

PROGRAM = """
import sys
sys.path[:0] = {paths!r}
import standins
standins.install()
standins.DELAY["labelling"] = 0.1
from SpineSegmentationLib import pipeline
pipeline.SYSTEMS[pipeline.DEFAULT] = pipeline.SYSTEMS["standin"]
from SpineSegmentationLib.session.worker import main
main()
"""
PATHS = [str(ROOT / "Testing"), str(ROOT)]


@pytest.fixture(scope="module")
def module():
    """The module's Python file on stand-ins for the application and for the three networks."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import panel_standins
    import scenes
    import slicer
    import standins

    from SpineSegmentationLib.session import client

    monkeypatch = pytest.MonkeyPatch()
    panel_standins.install(monkeypatch)
    monkeypatch.syspath_prepend(str(MODULE))
    monkeypatch.setattr(client, "command", lambda python: [sys.executable, "-c", PROGRAM.format(paths=PATHS)])
    loaded = importlib.import_module("SpineSegmentation")
    panel = loaded.SpineSegmentationWidget(panel_standins.Parent())
    panel.setup()
    selftest = sys.modules["SpineSegmentationPanel.selftest"]
    monkeypatch.setattr(
        selftest, "add_phantom", lambda *_: scenes.add_volume(slicer.mrmlScene, standins.spine_ct(6), "phantom")
    )
    monkeypatch.setattr(slicer.util, "getModuleWidget", lambda name: panel)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    monkeypatch.setattr(slicer.util, "saveScene", panel_standins.save_scene)
    monkeypatch.setattr(slicer.util, "loadScene", panel_standins.load_scene)
    yield SimpleNamespace(panel=panel, test=loaded.SpineSegmentationTest)
    panel.cleanup()
    for name in [name for name in sys.modules if name.startswith(("SpineSegmentation.", "SpineSegmentationPanel"))]:
        del sys.modules[name]
    sys.modules.pop("SpineSegmentation")
    monkeypatch.undo()


def selftests() -> list[str]:
    tree = ast.parse((MODULE / "SpineSegmentationPanel" / "selftest.py").read_text())
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.mark.parametrize("name", selftests())
def test_selftest(module, name):
    """The test that a real Slicer runs, here with a worker process under PySide6's event loop."""
    module.test(name).debug()


@pytest.fixture
def steps(module):
    """The self-test's steps on a fresh scene with a volume that was segmented."""
    steps = module.test("runTest")
    steps.setUp()
    steps.result = steps.apply()
    return steps


def choose(steps, row: int, level: str) -> None:
    """Picks a name in a row's list."""
    combo = steps.panel.table.choosers[row].combo
    combo.setCurrentIndex([level.name for level in COLUMN].index(level))
    combo.activated.emit(combo.currentIndex)


def check(steps, row: int, column: int, on: bool) -> None:
    """Ticks a box in the table."""
    import qt

    steps.ui.vertebraTable.item(row, column).setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)


def checked(steps, row: int, column: int) -> bool:
    import qt

    return steps.ui.vertebraTable.item(row, column).checkState() == qt.Qt.Checked


def test_a_name_is_chosen_in_the_table(steps):
    names = steps.names(steps.result)
    choose(steps, 0, "T9")
    steps.settle(steps.result)
    assert steps.names(steps.result) == ["T9", *names[1:]] == steps.segment_names(steps.result)


def test_a_name_that_is_taken_is_refused(steps):
    names = steps.names(steps.result)
    with pytest.raises(SpineError, match="given twice"):
        choose_directly(steps, names[0], names[1])
    assert steps.panel.table.choosers[0].combo.currentText == names[0]
    assert steps.names(steps.result) == names


def choose_directly(steps, old: str, new: str) -> None:
    """As the table does; an exception in a slot would only be printed."""
    steps.panel.onRename(old, new)


def test_locked_vertebrae_keep_their_names(steps):
    names = steps.names(steps.result)
    check(steps, 2, 5, True)
    steps.settle(steps.result)
    assert [v.locked for v in steps.logic.vertebrae(steps.result)] == [number == 2 for number in range(len(names))]
    steps.ui.vertebraTable.selectRow(2)
    with pytest.raises(SpineError, match="locked"):
        steps.panel.editSelected(steps.logic.delete)
    check(steps, 2, 5, False)
    steps.settle(steps.result)
    assert not any(v.locked for v in steps.logic.vertebrae(steps.result))


def test_a_painted_segment_is_kept_until_its_box_is_unchecked(steps):
    import slicer

    result, name = steps.result, steps.names(steps.result)[1]
    computed, mask = steps.mask(result, name), np.zeros_like(steps.mask(result, name))
    mask[5:8, 5:8, 5:8] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask, result.segmentation, steps.segment_id(result, name), result.volume
    )
    steps.drag(result.centroids, steps.index(result, name), steps.place(result, name) + (1.0, 0.0, 0.0))
    steps.settle(result)
    np.testing.assert_array_equal(steps.mask(result, name), mask)
    assert checked(steps, 1, 6)
    steps.ui.undoButton.click()
    steps.settle(result)
    check(steps, 1, 6, False)
    steps.settle(result)
    np.testing.assert_array_equal(steps.mask(result, name), computed)
    assert not checked(steps, 1, 6)


def test_a_click_jumps_to_the_vertebra_and_so_does_the_least_certain(steps):
    from panel_standins import Jumps

    vertebrae = steps.logic.vertebrae(steps.result)
    Jumps.to.clear()
    steps.ui.vertebraTable.cellClicked.emit(2, 1)
    steps.ui.vertebraTable.cellClicked.emit(2, 5)  # the lock's box jumps nowhere
    steps.ui.reviewButton.click()
    least = min(vertebrae, key=lambda vertebra: vertebra.confidence)
    assert Jumps.to == [(*vertebrae[2].ras, True), (*least.ras, True)]
    assert steps.panel.table.selected == least.level


def test_doubtful_names_are_flagged(steps):
    vertebrae = steps.logic.vertebrae(steps.result)
    flags = ["⚠" in steps.ui.vertebraTable.item(row, 2).text() for row in range(len(vertebrae))]
    assert flags == [vertebra.confidence < 0.5 for vertebra in vertebrae]
    assert any(flags) and not all(flags)


def test_a_missing_vertebra_is_inserted_and_the_rest_relabelled(steps):
    names = steps.names(steps.result)
    steps.ui.vertebraTable.selectRow(2)
    steps.ui.deleteButton.click()
    steps.settle(steps.result)
    steps.ui.vertebraTable.selectRow(1)
    steps.ui.insertButton.click()
    steps.settle(steps.result)
    assert steps.names(steps.result) == names
    steps.ui.vertebraTable.cellClicked.emit(3, 1)
    steps.ui.vertebraTable.selectRow(3)
    assert steps.ui.relabelComboBox.currentText == names[3]
    steps.ui.relabelComboBox.setCurrentIndex(steps.ui.relabelComboBox.currentIndex + 1)
    steps.ui.relabelButton.click()
    steps.settle(steps.result)
    assert steps.names(steps.result)[:3] == names[:3]
    assert steps.names(steps.result)[3] == names[4]


def test_buttons_that_need_a_row_say_so(steps):
    steps.ui.vertebraTable.clearSelection()
    steps.ui.vertebraTable.setCurrentCell(-1, -1)
    for button, words in (("deleteButton", "Select a vertebra"), ("insertButton", "Select the vertebra above")):
        getattr(steps.ui, button).click()
        assert words in steps.ui.statusLabel.text


def test_a_placed_point_gets_the_name_that_is_missing(steps):
    import vtk

    result, names = steps.result, steps.names(steps.result)
    place = steps.place(result, names[2])
    steps.ui.vertebraTable.selectRow(2)
    steps.ui.deleteButton.click()
    steps.settle(result)
    result.centroids.AddControlPointWorld(vtk.vtkVector3d(*place))
    steps.wait(lambda: steps.names(result) == names, 20, "the name")
    steps.settle(result)
    assert steps.segment_names(result) == names


def test_two_points_of_one_name_are_refused_until_one_is_renamed(steps):
    result, names = steps.result, steps.names(steps.result)
    result.centroids.SetNthControlPointLabel(steps.index(result, names[0]), names[1])
    steps.wait(lambda: f"two points are called {names[1]}" in steps.ui.statusLabel.text, 20, "the message")
    assert steps.segment_names(result) == names
    result.centroids.SetNthControlPointLabel(0, "T10")
    steps.wait(lambda: "T10" in steps.segment_names(result), 20, "the new name")


def test_without_auto_update_corrections_wait_for_the_button(steps):
    result, name = steps.result, steps.names(steps.result)[0]
    written = steps.written(result)
    steps.ui.autoUpdateCheckBox.setChecked(False)
    steps.drag(result.centroids, steps.index(result, name), steps.place(result, name) + (2.0, 2.0, 0.0))
    steps.wait(lambda: steps.ui.updateButton.enabled, 20, "the Update button")
    assert steps.written(result) == written
    steps.ui.updateButton.click()
    steps.settle(result)
    assert steps.written(result)[name] > written[name]
    assert not steps.ui.updateButton.enabled
    steps.ui.autoUpdateCheckBox.setChecked(True)


def test_measurements_and_exports(steps, tmp_path):
    steps.panel.showTable = lambda result: shown.append(result.table)
    shown = []
    steps.ui.exportDirectoryButton.directory = str(tmp_path)
    names = steps.names(steps.result)
    steps.ui.measurementsButton.click()
    steps.wait(lambda: shown, 30, "the table")
    assert shown[0].GetNumberOfRows() == len(names)
    assert all(vertebra.volume_mm3 > 0 for vertebra in steps.logic.vertebrae(steps.result))
    steps.ui.exportVerseButton.click()
    steps.ui.exportSurfacesButton.click()
    steps.ui.exportTableButton.click()
    steps.wait(lambda: "csv" in steps.ui.statusLabel.text, 30, "the measurements")
    assert {path.name for path in tmp_path.iterdir()} == {
        "phantom_seg-vert_msk.nii.gz",
        "phantom_seg-subreg_ctd.json",
        "phantom_measurements.csv",
        *(f"phantom_{name}.stl" for name in names),
    }


def test_volumes_are_measured_when_nothing_happens(steps):
    status = steps.ui.statusLabel.text
    assert steps.ui.vertebraTable.item(0, 3).text() == "–"
    steps.wait(lambda: steps.ui.vertebraTable.item(0, 3).text() != "–", 30, "the volume")
    assert float(steps.ui.vertebraTable.item(0, 3).text()) > 0.5
    assert steps.ui.vertebraTable.item(0, 4).text() == "yes"
    assert steps.ui.statusLabel.text == status


def test_the_box_is_shown_and_hidden(steps):
    assert steps.ui.boxVisibleCheckBox.checked
    steps.ui.boxVisibleCheckBox.setChecked(False)
    assert not steps.result.box.GetDisplayVisibility()


def test_the_volume_is_deleted_while_it_is_segmented(steps):
    import slicer

    steps.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(steps.volume)
    assert not steps.logic.busy
    assert "deleted" in steps.ui.statusLabel.text
    assert not steps.ui.applyButton.enabled and steps.ui.vertebraTable.rowCount == 0


def test_the_scene_is_closed_while_it_is_segmented(steps):
    import slicer

    steps.ui.applyButton.click()
    slicer.mrmlScene.Clear()
    assert not steps.logic.busy
    assert not steps.ui.applyButton.enabled and steps.ui.vertebraTable.rowCount == 0
    steps.setUp()
    assert len(steps.names(steps.apply())) == 6


def test_a_correction_replaces_a_run(steps):
    names = steps.names(steps.result)
    steps.ui.applyButton.click()
    choose(steps, 0, "T9")
    steps.settle(steps.result)
    assert steps.names(steps.result) == ["T9", *names[1:]] == steps.segment_names(steps.result)


def test_two_volumes_one_after_the_other(steps):
    import slicer
    from scenes import add_volume
    from standins import spine_ct

    first = steps.names(steps.result)
    other = add_volume(slicer.mrmlScene, spine_ct(4), "other")
    steps.ui.inputSelector.setCurrentNode(other)
    assert steps.ui.vertebraTable.rowCount == 0
    steps.ui.applyButton.click()
    steps.settle(steps.panel.result)
    assert steps.ui.vertebraTable.rowCount == 4
    steps.ui.inputSelector.setCurrentNode(steps.volume)
    assert steps.panel.table.levels == first


def test_a_worker_that_dies_gives_a_message_and_the_next_run_works(steps):
    names = steps.names(steps.result)
    steps.ui.applyButton.click()
    steps.logic._engine._transport._process.kill()
    steps.wait(lambda: not steps.logic.busy, 30, "the end")
    assert "process ended" in steps.ui.statusLabel.text
    assert steps.names(steps.result) == names
    assert steps.names(steps.apply()) == names


def test_a_transport_tells_once_why_it_ended(module):
    import slicer

    transport_class = sys.modules["SpineSegmentationPanel.transport"].QProcessTransport

    def run(*command: str) -> tuple[bytes, str, list[str]]:
        output, log, ends, transport = [], [], [], transport_class()
        transport.start(command, output.append, log.append, ends.append)
        transport.write(b"hello\n")
        until = time.monotonic() + 10
        while not ends and time.monotonic() < until:
            slicer.app.processEvents()
        slicer.app.processEvents()
        return b"".join(output), "".join(log), ends

    code = "import sys; print(input().upper(), flush=True); print('oops', file=sys.stderr); sys.exit(3)"
    output, log, ends = run(sys.executable, "-c", code)
    assert (output.strip(), log.strip(), ends) == (b"HELLO", "oops", ["exit code 3"])
    [reason] = run("/nowhere/python")[2]
    assert reason.startswith("could not be started")


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


def test_an_unknown_signal_is_an_error(steps):
    with pytest.raises(RuntimeError, match="QPushButton has no signal"):
        sys.modules["SpineSegmentationPanel.connection"].connect(steps.ui.applyButton, "pressedTwice()", print)


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


def test_the_module_starts_without_pytorch():
    code = "import sys; sys.modules['torch'] = None; import SpineSegmentationLib.scene.logic"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


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
