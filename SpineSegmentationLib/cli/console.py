"""What is said to the person at the command line, and the exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

OK, SOME_FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


SCHEMA = "spine-segmentation/1"
"""What the objects of ``--json`` are: docs/schema/output-1.json. A new number when an old reader would go wrong."""


class Console:
    """Standard output and standard error. On a terminal, progress is one line that is written anew each time.

    Args:
        quiet: no progress.
        command: what runs, for the objects of ``--json``.
        json: results are objects for programs, one in a line, instead of text.
    """

    def __init__(self, quiet: bool = False, command: str = "", json: bool = False) -> None:
        for stream in (sys.stdout, sys.stderr):
            # A file name that the terminal cannot show is no reason to fail.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self.quiet, self.command, self.json = quiet, command, json
        self._pending = False

    def result(self, text: str) -> None:
        """A result for a person."""
        if not self.json:
            self._clear()
            print(text, flush=True)

    def record(self, value: Mapping[str, Any]) -> None:
        """A result for a program: an object that says of itself what it is."""
        if self.json:
            self._clear()
            told = {"schema": SCHEMA, "command": self.command, **value}
            print(json.dumps(told, allow_nan=False, default=str), flush=True)

    def message(self, text: str) -> None:
        """A warning or an error, in one line; shown even when quiet."""
        self._clear()
        _say(" ".join(text.split()))

    def progress(self, text: str) -> None:
        if self.quiet:
            return
        self._clear()
        self._pending = sys.stderr.isatty()
        _say(text, "" if self._pending else "\n")

    def _clear(self) -> None:
        if self._pending:
            _say("\r\x1b[K", "")
        self._pending = False


def _say(text: str, end: str = "\n") -> None:
    """On standard error; a log without room, or a terminal that has gone, stops no work."""
    with suppress(OSError):
        print(text, end=end, file=sys.stderr, flush=True)


def aligned(rows: list[list[str]]) -> str:
    """A table as text, its columns aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
