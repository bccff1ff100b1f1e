"""What computes for an application: a session in this process, with the interface that the worker has, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..anatomy import Bone
from ..cache import Cache
from ..errors import SpineError
from ..grid import Grid
from ..headway import telling
from ..segmentation.mask import Piece, paint
from ..voxels import Voxels, image_of
from .memory import Memory, scan_of, text_of
from .state import State

if TYPE_CHECKING:
    from ..pipeline import Pipeline, Progress
    from .session import Session


@dataclass(frozen=True)
class Update:
    """Values as they are now, or as they come in the middle of a run (then pieces may be missing or still change).

    Attributes:
        grid: of the label map.
        seconds: wall time by stage.
        warnings: one line each.
        memory: what a later session on the same scan need not compute again; empty in the middle of a run.
    """

    state: State
    pieces: Mapping[Bone, Piece]
    grid: Grid
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Events:
    """Who is told about one request. One of ``done``, ``measured`` and ``failed`` is called, once, at its end.

    Attributes:
        progress: stage (``pipeline.STAGES``, ``"loading"`` before the first, or ``"measuring"``), parts done, parts
            in all, and the name of the vertebra or "".
        show: values of a run in the making.
        done: its result.
        measured: as :func:`measures.details.details`.
        failed: one line for a person; the values are as before the request.
    """

    progress: Callable[[str, int, int, str], None] = _ignore
    show: Callable[[Update], None] = _ignore
    done: Callable[[Update], None] = _ignore
    measured: Callable[[dict[str, Any]], None] = _ignore
    failed: Callable[[str], None] = _ignore


CANCELLED = "cancelled"
"""What ``failed`` says after :meth:`Engine.cancel`."""


class Engine(Protocol):
    """Computes for one scan at a time, one request after the other."""

    def open(self, voxels: Voxels, system: str, memory: Memory | None = None) -> None:
        """The scan and the system of all further requests, and what an earlier session remembers of the scan."""

    def run(self, state: State, label: bool, events: Events) -> None:
        """The result of a state. ``label``: only box and locked vertebrae count, the others are found anew."""

    def measure(self, state: State, pieces: Mapping[Bone, Piece], grid: Grid, events: Events) -> None:
        """Measures pieces on a grid, the scan's; those of the state tell which are whole and how good they are."""

    def cancel(self) -> None:
        """Ends the request that runs."""

    def close(self) -> None:
        """Ends everything."""


class Cancelled(Exception):
    """Raised where a run looks whether it is still wanted."""


class LocalEngine:
    """Computes in this process: requests end before they return.

    Args:
        device: as :func:`device.choose`.
        weights: as in :class:`pipeline.Pipeline`.
    """

    def __init__(self, device: str = "auto", weights: Path | None = None) -> None:
        self.device, self.weights = device, weights
        self._pipelines: dict[str, Pipeline] = {}
        self._scan: tuple[Voxels, str] | None = None
        self._session: Session | None = None
        self._cancelled = False
        self._warnings: list[str] = []
        self._vertebrae: Cache = Cache(100)
        self._memory, self._scan_name = Memory(), ""
        self._texts: Cache[tuple[str, str]] = Cache(256)

    def open(self, voxels: Voxels, system: str, memory: Memory | None = None) -> None:
        self._scan, self._session, self._vertebrae = (voxels, system), None, Cache(100)
        self._memory = memory or Memory()

    def run(self, state: State, label: bool, events: Events) -> None:
        def work() -> None:
            session = self._opened(events)
            session.progress = self._watched(events)
            session.show = lambda state, pieces: events.show(Update(state, pieces, Grid.of(session.ct)))
            if label:
                session.label(state)
            else:
                session.apply(state)
            warnings = (*self._warnings, *session.warnings)
            grid, memory = Grid.of(session.ct), self._remembered(session)
            events.done(Update(session.state, dict(session.pieces), grid, session.seconds, warnings, memory))

        self._guarded(work, events)

    def measure(self, state: State, pieces: Mapping[Bone, Piece], grid: Grid, events: Events) -> None:
        def work() -> None:
            from ..measures.column import measure
            from ..measures.details import details

            session = self._opened(events)
            if not grid.same_as(Grid.of(session.ct)):
                raise SpineError(
                    "the segments have another geometry than the volume; in Segment Editor, choose the volume's"
                )
            session.progress, session.show = self._watched(events), None
            session.apply(state)
            label_map = paint(pieces, session.ct)
            ours = [
                one for one, piece in session.pieces.items() if one in pieces and pieces[one].digest == piece.digest
            ]
            # So that it can be ended between vertebrae, too.
            with telling(lambda share: self._progress(events, "measuring", int(100 * share), 100)):
                measures = measure(
                    session.ct,
                    label_map,
                    state.centroids,
                    {level: whole for level, whole in session.complete.items() if level in ours},
                    known=self._vertebrae,
                    mask_confidence={level: sure for level, sure in session.mask_confidence.items() if level in ours},
                )
            events.measured(details(measures))

        self._guarded(work, events)

    def cancel(self) -> None:
        self._cancelled = True

    def close(self) -> None:
        self._scan = self._session = None

    def _opened(self, events: Events) -> Session:
        if self._scan is None:
            raise SpineError("no volume is chosen; choose a CT")
        if self._session is None:
            # The first time, importing torch takes as long as a stage.
            events.progress("loading", 0, 1, "")
            # Not at the top: an application starts, and asks for torch, before it needs this.
            from ..pipeline import Pipeline
            from .session import Session

            voxels, system = self._scan
            if system not in self._pipelines:
                self._pipelines[system] = Pipeline(system, self.device, weights=self.weights)
            self._warnings = []
            self._session = Session(image_of(voxels, self._warnings), self._pipelines[system])
            self._scan_name = scan_of(self._session.ct)
            self._session.remember(self._memory.of(self._scan_name))
        return self._session

    def _remembered(self, session: Session) -> Memory:
        masks = session.masks.items()
        texts = (self._texts.get((key, mask.digest), partial(text_of, key, mask)) for key, mask in masks)
        return Memory(self._scan_name, dict(texts))

    def _watched(self, events: Events) -> Callable[[Progress], None]:
        def progress(step: Progress) -> None:
            self._progress(events, step.stage, step.done, step.total, step.level.name if step.level else "")

        return progress

    def _progress(self, events: Events, stage: str, done: int, total: int, level: str = "") -> None:
        if self._cancelled:
            raise Cancelled
        events.progress(stage, done, total, level)

    def _guarded(self, work: Callable[[], None], events: Events) -> None:
        self._cancelled = False
        try:
            work()
        except Cancelled:
            events.failed(CANCELLED)
        except SpineError as error:
            events.failed(str(error))
        except MemoryError:
            events.failed("not enough memory; close other programs or crop the volume")
