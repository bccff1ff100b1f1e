"""The worker process: the same results as without it, and what happens when it is cancelled, killed or fails."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from hypothesis import given
from hypothesis import strategies as st
from standin_worker import PROGRAM

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.grid import Grid
from SpineSegmentationLib.segmentation.mask import Piece
from SpineSegmentationLib.session import messages
from SpineSegmentationLib.session.client import SubprocessTransport, WorkerClient, command
from SpineSegmentationLib.session.engine import CANCELLED, Events, LocalEngine, Update
from SpineSegmentationLib.session.memory import Memory
from SpineSegmentationLib.session.state import State
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox
from SpineSegmentationLib.voxels import Voxels, image_of

standins.install()
CT = standins.spine_ct()
VOXELS = Voxels(sitk.GetArrayFromImage(CT), Grid.of(CT).to_lps, "phantom")


class Application:
    """Stands for the application: sends requests and remembers what it is told."""

    def __init__(self, program=(sys.executable, "-c", PROGRAM)) -> None:
        self.transport = None
        self.started, self.log = 0, ""
        self.client = WorkerClient(self._transport, "cpu", program, self._on_log)
        self.events = []

    def _transport(self) -> SubprocessTransport:
        self.started += 1
        self.transport = SubprocessTransport()
        return self.transport

    def _on_log(self, text: str) -> None:
        self.log += text

    def start(self, state=None, label=False, on_progress=lambda *step: None) -> None:
        self.events = told = []

        def progress(*step):
            told.append(("progress", step))
            on_progress(*step)

        def note(kind):
            return lambda value: told.append((kind, value))

        events = Events(progress, note("show"), note("done"), note("measured"), note("failed"))
        self.client.run(state or State(), label, events)

    def wait(self, seconds=600.0):
        """The event that ends the request."""
        until = time.monotonic() + seconds
        while not self.events or self.events[-1][0] in ("progress", "show"):
            assert time.monotonic() < until, "no answer"
            self.transport.pump(0.05)
        return self.events[-1]

    def run(self, *values, **options):
        self.start(*values, **options)
        return self.wait()


@pytest.fixture(scope="module")
def application():
    application = Application()
    application.client.open(VOXELS, "standin")
    yield application
    process = application.transport.process
    application.client.close()
    assert process.wait(10) != 0


@pytest.fixture
def reopened(application):
    application.client.open(VOXELS, "standin")
    return application


def locally(state=None, label=False):
    engine, results = LocalEngine("cpu"), []
    engine.open(VOXELS, "standin")
    engine.run(state or State(), label, Events(done=results.append))
    return results[0]


def digests(update):
    return {level.name: piece.digest for level, piece in update.pieces.items()}


def test_the_worker_gives_what_a_session_gives(reopened):
    kind, found = reopened.run(label=True)
    expected = locally(label=True)
    assert kind == "done" and found.state == expected.state and len(found.state.centroids) == 5
    assert found.grid == Grid.of(CT) == expected.grid
    assert digests(found) == digests(expected)
    assert all(np.array_equal(found.pieces[level].voxels, expected.pieces[level].voxels) for level in found.pieces)
    stages = [step[0] for event, step in reopened.events if event == "progress"]
    assert stages == ["loading", "detection", "labelling", *["segmentation"] * 6]
    assert [step[3] for event, step in reopened.events if event == "progress"][-1] == "L3"
    shown = [value.state for event, value in reopened.events if event == "show"]
    assert shown[0].box == found.state.box and not shown[0].centroids
    assert shown[1] == found.state

    moved = found.state.moved(Level.L1, tuple(np.add(found.state.centroids[Level.L1].position, 1.5)))
    for state in (moved, moved.shifted(1), found.state, State()):
        kind, update = reopened.run(state)
        assert kind == "done" and update.state == state and digests(update) == digests(locally(state))
    assert reopened.started == 1


def test_pieces_that_are_known_are_not_sent_again():
    piece = Piece.of(np.ones((2, 2, 2)), (1, 2, 3))
    sent = messages.of_pieces({Level.L1: piece}, {piece.digest})
    assert sent["L1"]["bits"] is None
    assert messages.to_pieces(sent, {piece.digest: piece})[Level.L1] is piece
    with pytest.raises(KeyError):
        messages.to_pieces(sent)


@pytest.mark.parametrize("stage", ["detection", "labelling", "segmentation"])
def test_a_killed_worker_is_started_again(reopened, stage):
    reopened.client.open(VOXELS, "slow")
    before = reopened.started

    def kill(at, *_):
        if at == stage:
            reopened.transport.process.kill()

    kind, message = reopened.run(label=True, on_progress=kill)
    assert kind == "failed" and "nothing is lost" in message and not reopened.client.busy
    assert reopened.started == max(before, 1)
    reopened.client.open(VOXELS, "standin")
    kind, update = reopened.run(label=True)
    assert kind == "done" and digests(update) == digests(locally(label=True))
    assert reopened.started == max(before, 1) + 1


def test_cancel_ends_the_run_and_edits_go_on(reopened):
    reopened.client.open(VOXELS, "slow")

    def cancel(stage, done, *_):
        if stage == "segmentation" and done == 1:
            reopened.client.cancel()

    started = reopened.started
    reopened.start(label=True, on_progress=cancel)
    assert reopened.wait() == ("failed", CANCELLED)
    count = len(reopened.events)
    kind, update = reopened.run(State())
    assert kind == "done" and update.state == State() and not update.pieces
    assert all(event != "failed" for event, _ in reopened.events) and count > 1
    assert reopened.started == started


def test_a_new_request_replaces_the_one_that_runs(reopened):
    reopened.client.open(VOXELS, "slow")
    reopened.start(label=True)
    first = reopened.events
    kind, update = reopened.run(State())
    assert first[-1] == ("failed", CANCELLED)
    assert kind == "done" and update.state == State()


@pytest.mark.parametrize(("system", "words"), [("no-memory", "not enough memory"), ("bug", "KeyError")])
def test_failures_are_told_and_the_worker_goes_on(reopened, system, words):
    reopened.client.open(VOXELS, system)
    kind, message = reopened.run(label=True)
    assert kind == "failed" and words in message and "\n" not in message
    started = reopened.started
    reopened.client.open(VOXELS, "standin")
    assert reopened.run(label=True)[0] == "done" and reopened.started == started


def test_what_a_person_can_mend_is_told(reopened):
    reopened.client.open(replace(VOXELS, array=np.zeros((4, 5, 6), np.int16)), "standin")
    kind, message = reopened.run(label=True)
    assert kind == "failed" and message.startswith("the values of phantom cannot be Hounsfield units")
    reopened.client.open(VOXELS, "unknown")
    kind, message = reopened.run(label=True)
    assert kind == "failed" and "'unknown' is unknown" in message


def test_measuring(reopened):
    update = locally(label=True)
    pieces = {**update.pieces, Level.L2: Piece.of(np.ones((3, 4, 5)), (2, 3, 4))}
    tables = []
    for engine in (reopened.client, LocalEngine("cpu")):
        engine.open(VOXELS, "standin")
        engine.measure(update.state, pieces, update.grid, Events(measured=tables.append, failed=tables.append))
        while reopened.client.busy:
            reopened.transport.pump(0.05)
    assert tables[0] == tables[1]
    assert list(tables[0]["vertebrae"]) == ["T11", "T12", "L1", "L2", "L3"]
    assert float(tables[0]["vertebrae"]["L2"]["measures"]["volume_mm3"]) == pytest.approx(
        60 * np.prod(CT.GetSpacing()), abs=0.1
    )


def test_pieces_on_another_grid_are_not_measured(reopened):
    """In Segment Editor somebody chose a finer geometry: the indices would mean other places of the scan."""
    update = locally(label=True)
    size, spacing = (2 * n for n in update.grid.size), (n / 2 for n in update.grid.spacing)
    finer = replace(update.grid, size=tuple(size), spacing=tuple(spacing))
    told = []
    reopened.client.open(VOXELS, "standin")
    reopened.client.measure(update.state, update.pieces, finer, Events(measured=told.append, failed=told.append))
    while reopened.client.busy:
        reopened.transport.pump(0.05)
    assert told == ["the segments have another geometry than the volume; in Segment Editor, choose the volume's"]


def test_the_worker_dies_with_its_parent_in_the_middle_of_a_run():
    application = Application()
    application.client.open(VOXELS, "slow")
    application.start(label=True, on_progress=lambda *_: application.transport.process.stdin.close())
    kind, _ = application.wait()
    assert kind == "failed"
    assert application.transport.process.wait(1) == 0
    application.client.close()


def test_the_real_program_starts_and_ends_with_its_input():
    application = Application(command())
    application.client.open(VOXELS, "unknown")
    kind, message = application.run(label=True)
    assert kind == "failed" and "'unknown' is unknown; known are combined" in message
    application.client.close()


def test_files_are_private_and_removed():
    application = Application()
    application.client.open(VOXELS, "standin")
    folder = Path(application.client._folder.name)
    (first,) = folder.iterdir()
    assert folder.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    assert np.array_equal(np.fromfile(first, np.int16).reshape(VOXELS.array.shape), VOXELS.array)
    application.client.open(replace(VOXELS, array=VOXELS.array[:, ::2].astype(np.float32)), "standin")
    assert len(list(folder.iterdir())) == 1
    application.client.close()
    assert not folder.exists()
    with pytest.raises(SpineError, match="no volume"):
        application.client.run(State(), True, Events())


def test_a_program_that_is_not_there():
    application = Application(["/nowhere/python"])
    application.client.open(VOXELS, "standin")
    kind, message = application.run(label=True)
    assert kind == "failed" and "/nowhere/python could not be started" in message
    application.client.close()


class Deaf:
    """A transport in this process, whose worker says what the test wants."""

    def start(self, command, on_output, on_log, on_end):
        self.output, self.end, self.written = on_output, on_end, b""

    def write(self, data):
        self.written += data

    def kill(self):
        self.end("killed")


def test_a_worker_that_babbles_is_ended():
    transport, failed = Deaf(), []
    client = WorkerClient(lambda: transport, log=lambda text: None)
    client.open(VOXELS, "standin")
    client.run(State(), False, Events(failed=failed.append))
    transport.output(b"Segmentation fault\n")
    assert len(failed) == 1 and "killed" in failed[0] and not client.busy
    client.close()


def test_answers_to_what_was_cancelled_are_ignored():
    transport, told = Deaf(), []
    client = WorkerClient(lambda: transport)
    client.open(VOXELS, "standin")
    client.run(State(), False, Events(failed=told.append, progress=lambda *step: told.append(step)))
    (number,) = {message["id"] for message in messages.Lines().feed(transport.written) if message["do"] == "run"}
    client.cancel()
    late = {"id": number, "event": "progress", "stage": "labelling", "done": 0, "total": 1, "level": ""}
    transport.output(messages.line(late))
    assert told == [CANCELLED]
    client.close()


def test_masks_of_what_was_cancelled_are_kept():
    """The worker was done before it heard of the new request, and sends what it has sent as digests alone."""
    transport, done = Deaf(), []
    client = WorkerClient(lambda: transport)
    client.open(VOXELS, "standin")
    client.run(State(), False, Events())
    client.run(State(), False, Events(done=done.append))
    first, second = (message["id"] for message in messages.Lines().feed(transport.written) if message["do"] == "run")
    update = Update(State(), {}, Grid.of(CT), memory=Memory("scan", {"a": "text"}))
    transport.output(messages.line({"id": first, "event": "done", **messages.of_update(update)}))
    assert done == []
    transport.output(messages.line({"id": second, "event": "done", **messages.of_update(update, masks={"a"})}))
    assert done[0].memory == update.memory
    client.close()


finite = st.floats(-1e4, 1e4)
centroids = st.dictionaries(st.sampled_from(Level), st.tuples(finite, finite, finite, st.floats(0, 1)), max_size=5)


@given(centroids, st.sets(st.sampled_from(Level)), st.booleans(), st.lists(st.integers(0, 400), max_size=4))
def test_states_arrive_exactly_however_the_stream_is_cut(points, locked, boxed, cuts):
    value = Centroids(tuple(Centroid(level, place[:3], place[3]) for level, place in points.items()))
    state = State(SpineBox((-1 / 3, 0, 0), (1, 2, 3.1)) if boxed else None, value, frozenset(locked))
    stream = messages.line({"state": messages.of_state(state)}) * 2
    lines, received, start = messages.Lines(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        received += lines.feed(stream[start:cut])
        start = max(start, cut)
    assert [messages.to_state(message["state"]) for message in received] == [state, state]


# A CT in memory ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "float16", "float32", "float64"])
def test_any_signed_scalar_type_becomes_the_same_ct(dtype):
    image = image_of(replace(VOXELS, array=VOXELS.array.astype(dtype)), [])
    assert np.array_equal(sitk.GetArrayFromImage(image), VOXELS.array) and Grid.of(image) == Grid.of(CT)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8"])
def test_scalar_types_that_hold_no_hounsfield_units_are_refused(dtype):
    with pytest.raises(SpineError, match="the values of phantom cannot be Hounsfield units"):
        image_of(replace(VOXELS, array=(VOXELS.array > 100).astype(dtype)), [])


def test_a_sheared_volume_is_set_upright_and_flat_ones_are_refused():
    array = VOXELS.array
    sheared = VOXELS.to_lps.copy()
    sheared[:3, 2] += 0.3 * sheared[:3, 1]
    warnings = []
    image = image_of(Voxels(array, sheared), warnings)
    direction = np.reshape(image.GetDirection(), (3, 3))
    assert np.allclose(direction.T @ direction, np.eye(3)) and "sheared" in warnings[0]
    flat = VOXELS.to_lps.copy()
    flat[:3, 2] = flat[:3, 1]
    with pytest.raises(SpineError, match="flattened"):
        image_of(Voxels(array, flat), [])
    with pytest.raises(SpineError, match="not a 3D"):
        image_of(Voxels(array[0], np.eye(4)), [])
