"""What a scan is made of, whatever it is called and wherever it lies: the checksum of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import SpineError
from ..io import dicom
from ..io.text_headers import data_file


@dataclass(frozen=True)
class Content:
    """The content of a scan.

    Attributes:
        sha256: of the file; of several files, of their sorted checksums, so that names and order play no part.
        files, bytes: how many there are.
        modified: when the last of them was changed, nanoseconds since 1970.
    """

    sha256: str
    files: int
    bytes: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> Content:
        """Reads the files of a scan as :func:`io.ct.find_scans` names it.

        Raises:
            SpineError: a file cannot be read.
        """
        files = files_of(path)
        try:
            with ThreadPoolExecutor(1 if len(files) == 1 else 4) as pool:
                digests = sorted(pool.map(_sha256, files))
        except OSError as error:
            raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
        whole = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
        return cls(whole, *_look(path, files))

    def is_of(self, path: Path) -> bool:
        """Whether the scan at a path has this content; read again only where size or time of its files differ.

        Raises:
            SpineError: a file cannot be read.
        """
        if _look(path, files_of(path)) == (self.files, self.bytes, self.modified):
            return True
        return Content.of(path).sha256 == self.sha256

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Content | None:
        """None when the value is no content."""
        keys = ("sha256", "files", "bytes", "modified")
        if not isinstance(value, Mapping) or not set(keys) <= value.keys():
            return None
        return cls(*(value[key] for key in keys))


def files_of(path: Path) -> list[Path]:
    """The files of a scan: of a folder those that are DICOM, of a header the file of its voxels, too.

    Raises:
        SpineError: there are none.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
        files = [file for file in files if dicom.is_dicom(file)]
    else:
        files = [file for file in (path, data_file(path)) if file is not None]
    if not files:
        raise SpineError(f"{path} holds no DICOM files; give a CT file or a folder of them")
    return files


def _look(path: Path, files: list[Path]) -> tuple[int, int, int]:
    try:
        known = [file.stat() for file in files]
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    return len(files), sum(one.st_size for one in known), max(one.st_mtime_ns for one in known)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
