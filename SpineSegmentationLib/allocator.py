"""What the C library does with memory that was freed: glibc keeps much of it, other libraries have no such settings.

It keeps blocks as large as one that was freed before, up to 32 MiB, and all that lies under a smaller one in use. The
layers of networks are of that size: a run on a whole body would hold a fifth of a GiB that nobody uses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
BLOCK = 7 << 20
"""Bytes from which a block of memory goes back to the system as soon as it is freed. With 1 MiB a network takes
twice the time, as new memory comes page by page; with these two fifths more (docs/results.md), which is why
the worker of a panel, where a person waits for one vertebra, leaves it as it is."""

LARGE = 1 << 30
"""Bytes that a process may hold before freed memory counts: a chest never takes as much, a whole body does."""

KEPT = 64 << 20
"""Bytes of freed smaller blocks that may be kept for later: glibc's own limit, which goes with the largest block."""


def return_large_blocks() -> None:
    """Has freed blocks of ``BLOCK`` and more handed back to the system at once, in the whole process from now on."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, BLOCK)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)


def return_freed(above: int = 0) -> None:
    """Hands all that is freed by now back to the system; takes some hundredths of a second.

    Args:
        above: only where the process holds more than so many bytes: a network that gets its memory back page by page
            after every vertebra takes a seventh longer (docs/results.md).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        if not above or _resident() > above:
            ctypes.CDLL(None).malloc_trim(0)


def _resident() -> int:
    """Bytes of memory that the process holds; Linux only, as ``malloc_trim``."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
