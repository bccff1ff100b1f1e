"""The module's logic on a real scene, computed by the worker."""

import sys
import time
from functools import partial

import numpy as np
import pytest

pytest.importorskip("slicer")

import SimpleITK as sitk
import standins
from scenes import add_volume, new_scene
from segmented import CT, FOUND, PIPELINE, drag, fresh, labels, segment_names
from standin_worker import PROGRAM

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene.logic import SpineLogic
from SpineSegmentationLib.scene.mrml.box import box_of, same_box
from SpineSegmentationLib.scene.mrml.points import points_of
from SpineSegmentationLib.session.client import SubprocessTransport


class Panel:
    """Stands for the panel: callbacks, and an event loop."""

    def __init__(self, scene) -> None:
        self.transport, self.started = None, 0
        self.logic = SpineLogic(scene, self._make, "cpu", (sys.executable, "-c", PROGRAM))
        self.told: list = []
        self.while_running = lambda stage, done: None
        self.logic.on_progress = self._on_progress
        self.logic.on_done = lambda result, warnings: self.told.append(("done", result))
        self.logic.on_error = lambda result, message: self.told.append(("error", message))

    def _make(self):
        self.started += 1
        self.transport = SubprocessTransport()
        return self.transport

    def _on_progress(self, result, stage, done, total, level):
        self.while_running(stage, done)

    def wait(self, seconds=600.0):
        """Until nothing runs; what was told since the last time."""
        until = time.monotonic() + seconds
        while self.logic.busy:
            assert time.monotonic() < until, "no end"
            self.transport.pump(0.05)
        told, self.told = self.told, []
        self.while_running = lambda stage, done: None
        return told

    def once(self, stage, action, done=0):
        """Does something when a run gets to a stage."""
        left = [action]

        def act(at, count):
            if at == stage and count >= done and left:
                left.pop()()

        self.while_running = act


@pytest.fixture(scope="module")
def application():
    scene = new_scene()
    panel = Panel(scene)
    yield panel
    panel.logic.close()


@pytest.fixture
def panel(application):
    application.logic.cancel()
    application.logic.scene.Clear(False)
    application.wait()
    return application


@pytest.fixture
def ct(panel):
    return add_volume(panel.logic.scene, CT)


def test_apply_and_edits_in_the_worker(panel, ct):
    logic = panel.logic
    result = logic.process(ct, system="standin")
    assert logic.busy and result.segmentation is None
    assert panel.wait() == [("done", result)]
    assert segment_names(result) == FOUND and np.array_equal(labels(result), fresh(logic, result))
    drag(result, "L1")
    logic.applyEdits(result)
    logic.shift(result, 1)
    assert panel.wait() == [("done", result)]
    assert segment_names(result) == ["T12", "L1", "L2", "L3", "L4"]
    assert np.array_equal(labels(result), fresh(logic, result))
    logic.undo(result)
    panel.wait()
    assert segment_names(result) == FOUND and not logic.hasEdits(result)
    logic.measure(result)
    panel.wait()
    assert logic.vertebrae(result)[0].volume_mm3 > 0


@pytest.mark.parametrize("stage", ["detection", "labelling", "segmentation"])
def test_a_killed_first_run_leaves_nothing_and_the_next_works(panel, ct, stage):
    panel.once(stage, lambda: panel.transport.process.kill())
    result = panel.logic.process(ct, system="slow")
    ((kind, message),) = panel.wait()
    assert kind == "error" and "nothing is lost" in message and not result.nodes
    panel.logic.process(ct, system="standin")
    assert panel.wait() == [("done", result)] and segment_names(result) == FOUND


def test_a_kill_keeps_what_a_person_did(panel, ct):
    logic = panel.logic
    result = logic.process(ct, system="standin")
    panel.wait()
    before = labels(result)
    drag(result, "L2", (0, 0, 2))
    panel.once("segmentation", lambda: panel.transport.process.kill())
    logic.rename(result, "L3", "L4")
    ((kind, _),) = panel.wait()
    assert kind == "error" and np.array_equal(labels(result), before)
    assert logic.vertebrae(result)[-1].level == "L4" and logic.hasEdits(result)
    logic.applyEdits(result)
    assert panel.wait() == [("done", result)] and not logic.hasEdits(result)
    assert segment_names(result)[-1] == "L4" and np.array_equal(labels(result), fresh(logic, result))


@pytest.mark.parametrize("stage", ["detection", "labelling", "segmentation"])
def test_cancel_restores(panel, ct, stage):
    logic = panel.logic
    result = logic.process(ct, system="slow")
    panel.wait()
    logic.shift(result, -1)
    panel.wait()
    drag(result, "L1", (0, 0, 1))
    box, points, before = box_of(result.box), points_of(result.centroids), labels(result)
    panel.once(stage, logic.cancel, done=int(stage == "segmentation"))
    logic.process(ct, system="slow")
    assert panel.wait() == [("error", "cancelled")]
    restored = points_of(result.centroids)
    assert {point.name: point.position for point in restored} == {point.name: point.position for point in points}
    assert sum(point in restored for point in points) >= 4 and same_box(box_of(result.box), box)
    assert np.array_equal(labels(result), before) and logic.hasEdits(result)
    logic.applyEdits(result)
    assert panel.wait() == [("done", result)] and np.array_equal(labels(result), fresh(logic, result))


def test_results_edited_while_running(panel, ct):
    logic = panel.logic
    result = logic.process(ct, system="slow")
    panel.wait()

    def edit():
        drag(result, "T12", (0, 1, 0))
        logic.applyEdits(result)

    panel.once("segmentation", edit, done=2)
    logic.process(ct, system="slow")
    assert panel.wait() == [("done", result)]
    assert logic.vertebrae(result)[1].confidence == 1 and not logic.hasEdits(result)
    assert np.array_equal(labels(result), fresh(logic, result))

    def shrink():
        result.box.SetSizeWorld(*box_of(result.box).size[:2], 30)
        logic.applyEdits(result)

    panel.once("segmentation", shrink)
    drag(result, "T12", (0, 1, 0))
    logic.applyEdits(result)
    assert panel.wait() == [("done", result)]
    expected = PIPELINE.run(CT, box=box_of(result.box))
    assert np.array_equal(labels(result), sitk.GetArrayFromImage(expected.label_map))


def test_the_volume_deleted_and_the_scene_closed_while_running(panel, ct):
    logic, scene = panel.logic, panel.logic.scene
    for remove in (scene.RemoveNode, lambda node: scene.Clear(False)):
        panel.once("labelling", partial(remove, ct))
        result = logic.process(ct, system="slow")
        ((kind, message),) = panel.wait()
        assert kind == "error" and "deleted" in message and result.volume is None
        ct = add_volume(scene, CT)
    panel.once("segmentation", lambda: scene.RemoveNode(result.segmentation), done=3)
    result = logic.process(ct, system="slow")
    assert panel.wait() == [("done", result)] and segment_names(result) == FOUND


def test_another_volume_while_running(panel, ct):
    logic = panel.logic
    other = add_volume(logic.scene, standins.spine_ct(3), "other")
    second = []
    panel.once("labelling", lambda: second.append(logic.process(other, system="standin")))
    first = logic.process(ct, system="slow")
    assert panel.wait() == [("error", "cancelled"), ("done", second[0])]
    assert not first.nodes and segment_names(second[0]) == FOUND[:3]


def test_what_the_worker_cannot_do_is_told(panel, ct):
    result = panel.logic.process(ct, system="no-memory")
    ((kind, message),) = panel.wait()
    assert kind == "error" and "not enough memory" in message and not result.nodes
    with pytest.raises(SpineError, match="no segmentation"):
        panel.logic.exportVerSe(result, ".")
