"""Runs for the volumes of a scene: one at a time, shown in nodes as they come, taken back when they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import SpineError
from ..session.client import Transport, WorkerClient
from ..session.engine import Engine, Events, LocalEngine, Update
from ..session.state import State
from ..session.waiting import WaitingClient
from .mrml.record import SYSTEM, Record
from .mrml.result import Result

if TYPE_CHECKING:
    import slicer


@dataclass(eq=False)
class _Request:
    """What runs.

    Attributes:
        state: what was asked for.
        label: whether vertebrae are found anew.
        back: takes the step in the history back that was made for it.
        values: what box and points said before it; None when they were not valid.
        segments: what the segments were before it; None without any.
        nodes: of the result before it.
    """

    result: Result
    state: State
    label: bool
    back: Callable[[], object] | None
    values: State | None
    segments: Update | None
    nodes: list


class SceneSession:
    """Computes results and writes them into the nodes of a scene.

    Without a transport calls return when they are done and raise what went wrong; they are computed in this process,
    or, where a program is given, in a worker that is waited for. With one, calls return at once, and what happens is
    told through the callbacks; only one request runs, and a new one for the same volume replaces it.

    Args:
        scene: a vtkMRMLScene.
        transport: makes a transport to a new worker process.
        device: as :func:`device.choose`.
        program: the command line of the worker; None computes in this process when there is no transport.

    Attributes:
        device, program: as above; may be changed, from the next call on another worker computes.
        on_progress: called with result, stage, parts done, parts in all, level or "".
        on_update: called with the result after its nodes changed.
        on_done: called with result and warnings.
        on_error: called with result and a message; ``"cancelled"`` after :meth:`cancel`.
        on_log: called with text for the log.
        writing: whether nodes are being written by this object, so that observers can tell.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        transport: Callable[[], Transport] | None = None,
        device: str = "auto",
        program: Sequence[str] | None = None,
    ) -> None:
        self.scene, self.device, self.program = scene, device, program
        self.on_progress = self.on_update = self.on_done = self.on_error = self.on_log = lambda *values: None
        self.writing = False
        self._transport = transport
        self._engine: Engine | None = None
        self._engine_of: tuple = ()
        self._opened: tuple | None = None
        self._records: dict[Result, Record] = {}
        self._request: _Request | None = None
        self._failure: str | None = None
        self._observers = [
            scene.AddObserver(event, self._on_scene_changed) for event in (scene.NodeRemovedEvent, scene.EndCloseEvent)
        ]

    @property
    def busy(self) -> bool:
        """Whether something is being computed."""
        return self._request is not None

    def measure(self, result: Result) -> None:
        """Fills the table with what is measured of the segments as they are, whoever made them."""
        record = self._record(result)
        result.required_volume()
        (pieces, grid), signature, state = record.segments.pieces(), record.segments.signature, record.history.state
        request = self._begin(result, state, label=False)

        def measured(details: dict[str, Any]) -> None:
            if self._request is request:
                self._request = None
                if result.volume is not None:
                    record.show_measurements(details, signature)
                    self.on_update(result)
                    self.on_done(result, [])

        self._run(
            request, lambda events: self._started.measure(state, pieces, grid, replace(events, measured=measured))
        )

    def measures(self, result: Result) -> dict[str, Any] | None:
        """What was measured, as :func:`measures.details.details`; None when the segments were changed since.

        What :mod:`scene.mrml.measures` shows of it is renewed when it is measured again.
        """
        return self._record(result).measures()

    def cancel(self) -> None:
        """Ends what runs; the nodes become as they were before it, but for what a person changed."""
        if self._engine is not None and self.busy:
            self._engine.cancel()

    def forget(self, result: Result) -> None:
        """The history of a result, whose nodes were removed."""
        self._records.pop(result, None)

    def close(self) -> None:
        """Ends the worker; the scene stays as it is."""
        self._request = None
        for tag in self._observers:
            self.scene.RemoveObserver(tag)
        self._observers = []
        self._close_engine()

    # Requests

    def _start(
        self, result: Result, state: State, label: bool = False, back: Callable[[], object] | None = None
    ) -> None:
        request, record = self._begin(result, state, label, back), self._record(result)
        if label:
            record.accept()
        # What a person did is seen at once; what is about to be found anew is not touched before it is found.
        with self._writes():
            if not label or state.box is not None:
                record.show_box(state.box)
            if not label:
                record.show_points(state)
        self._run(request, lambda events: self._started.run(state, label, events))

    def _begin(self, result: Result, state: State, label: bool, back: Callable[[], object] | None = None) -> _Request:
        """Makes ready for a request; one that runs is replaced, or cancelled if it is for another volume."""
        if self._transport is None and self._request is not None:
            raise SpineError("a segmentation runs; wait for it or cancel it")
        record = self._record(result)
        voxels = record.voxels(label)
        old = self._request
        if old is not None and old.result == result:
            self._request = None
            values = old.values if old.label else record.valid_state()
            request = _Request(result, state, label, back, values, old.segments, old.nodes)
        else:
            self.cancel()
            request = _Request(result, state, label, back, record.valid_state(), record.update(), result.nodes)
        self._start_engine()
        image = result.required_volume().GetImageData()
        key = (result, image, image.GetMTime(), voxels.to_lps.tobytes(), record.system)
        if self._opened != key:
            self._started.open(voxels, record.system, record.memory())
            self._opened = key
        self._request = request
        return request

    def _run(self, request: _Request, run: Callable[[Events], None]) -> None:
        """Runs a request. In this process it has ended when this returns, and what went wrong is raised."""
        self._failure = None
        try:
            run(self._events(request))
        except BaseException:
            if self._request is request:
                self._request = None
                self._restore(request)
            raise
        message, self._failure = self._failure, None
        if message is not None:
            raise SpineError(message)

    def _fail(self, result: Result, message: str) -> None:
        if self._transport is None:
            self._failure = message
        else:
            self.on_error(result, message)

    def _events(self, request: _Request) -> Events:
        result = request.result
        record = self._record(result)

        def wanted() -> bool:
            return self._request is request and result.volume is not None

        def progress(stage: str, done: int, total: int, level: str) -> None:
            if wanted():
                self.on_progress(result, stage, done, total, level)

        def show(update: Update) -> None:
            if wanted():
                with self._writes():
                    record.show(update, complete=False)
                self.on_update(result)

        def done(update: Update) -> None:
            if wanted():
                self._request = None
                if request.back is None:
                    record.push(update.state)
                record.done = update
                try:
                    with self._writes():
                        record.show(update, complete=True)
                        if request.back is not None:
                            record.repaint(update)
                except SpineError as error:
                    self._fail(result, str(error))
                    return
                record.save(update.state, update.memory)
                self.on_update(result)
                self.on_done(result, list(update.warnings))

        def failed(message: str) -> None:
            if self._request is request:
                self._request = None
                if result.volume is not None:
                    self._restore(request)
                    self.on_update(result)
                self._fail(result, message)

        return Events(progress=progress, show=show, done=done, failed=failed)

    def _restore(self, request: _Request) -> None:
        """The nodes as they were, but for what a person changed: the points of an edit, the box of a new labelling."""
        result, record = request.result, self._record(request.result)
        if request.back is not None:
            request.back()
        with self._writes():
            for node in result.nodes:
                if node not in request.nodes:
                    self.scene.RemoveNode(node)
            if request.label:
                values = request.values or self._known(result)
                if result.nodes:
                    record.show_box(request.state.box or values.box)
                    record.show_points(values)
                else:
                    record.shown = State()
            record.restore.clear()
            if result.segmentation is not None:
                record.system = result.segmentation.GetAttribute(SYSTEM) or record.system
                if request.segments is not None:
                    record.show_segments(request.segments)

    def _record(self, result: Result) -> Record:
        if result not in self._records:
            self._records[result] = Record(result)
        return self._records[result]

    def _known(self, result: Result) -> State:
        """What the segments belong to, or will when what runs is done."""
        record = self._record(result)
        return record.shown if self._request is not None and self._request.result == result else record.history.state

    @contextmanager
    def _writes(self) -> Iterator[None]:
        """Nodes are being written, also where one writing is part of another."""
        before, self.writing = self.writing, True
        try:
            yield
        finally:
            self.writing = before

    def _on_scene_changed(self, *_: object) -> None:
        gone = [result for result in self._records if result.volume is None]
        for result in gone:
            del self._records[result]
        if self._opened is not None and self._opened[0] in gone:
            # Would keep the voxels in memory.
            self._opened = None
        request = self._request
        if request is not None and request.result.volume is None:
            self._request = None
            self._started.cancel()
            self.on_error(request.result, "the volume was deleted, so its segmentation was ended")

    @property
    def _started(self) -> Engine:
        assert self._engine is not None  # _begin starts it
        return self._engine

    def _start_engine(self) -> None:
        wanted = self.device, self.program
        if self._engine_of != wanted:
            self._close_engine()
        if self._engine is None:
            self._engine_of = wanted
            self._engine = self._new_engine()

    def _new_engine(self) -> Engine:
        def log(text: str) -> None:
            self.on_log(text)

        if self._transport is not None:
            return WorkerClient(self._transport, self.device, self.program, log)
        return WaitingClient(self.device, self.program, log) if self.program else LocalEngine(self.device)

    def _close_engine(self) -> None:
        engine, self._engine, self._opened = self._engine, None, None
        if engine is not None:
            engine.close()
