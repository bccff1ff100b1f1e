"""Sets of files that appear all or none, whenever the process that writes them dies.

A set is written into a folder of its own. Renaming that folder is the one step that decides: before it, the next run
clears the folder; after it, the next run completes the moving of its files. ``X`` is eight random letters::

    .unfinished-X-scan/   being written
    .finished-X-scan/     complete; its files are being moved to their places
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import SpineError

REPLACED = "replaced"
"""The sub-folder that keeps what was there before until all files are in their places."""


@contextmanager
def together(folder: Path, name: str, files: Sequence[str]) -> Iterator[Path]:
    """A temporary folder; the files written there under the names ``files`` get into ``folder``, all or none.

    Whatever ends it early, an interruption included, leaves ``folder`` as it was; what cannot be caught is completed
    or taken back by the next :func:`settle`.

    Args:
        name: of the set; nobody else may be writing a set of that name.

    Raises:
        SpineError: a file cannot be written.
    """
    settle(folder, name)
    temporary = folder / f".unfinished-{secrets.token_hex(4)}-{name}"
    finished = folder / temporary.name.replace(".unfinished-", ".finished-", 1)
    moved: list[tuple[Path, Path | None]] = []
    try:
        temporary.mkdir()
        yield temporary
        (temporary / REPLACED).mkdir()
        for file in files:
            # All must be there before the step that counts.
            (temporary / file).stat()
        os.replace(temporary, finished)
        for file in files:
            backup = finished / REPLACED / file if (folder / file).exists() else None
            if backup:
                os.replace(folder / file, backup)
            moved.append((folder / file, backup))
            os.replace(finished / file, folder / file)
    except BaseException as error:
        # New files go back first: should the process die now, the next run has the whole set again.
        for final, _ in moved:
            if not (finished / final.name).exists():
                os.replace(final, finished / final.name)
        for final, backup in moved:
            if backup:
                os.replace(backup, final)
        if isinstance(error, OSError):
            raise SpineError(
                f"{folder} cannot be written: {error.strerror or error}; check its rights and the free space"
            ) from error
        if isinstance(error, SpineError):
            raise SpineError(str(error).replace(str(temporary), str(folder))) from error
        raise
    finally:
        for left in (temporary, finished):
            shutil.rmtree(left, ignore_errors=True)


def settle(folder: Path, name: str) -> None:
    """Completes or clears what dead processes left of the set: whole sets get to their places, others vanish.

    Nobody else may be writing a set of that name.

    Raises:
        SpineError: the folder cannot be written.
    """
    pattern = f"-????????-{glob.escape(name)}"
    try:
        for finished in sorted(folder.glob(f".finished{pattern}")):
            for file in finished.iterdir():
                if file.name != REPLACED:
                    os.replace(file, folder / file.name)
            shutil.rmtree(finished)
        for unfinished in folder.glob(f".unfinished{pattern}"):
            shutil.rmtree(unfinished)
    except OSError as error:
        raise SpineError(f"{folder} cannot be written: {error.strerror or error}; check its rights") from error
