"""The panel: runs, exports, volumes that come and go, a worker that dies."""

from __future__ import annotations

import math
import sys
import time

import pytest

from SpineSegmentationLib.anatomy import COLUMN


def test_without_auto_update_corrections_wait_for_the_button(steps):
    result, name = steps.result, steps.names(steps.result)[0]
    written = steps.written(result)
    steps.ui.autoUpdateCheckBox.setChecked(False)
    steps.drag(result.centroids, steps.index(result, name), steps.place(result, name) + (2.0, 2.0, 0.0))
    steps.wait(lambda: steps.ui.updateButton.enabled, "the Update button")
    assert steps.written(result) == written
    steps.ui.updateButton.click()
    steps.settle(result)
    assert steps.written(result)[name] > written[name]
    assert not steps.ui.updateButton.enabled
    steps.ui.autoUpdateCheckBox.setChecked(True)


def test_the_sacrum_is_asked_for_in_the_panel(steps):
    box, state = steps.ui.sacrumCheckBox, lambda: steps.logic._record(steps.result).state()
    assert box.enabled and not box.checked and not state().with_sacrum
    names = steps.segment_names(steps.result)
    box.click()
    steps.settle(steps.result)
    # The stand-in sees no S1.
    assert state().with_sacrum and steps.segment_names(steps.result) == names
    assert steps.names(steps.apply()) == names and state().with_sacrum
    box.click()
    steps.settle(steps.result)
    assert not state().with_sacrum
    steps.ui.systemComboBox.setCurrentText("payer")
    assert not box.enabled
    steps.ui.systemComboBox.setCurrentText("combined")
    assert box.enabled


def test_measurements_and_exports(steps, tmp_path):
    steps.panel.showTable = lambda result: shown.append(result.table)
    shown = []
    steps.ui.exportDirectoryButton.directory = str(tmp_path)
    steps.volume.SetName("a/b")
    names = steps.names(steps.result)
    steps.ui.measurementsButton.click()
    steps.wait(lambda: shown, "the table")
    assert shown[0].GetNumberOfRows() == len(names)
    assert all(vertebra.volume_mm3 > 0 for vertebra in steps.logic.vertebrae(steps.result))
    (tmp_path / f"a_b_{names[0]}.stl").touch()
    asked = []
    steps.panel.confirm = lambda text: asked.append(text) or len(asked) > 1
    steps.ui.exportVerseButton.click()
    assert len(list(tmp_path.iterdir())) == len(asked) == 1
    steps.ui.exportVerseButton.click()
    steps.ui.exportSurfacesButton.click()
    steps.ui.exportTableButton.click()
    steps.wait(lambda: "csv" in steps.panel.status.text, "the measurements")
    assert {path.name for path in tmp_path.iterdir()} == {
        "a_b_seg-vert_msk.nii.gz",
        "a_b_seg-subreg_ctd.json",
        "a_b_measurements.csv",
        *(f"a_b_{name}.stl" for name in names),
    }
    assert len(asked) == 4


def test_volumes_are_measured_when_nothing_happens(steps):
    status = steps.panel.status.text
    steps.wait(lambda: steps.ui.vertebraTable.item(0, 3).text() != "–", "the volume")
    assert float(steps.ui.vertebraTable.item(0, 3).text()) > 0.5
    assert steps.ui.vertebraTable.item(0, 4).text() == "yes"
    assert steps.panel.status.text == status
    # What cannot be measured is said in the line: nobody asked, so no window opens.
    steps.result.scene.RemoveNode(steps.result.segmentation)
    steps.panel.onRest()
    assert steps.panel.status.text == "There is no segmentation; apply first"


def test_the_box_is_shown_and_hidden(steps):
    assert not steps.ui.boxVisibleCheckBox.checked and not steps.result.box.GetDisplayVisibility()
    steps.ui.boxVisibleCheckBox.setChecked(True)
    assert steps.result.box.GetDisplayVisibility()


def test_a_computed_mask_takes_the_place_of_a_painted_one_when_a_person_agrees(steps):
    kept, name = steps.logic.edited, steps.names(steps.result)[0]
    steps.logic.keep(steps.result, name)
    steps.panel.confirm = lambda text: name not in text
    steps.panel.onKeep([name], False)
    assert kept(steps.result) == [name]
    steps.panel.confirm = lambda text: name in text
    steps.panel.onKeep([name], False)
    assert kept(steps.result) == []


def test_segments_without_a_display_are_shown(steps):
    node = steps.result.segmentation
    node.RemoveAllDisplayNodeIDs()
    steps.panel.onFill()
    steps.panel.onShow3D(True)
    assert node.GetDisplayNode().GetVisibility3D()


def test_the_volume_is_deleted_while_it_is_segmented(steps):
    import slicer

    steps.ui.applyButton.click()
    slicer.mrmlScene.RemoveNode(steps.volume)
    assert not steps.logic.busy
    assert "deleted" in steps.panel.status.text
    assert not steps.ui.applyButton.enabled and steps.ui.vertebraTable.rowCount == 0


def test_the_scene_is_closed_while_it_is_segmented(steps):
    import slicer

    steps.ui.applyButton.click()
    slicer.mrmlScene.Clear()
    assert not steps.logic.busy
    assert not steps.ui.applyButton.enabled and steps.ui.vertebraTable.rowCount == 0
    steps.setUp()
    assert len(steps.names(steps.apply())) == 6


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
    steps.wait(lambda: not steps.logic.busy, "the end")
    assert "process ended" in steps.panel.status.text
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


def test_an_unknown_signal_is_an_error(steps):
    with pytest.raises(RuntimeError, match="QPushButton has no signal"):
        sys.modules["SpineSegmentationPanel.connection"].connect(steps.ui.applyButton, "pressedTwice()", print)


def test_other_weights_are_for_another_worker(steps, monkeypatch, tmp_path):
    from SpineSegmentationLib.session import client

    asked = []
    standin = client.command
    monkeypatch.setattr(client, "command", lambda python, weights: [*standin(python), str(asked.append(weights))])
    engine = steps.logic._engine
    steps.ui.weightsLineEdit.setText(str(tmp_path))
    assert asked[-1] == str(tmp_path) and steps.panel.logic.getParameterNode().weights == str(tmp_path)
    monkeypatch.setattr(client, "command", lambda python, weights: [*standin(python), "--weights", str(weights)])
    steps.ui.weightsLineEdit.setText(str(tmp_path / "other"))
    steps.apply()
    assert steps.logic._engine is not engine
    assert steps.logic._engine._program[-2:] == ["--weights", str(tmp_path / "other")]
    steps.ui.weightsLineEdit.setText("")


def test_the_line_says_how_far_the_naming_is(steps):
    steps.panel._silent = False
    steps.panel.onProgress(steps.result, "loading", 0, 1, "")
    assert "longer the first time" in steps.panel.status.text
    steps.panel.onProgress(steps.result, "labelling", 37, 100, "")
    assert "Stage 2 of 3: Naming the vertebrae 37 %" in steps.panel.status.text
    assert steps.ui.progressBar.value == 37 and steps.ui.progressBar.maximum == 100


def test_the_panel_fits_a_screen_of_1080_pixels(steps):
    """With a result, and the sections as they are at first; Slicer's own toolbars and title take some 140."""
    import qt

    window = steps.panel.parent
    window.show()
    qt.QApplication.processEvents()
    assert window.minimumSizeHint().height() < 940 and window.minimumSizeHint().width() < 520
    window.hide()


def test_a_verdict_is_read_whole_in_a_narrow_panel(steps):
    import qt

    from SpineSegmentationLib.numbering import Certainty, Numbering, Reading

    window, label = steps.panel.parent, steps.ui.verdictLabel
    for certainty in Certainty:
        numbering = Numbering(certainty, (Reading(COLUMN[7:17], 0.5), Reading(COLUMN[8:18], 0.3)))
        steps.panel.verdict.show(numbering, True, False)
        window.resize(460, 920)
        window.show()
        qt.QApplication.processEvents()
        font = label.fontMetrics()
        lines = font.horizontalAdvance(label.text) / label.width
        assert label.height >= math.ceil(lines) * font.height(), label.text
    steps.panel.verdict.show(None, False, False)
    window.hide()
