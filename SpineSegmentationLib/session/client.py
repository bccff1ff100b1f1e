"""The application's side of the worker: its process, restarted after a crash, and requests to it. No Qt, no torch."""

from __future__ import annotations

import io
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from ..anatomy import Bone
from ..errors import SpineError
from ..grid import Grid
from ..segmentation.mask import Piece
from ..voxels import Voxels
from . import messages
from .engine import CANCELLED, Events
from .memory import Memory, of_memory
from .state import State

PROGRAM = "import sys; sys.path.insert(0, {root!r}); from SpineSegmentationLib.session.worker import main; main()"


class Transport(Protocol):
    """A process and its three streams. Everything is delivered in the thread that owns the client."""

    def start(
        self,
        command: Sequence[str],
        on_output: Callable[[bytes], None],
        on_log: Callable[[str], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Starts the program.

        Args:
            on_output: its standard output, in parts of any size.
            on_log: its standard error, text in parts of any size.
            on_end: why it ended, in a few words; once, also when it could not be started.
        """

    def write(self, data: bytes) -> None:
        """To its standard input."""

    def kill(self) -> None:
        """Ends it at once."""


def command(python: str | None = None, weights: str | Path | None = None) -> list[str]:
    """The command line of the worker; it needs neither a certain folder nor an installed package.

    Args:
        python: the interpreter; by default this one (in Slicer: the one that comes with it).
        weights: a folder that ``train`` wrote; its weights come before the shipped ones.
    """
    return [
        python or shutil.which("PythonSlicer") or sys.executable,
        # What a library prints, and names of folders, may hold any letter, whatever the computer's language.
        "-X",
        "utf8",
        "-c",
        PROGRAM.format(root=str(Path(__file__).resolve().parents[2])),
        *(("--weights", str(weights)) if weights else ()),
    ]


class WorkerClient:
    """An :class:`Engine` in another process.

    A worker that ends by itself (crash, kill, no memory) makes the request that runs fail with a message; the next
    request starts a new one and gives it the scan again. Requests carry all they need, so nothing is lost.

    Args:
        transport: makes a new one for every process.
        device: as :func:`device.choose`.
        program: the command line.
        log: lines for people who look for a cause.
    """

    def __init__(
        self,
        transport: Callable[[], Transport],
        device: str = "auto",
        program: Sequence[str] | None = None,
        log: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._make, self._device, self._program, self._log = transport, device, program or command(), log
        self._transport: Transport | None = None
        self._folder: tempfile.TemporaryDirectory | None = None
        self._scan: dict[str, Any] | None = None
        self._opened = False
        self._number = 0
        self._running: tuple[int, Events] | None = None
        self._pieces: dict[str, Piece] = {}
        self._masks: dict[str, str] = {}

    @property
    def busy(self) -> bool:
        """Whether a request runs."""
        return self._running is not None

    def open(self, voxels: Voxels, system: str, memory: Memory | None = None) -> None:
        """See :meth:`Engine.open`; the voxels are written to a private file, once.

        Raises:
            SpineError: no room for the file.
        """
        self.cancel()
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="spine-")
        array = np.asarray(voxels.array)
        path = Path(self._folder.name) / f"{self._number}.raw"
        old = self._scan
        try:
            path.write_bytes(np.ascontiguousarray(array).data)
        except OSError as error:
            raise SpineError(f"{path} cannot be written: {error.strerror}; free some space") from error
        self._scan = {
            "do": "open",
            "file": str(path),
            "type": array.dtype.str,
            "shape": list(array.shape),
            "to_lps": np.asarray(voxels.to_lps, float).tolist(),
            "name": voxels.name,
            "system": system,
            "device": self._device,
            "memory": of_memory(memory or Memory()),
        }
        self._masks.update(memory.masks if memory else {})
        self._opened = False
        if old is not None and old["file"] != str(path):
            # A worker on Windows may still have it open; the folder is removed at the end.
            with suppress(OSError):
                Path(old["file"]).unlink()

    def run(self, state: State, label: bool, events: Events) -> None:
        """See :meth:`Engine.run`; returns at once."""
        have = list(self._pieces)
        self._request({"do": "run", "state": messages.of_state(state), "label": label, "have": have}, events)

    def measure(self, state: State, pieces: Mapping[Bone, Piece], grid: Grid, events: Events) -> None:
        """See :meth:`Engine.measure`; returns at once."""
        request = {"do": "measure", "state": messages.of_state(state)}
        self._request({**request, "pieces": messages.of_pieces(pieces), "grid": messages.of_grid(grid)}, events)

    def cancel(self) -> None:
        """Ends the request that runs: for the application at once, in the worker after the part that it is at."""
        if self._running is not None:
            number, events = self._running
            self._running = None
            self._send({"do": "cancel", "id": number})
            events.failed(CANCELLED)

    def close(self) -> None:
        """Ends the worker and removes its files."""
        self.cancel()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.kill()
        if self._folder is not None:
            # Windows keeps files that are open; the operating system's clean-up gets them.
            with suppress(OSError):
                self._folder.cleanup()
            self._folder = None
        self._scan, self._opened, self._pieces, self._masks = None, False, {}, {}

    def _request(self, request: dict[str, Any], events: Events) -> None:
        if self._scan is None:
            raise SpineError("no volume is chosen; choose a CT")
        self.cancel()
        self._number += 2
        self._running = (self._number, events)
        if self._transport is None:
            self._start()
        if not self._opened:
            self._send({**self._scan, "id": self._number - 1})
            self._opened = True
        self._send({**request, "id": self._number})

    def _send(self, message: dict[str, Any]) -> None:
        # A process that could not be started has been reported as ended.
        if self._transport is not None:
            self._transport.write(messages.line(message))

    def _start(self) -> None:
        transport, lines = self._make(), messages.Lines()
        self._transport, self._opened = transport, False

        def output(data: bytes) -> None:
            try:
                received = list(lines.feed(data))
            except ValueError:
                self._log("the segmentation process does not speak as it should\n")
                transport.kill()
                return
            for message in received:
                if self._transport is transport:
                    self._receive(message)

        def ended(reason: str) -> None:
            if self._transport is transport:
                self._transport = None
                self._ended(reason)

        transport.start(self._program, output, self._log, ended)

    def _receive(self, message: dict[str, Any]) -> None:
        if self._running is None or message["id"] != self._running[0]:
            # The worker sends no mask twice, also of a request that was cancelled when it was done.
            sent = message.get("memory", {}).get("masks", {})
            self._masks.update({name: text for name, text in sent.items() if text is not None})
            if message["event"] == "failed":
                self._log(f"{message['message']}\n")
            return
        events = self._running[1]
        kind = message["event"]
        if kind == "progress":
            events.progress(message["stage"], message["done"], message["total"], message["level"])
            return
        if kind in ("show", "done"):
            update = messages.to_update(message, self._pieces, self._masks)
            pieces = {piece.digest: piece for piece in update.pieces.values()}
            if kind == "show":
                self._pieces.update(pieces)
                events.show(update)
                return
            self._pieces = pieces
            self._masks.update(update.memory.masks)
            # A worker that must be started again need not compute again.
            if self._scan is not None:
                self._scan["memory"] = of_memory(update.memory)
        self._running = None
        if kind == "done":
            events.done(update)
        elif kind == "measured":
            events.measured(message["measured"])
        else:
            events.failed(message["message"])

    def _ended(self, reason: str) -> None:
        self._log(f"the segmentation process ended: {reason}\n")
        if self._running is not None:
            events, self._running = self._running[1], None
            events.failed(
                f"the segmentation process ended ({reason}), perhaps for lack of memory; nothing is lost, press Apply"
            )


class SubprocessTransport:
    """A :class:`Transport` for scripts and tests; :meth:`pump` delivers what came."""

    def __init__(self) -> None:
        self._events: queue.Queue[Callable[[], None]] = queue.Queue()
        self.process: subprocess.Popen | None = None

    def start(
        self,
        command: Sequence[str],
        on_output: Callable[[bytes], None],
        on_log: Callable[[str], None],
        on_end: Callable[[str], None],
    ) -> None:
        pipe = subprocess.PIPE
        try:
            self.process = process = subprocess.Popen(list(command), stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            reason = f"{command[0]} could not be started: {error.strerror}"
            self._events.put(lambda: on_end(reason))
            return
        readers = [
            self._reader(process.stdout, on_output),
            self._reader(process.stderr, lambda data: on_log(data.decode("utf-8", "replace"))),
        ]

        def wait() -> None:
            for reader in readers:
                reader.join()
            code = process.wait()
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            self._events.put(lambda: on_end(f"exit code {code}"))

        threading.Thread(target=wait, daemon=True).start()

    def _reader(self, stream: IO[bytes] | None, deliver: Callable[[bytes], None]) -> threading.Thread:
        assert isinstance(stream, io.BufferedReader)  # a pipe

        def read() -> None:
            with stream:
                while data := stream.read1(1 << 16):
                    self._events.put(partial(deliver, data))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def pump(self, seconds: float) -> None:
        """Delivers what has come, and waits at most so long for something to come."""
        until = time.monotonic() + seconds
        with suppress(queue.Empty):
            self._events.get(timeout=max(until - time.monotonic(), 0))()
            while True:
                self._events.get_nowait()()

    def write(self, data: bytes) -> None:
        if self.process is None or self.process.stdin is None:
            return
        # A process that has ended is reported by on_end.
        with suppress(OSError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
