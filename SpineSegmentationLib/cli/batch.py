"""Many scans, each on its own: a bad one never stops the others."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import SpineError
from .console import Console

NO_MEMORY = "not enough memory; close other programs, segment fewer vertebrae (--only), or use --device cpu"


def find(inputs: Sequence[Path], console: Console) -> tuple[list[Path], int]:
    """The scans at the inputs, each once, and how many inputs held none."""
    from ..io.ct import find_scans

    scans: dict[Path, Path] = {}
    failed = 0
    for path in inputs:
        try:
            for found in find_scans(path):
                scans.setdefault(found.resolve(), found)
        except SpineError as error:
            console.message(f"error: {error}")
            failed += 1
    return list(scans.values()), failed


def make_writable(folder: Path) -> None:
    """Makes the folder for outputs, if it is not there.

    Raises:
        SpineError: nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SpineError(f"{folder} cannot be written: {error.strerror}; choose another --output") from error


def each(scans: Sequence[Path], names: Sequence[str], console: Console, one: Callable[[Path, str, str], None]) -> int:
    """Calls ``one(path, name, about)`` for every scan; ``about`` begins each line said about it.

    Returns:
        how many scans failed; each has been told in a line.
    """
    failed = 0
    for number, (path, name) in enumerate(zip(scans, names, strict=True), start=1):
        about = f"[{number}/{len(scans)}] {name}: " if len(scans) > 1 else f"{name}: "
        try:
            one(path, name, about)
        except SpineError as error:
            console.message(f"{about}error: {error}")
            failed += 1
        except Exception as error:
            failed += 1
            if _is_out_of_memory(error):
                console.message(f"{about}error: {path}: {NO_MEMORY}")
            else:
                console.message(f"{about}error: {path}: unexpected {type(error).__name__}; please report what follows")
                traceback.print_exc()
    return failed


def _is_out_of_memory(error: Exception) -> bool:
    # torch and ITK report it as RuntimeError, each in its own words; torch.OutOfMemoryError is one, too.
    text = str(error).lower()
    words = ("out of memory", "bad_alloc", "bad allocation", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in text for word in words))
