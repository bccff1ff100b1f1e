"""The formats of volume files by their extensions, and what holds for all of them."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import SpineError

NIFTI = (".nii.gz", ".nii")
META = (".mha", ".mhd")
EXTENSIONS = (*NIFTI, ".nrrd", ".nhdr", *META)

DAMAGED = "is truncated, damaged or not of the format its extension says; copy or export it again"

MOST_PACKED = 1032
"""Bytes that one byte of gzip data can unpack to, at most (zlib's manual)."""


def extension(path: Path) -> str:
    """The extension if it is that of a volume file, lower case, else ``""``."""
    return next((known for known in EXTENSIONS if path.name.lower().endswith(known)), "")


def check_spacing(path: Path, spacing: tuple[float, ...]) -> None:
    """Raises SpineError for a voxel size outside 0.05 to 20 mm."""
    if not all(0.05 <= edge <= 20 for edge in spacing):
        edges = " x ".join(f"{edge:g}" for edge in spacing)
        raise SpineError(f"{path} has voxels of {edges} mm, outside 0.05 to 20 mm; correct its header")


def check_shape(path: Path, size: tuple[int, ...]) -> None:
    """Raises SpineError for sizes (x, y, z, ...) that are not those of one volume of several slices."""
    shape = " x ".join(map(str, size))
    if len(size) > 3 and any(length > 1 for length in size[3:]):
        raise SpineError(f"{path} is a 4D series of volumes ({shape}); export the one to segment as its own file")
    if len(size) < 3 or min(size[:3]) < 2:
        raise SpineError(f"{path} is a 2D image ({shape}); give a CT volume")


def unpacked_size(path: Path, offset: int = 0) -> int:
    """Bytes of gzip or zlib data after unpacking; their checksums are checked on the way (zlib.error, EOFError)."""
    size = 0
    with path.open("rb") as file:
        file.seek(offset)
        unpacker = zlib.decompressobj(wbits=47)
        while chunk := file.read(1 << 16):
            size += len(unpacker.decompress(chunk))
            while unpacker.eof and (rest := unpacker.unused_data.lstrip(b"\0")):
                unpacker = zlib.decompressobj(wbits=47)
                size += len(unpacker.decompress(rest))
    if not unpacker.eof:
        raise EOFError
    return size


def nifti_extensions(path: Path) -> bytes:
    """What stands between the header and the voxels of a NIfTI file, such as label tables; empty if it is damaged."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            header = file.read(352)
            order = "<" if header[:4] == struct.pack("<i", 348) else ">"
            return file.read(int(struct.unpack_from(order + "f", header, 108)[0]) - 352)
    except (EOFError, OSError, OverflowError, ValueError, struct.error, zlib.error):
        return b""


@contextmanager
def named_for_itk(path: Path, data: Path | None = None) -> Iterator[str]:
    """The path as ITK and VTK can take it: a name that is no UTF-8 would end the program, so a link stands in for it.

    Args:
        data: a second file that the first one names, relative to itself.

    Raises:
        OSError: no link can be made here.
    """
    try:
        str(path).encode()
        yield str(path)
        return
    except UnicodeEncodeError:
        pass
    with TemporaryDirectory() as folder:
        link = Path(folder, f"volume{extension(path) or path.suffix}")
        link.symlink_to(path.absolute())
        if data and data != path:
            beside = Path(folder, data.relative_to(path.parent))
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.symlink_to(data.absolute())
        yield str(link)
