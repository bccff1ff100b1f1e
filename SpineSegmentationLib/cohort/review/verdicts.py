"""What people say of results: one line of a file for each thing said, so that no reviewer overwrites another."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...anatomy import Level
from ...errors import SpineError
from ..layout import REVIEW, cohort_folder

FILES = "verdicts*.jsonl"
FILE = "verdicts.jsonl"
"""To which :func:`add` appends; others of that pattern, such as one saved in a browser, are read, too."""


class Say(str, Enum):
    """What may be said of the names of a result; the values are what files hold."""

    RIGHT = "right"
    SHIFT = "shift"
    NAMES = "names"
    WRONG = "wrong"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Verdict:
    """What one reviewer says of one result.

    Attributes:
        scan: its name.
        result: the checksum of the result that was seen (:attr:`ScanResult.digest`); it is no verdict on another one.
        reviewer: who says it.
        time: when, ISO 8601 in UTC.
        say: ``SHIFT``: all names ``by`` levels further down; ``NAMES``: ``levels`` instead, from the head down;
            ``WRONG``: to be mended in Slicer; ``NOTHING``: takes back what was said before.
        note: free words.

    Raises:
        SpineError: a shift by nothing, or names that are not in the order of the column.
    """

    scan: str
    result: str
    reviewer: str
    time: str
    say: Say
    by: int = 0
    levels: tuple[Level, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "say", Say(self.say))
        object.__setattr__(self, "levels", tuple(self.levels))
        if self.say is Say.SHIFT and not self.by:
            raise SpineError("a shift must say by how many levels")
        ranks = [level.rank for level in self.levels]
        if self.say is Say.NAMES and (not ranks or ranks != sorted(set(ranks))):
            raise SpineError("the names must go from the head down, each once")

    def agrees_with(self, other: Verdict) -> bool:
        """Whether both would have the same made of the result."""
        return (self.say, self.by, self.levels) == (other.say, other.by, other.levels)

    def to_json(self) -> dict[str, Any]:
        levels = [level.name for level in self.levels]
        return {**vars(self), "say": self.say.value, "levels": levels}

    @classmethod
    def from_json(cls, value: Any) -> Verdict:
        """Raises SpineError when the value is no verdict."""
        try:
            texts = {key: str(value[key]) for key in ("scan", "result", "reviewer", "time")}
            levels = tuple(Level.parse(str(name)) for name in value.get("levels", ()))
            return cls(
                **texts, say=value["say"], by=int(value.get("by", 0)), levels=levels, note=str(value.get("note", ""))
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpineError(f"not a verdict: {error}") from None


def now() -> str:
    """The time as a verdict holds it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def add(output: Path, verdict: Verdict) -> None:
    """Appends a verdict to the file beside the results; on the disk when this returns.

    Raises:
        SpineError: it cannot be written.
    """
    folder = cohort_folder(output, REVIEW)
    line = json.dumps(verdict.to_json(), ensure_ascii=False) + "\n"
    try:
        with FileLock(folder / ".verdicts.lock"), (folder / FILE).open("ab+") as file:
            # What a process that died left half written must not swallow this one.
            whole = not file.seek(0, os.SEEK_END) or (file.seek(-1, os.SEEK_END) and file.read(1) == b"\n")
            file.write(line.encode() if whole else b"\n" + line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SpineError(
            f"{folder / FILE} cannot be written: {error.strerror or error}; check its rights and the free space"
        ) from error


def read(output: Path) -> tuple[list[Verdict], list[str]]:
    """All that was ever said, in the order of time, and the lines that are no verdicts.

    Raises:
        SpineError: a file cannot be read.
    """
    found, problems = [], []
    for path in sorted(cohort_folder(output, REVIEW).glob(FILES)):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
        for number, line in enumerate(lines, 1):
            try:
                found += [Verdict.from_json(json.loads(line))] if line.strip() else []
            except (SpineError, json.JSONDecodeError) as error:
                problems.append(f"{path}, line {number}: {error}")
    return sorted(found, key=lambda verdict: verdict.time), problems


def current(verdicts: Iterable[Verdict], digests: Mapping[str, str]) -> dict[str, list[Verdict]]:
    """What counts now: of each scan the last word of each reviewer on the result as it is, by the scan's name.

    Args:
        verdicts: in the order of time.
        digests: of the results as they are, by name.
    """
    last: dict[str, dict[str, Verdict]] = defaultdict(dict)
    for verdict in verdicts:
        if digests.get(verdict.scan) == verdict.result:
            last[verdict.scan][verdict.reviewer] = verdict
    said = {scan: [v for v in mine.values() if v.say is not Say.NOTHING] for scan, mine in last.items()}
    return {scan: mine for scan, mine in said.items() if mine}
