"""A worker process for scripts: requests end before they return, and the caller's process never imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..anatomy import Bone
from ..grid import Grid
from ..segmentation.mask import Piece
from .client import SubprocessTransport, WorkerClient
from .engine import Events
from .state import State


class WaitingClient(WorkerClient):
    """A :class:`WorkerClient` that waits for the end of what it asked for, as :class:`LocalEngine` does.

    Args:
        device: as :func:`device.choose`.
        program: the command line.
        log: lines for people who look for a cause.
    """

    def __init__(self, device: str, program: Sequence[str], log: Callable[[str], None]) -> None:
        super().__init__(self._piped, device, program, log)
        self._pipes = SubprocessTransport()

    def run(self, state: State, label: bool, events: Events) -> None:
        super().run(state, label, events)
        self._wait()

    def measure(self, state: State, pieces: Mapping[Bone, Piece], grid: Grid, events: Events) -> None:
        super().measure(state, pieces, grid, events)
        self._wait()

    def _piped(self) -> SubprocessTransport:
        self._pipes = SubprocessTransport()
        return self._pipes

    def _wait(self) -> None:
        try:
            while self.busy:
                self._pipes.pump(0.1)
        except BaseException:
            # Ctrl-C, or what a listener raised: nobody waits for the answer any more.
            self.cancel()
            raise
