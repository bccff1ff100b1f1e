"""The process that computes for an application: ``python -m SpineSegmentationLib.session.worker``.

Serves a session over standard input and output (see :mod:`messages`). Models stay loaded between edits. It ends when
its input ends, even in the middle of a run: nobody is left then who waits for it.
"""

from __future__ import annotations

import argparse
import io
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..voxels import Voxels
from . import messages
from .engine import Cancelled, Events, LocalEngine, Update
from .memory import to_memory


class Worker:
    """Answers requests one after the other.

    Args:
        send: takes the bytes of a message.
        weights: as in :class:`pipeline.Pipeline`.
    """

    def __init__(self, send: Callable[[bytes], object], weights: Path | None = None) -> None:
        self._send, self._weights = send, weights
        self._engine: LocalEngine | None = None
        self._cancelled: set[int] = set()
        self._masks: set[str] = set()

    def cancel(self, number: int) -> None:
        """The request of that number is not wanted any more; may be called from another thread."""
        self._cancelled.add(number)

    def answer(self, request: dict[str, Any]) -> None:
        """Does what a request says; every failure becomes an answer."""
        number = request["id"]

        def tell(event: str, **values: object) -> None:
            self._send(messages.line({"id": number, "event": event, **values}))

        try:
            {"open": self._open, "run": self._run, "measure": self._measure}[request["do"]](request, tell)
        except MemoryError:
            tell("failed", message="not enough memory; close other programs or crop the volume")
        except Exception as error:
            traceback.print_exc()
            reason = (str(error).splitlines() or [""])[0]
            tell("failed", message=f"the computation failed ({type(error).__name__}: {reason}); the log says more")

    def _open(self, request: dict[str, Any], tell: Callable) -> None:
        if self._engine is None:
            self._engine = LocalEngine(request["device"], self._weights)
        # Should the new scan be bad, nothing may go on with the old one.
        self._engine.close()
        array = np.memmap(request["file"], np.dtype(request["type"]), "r", shape=tuple(request["shape"]))
        memory = to_memory(request["memory"])
        self._masks.update(memory.masks)
        self._engine.open(Voxels(array, np.array(request["to_lps"]), request["name"]), request["system"], memory)

    def _run(self, request: dict[str, Any], tell: Callable) -> None:
        sent = set(request["have"])

        def update(event: str) -> Callable:
            def send(value: Update) -> None:
                tell(event, **messages.of_update(value, sent, self._masks))
                sent.update(piece.digest for piece in value.pieces.values())
                self._masks.update(value.memory.masks)

            return send

        state = messages.to_state(request["state"])
        self._opened().run(
            state, request["label"], self._events(request, tell, show=update("show"), done=update("done"))
        )

    def _measure(self, request: dict[str, Any], tell: Callable) -> None:
        state, pieces = messages.to_state(request["state"]), messages.to_pieces(request["pieces"])
        events = self._events(request, tell, measured=lambda measured: tell("measured", measured=measured))
        self._opened().measure(state, pieces, messages.to_grid(request["grid"]), events)

    def _opened(self) -> LocalEngine:
        assert self._engine is not None  # a client opens a scan first
        return self._engine

    def _events(self, request: dict[str, Any], tell: Callable, **others: Callable) -> Events:
        def progress(stage: str, done: int, total: int, level: str) -> None:
            if request["id"] in self._cancelled:
                raise Cancelled
            tell("progress", stage=stage, done=done, total=total, level=level)

        return Events(progress=progress, failed=lambda message: tell("failed", message=message), **others)


def serve(source: io.BufferedReader, sink: BinaryIO, weights: Path | None = None) -> None:
    """Answers the requests of ``source`` on ``sink``; the process ends with ``source``."""

    def send(data: bytes) -> None:
        sink.write(data)
        sink.flush()

    worker = Worker(send, weights)
    requests: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen() -> None:
        lines = messages.Lines()
        try:
            while data := source.read1(1 << 16):
                for message in lines.feed(data):
                    if message["do"] == "cancel":
                        worker.cancel(message["id"])
                    else:
                        requests.put(message)
        finally:
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        worker.answer(requests.get())


def main() -> None:
    """Serves standard input and output; whatever else is printed goes to standard error."""
    parser = argparse.ArgumentParser(description="Computes for an application.")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="weights that train wrote, before the shipped ones")
    arguments = parser.parse_args()
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source = sys.stdin.buffer
    assert isinstance(source, io.BufferedReader)
    serve(source, sink, arguments.weights)


if __name__ == "__main__":
    main()
