"""One worker per scan: whoever works on a scan holds its lock, and a dead worker holds none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import SpineError


class Claim:
    """A scan that nobody else works on as long as this is not released.

    The operating system frees the lock of a process that ends, however it ends, on this computer and, where the file
    system knows locks (NFS 4, Lustre and others), on others; where it knows none, a file with the owner's number
    stands for it. May be released in another thread than it was taken.
    """

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    @classmethod
    def take(cls, folder: Path, name: str) -> Claim | None:
        """The claim on the scan whose outputs in ``folder`` are called ``name``; None while another one holds it.

        Raises:
            SpineError: the folder cannot be written.
        """
        lock = FileLock(folder / f".{name}.lock", blocking=False, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return None
        except OSError as error:
            raise SpineError(f"{folder} cannot be written: {error.strerror or error}; check its rights") from error
        return cls(lock)

    def release(self) -> None:
        """Frees the scan; the second time, nothing."""
        if self._lock.is_locked:
            # Before it is freed: who opened the file meanwhile finds it gone, and makes a new one.
            with suppress(OSError):
                Path(self._lock.lock_file).unlink()
            self._lock.release()
