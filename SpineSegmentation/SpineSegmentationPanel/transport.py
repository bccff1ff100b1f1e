"""The worker process under Qt's event loop."""

from collections.abc import Callable, Sequence

import qt

from .connection import connect


class QProcessTransport:
    """Starts the worker and carries bytes to and from it; everything arrives in Qt's main thread.

    The interface is ``SpineSegmentationLib.session.client.Transport``. One object runs one process.
    """

    def __init__(self) -> None:
        self._process = None

    def start(
        self,
        command: Sequence[str],
        on_output: Callable[[bytes], None],
        on_log: Callable[[str], None],
        on_end: Callable[[str], None],
    ) -> None:
        """Starts the command; returns at once.

        Args:
            on_output: gets what the process writes to stdout.
            on_log: gets what it writes to stderr.
            on_end: gets the reason, once, when the process has ended or could not be started.
        """
        self._on_output, self._on_log, self._on_end = on_output, on_log, on_end
        self._reason = None
        self._process = qt.QProcess()
        connect(self._process, "readyReadStandardOutput()", self._read_output)
        connect(self._process, "readyReadStandardError()", self._read_log)
        connect(self._process, "finished(int,QProcess::ExitStatus)", self._on_finished)
        connect(self._process, "errorOccurred(QProcess::ProcessError)", self._on_error)
        self._process.start(command[0], list(command[1:]))

    def write(self, data: bytes) -> None:
        """Sends bytes to the process's stdin; lost when it has ended."""
        if self._process.state() != qt.QProcess.NotRunning:
            self._process.write(data)

    def kill(self) -> None:
        """Ends the process at once; ``on_end`` follows."""
        self._process.kill()
        # Qt complains when the object of a process goes before the process.
        self._process.waitForFinished(1000)

    def _read_output(self) -> None:
        data = bytes(self._process.readAllStandardOutput().data())
        if data:
            self._on_output(data)

    def _read_log(self) -> None:
        data = bytes(self._process.readAllStandardError().data())
        if data:
            self._on_log(data.decode(errors="replace"))

    def _on_finished(self, exit_code: int, exit_status: int) -> None:
        self._read_output()
        self._read_log()
        crashed = exit_status == qt.QProcess.CrashExit
        self._end(f"ended by signal {exit_code}" if crashed else f"exit code {exit_code}")

    def _on_error(self, error: int) -> None:
        # Every other error is followed by finished().
        if error == qt.QProcess.FailedToStart:
            self._end(f"could not be started: {self._process.errorString()}")

    def _end(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
            # Not from within the process's own signal: the listener may let go of this object, and of the process.
            qt.QTimer.singleShot(0, self._tell_end)

    def _tell_end(self) -> None:
        self._on_end(self._reason)
