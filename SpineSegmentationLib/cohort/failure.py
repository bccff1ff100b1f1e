"""Why a scan failed, in one line."""

from __future__ import annotations

import traceback
from pathlib import Path

from ..errors import SpineError

NO_MEMORY = "not enough memory; close other programs, segment fewer vertebrae (--only), or use --device cpu"


def reason(error: Exception, path: Path) -> tuple[str, str]:
    """One line for the person, and the traceback for who mends it: empty where the person can mend it."""
    if isinstance(error, SpineError):
        return " ".join(str(error).split()), ""
    if _is_out_of_memory(error):
        return f"{path}: {NO_MEMORY}", ""
    told = "".join(traceback.format_exception(error))
    return f"{path}: unexpected {type(error).__name__}; please report the traceback", told


def _is_out_of_memory(error: Exception) -> bool:
    # torch and ITK report it as RuntimeError, each in its own words; torch.OutOfMemoryError is one, too.
    text = str(error).lower()
    words = ("out of memory", "bad_alloc", "bad allocation", "allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in text for word in words))
