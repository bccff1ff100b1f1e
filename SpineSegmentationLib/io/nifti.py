"""What ITK does not tell about a NIfTI file: that it is incomplete, states no voxel size, or holds NaN."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

FLOATS = {16: "f4", 64: "f8"}
"""The data types of NIfTI that can hold NaN."""


@dataclass(frozen=True)
class Header:
    """The part of a NIfTI-1 header that is checked.

    Attributes:
        order: byte order, ``<`` or ``>``.
        dim: number of voxels along each axis that there is.
        data_type, bits: of one voxel.
        pixdim: voxel size along the first three axes, as stated.
        start: bytes before the voxels.
        oriented: whether it states how the volume lies in the body.
    """

    order: str
    dim: tuple[int, ...]
    data_type: int
    bits: int
    pixdim: tuple[float, ...]
    start: int
    oriented: bool

    @property
    def file_size(self) -> int:
        """Bytes of the unpacked file, at least."""
        return self.start + math.prod(self.dim) * self.bits // 8


def is_packed(path: Path) -> bool:
    """Whether a file begins like gzip, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> BinaryIO:
    return gzip.open(path) if is_packed(path) else path.open("rb")


def is_version_2(path: Path) -> bool:
    """Whether the file is NIfTI-2, which ITK does not read."""
    try:
        with _open(path) as file:
            return file.read(8)[4:] in (b"n+2\0", b"ni2\0")
    except (EOFError, OSError, zlib.error):
        return False


def read_header(path: Path) -> Header:
    """Raises EOFError, OSError or zlib.error when there is no NIfTI-1 header."""
    with _open(path) as file:
        data = file.read(348)
    if len(data) < 348:
        raise EOFError
    order = "<" if data[:4] == struct.pack("<i", 348) else ">"
    # From byte 40 on: dim; datatype and bitpix at 70, pixdim at 76, vox_offset at 108, qform and sform code at 252.
    fields = struct.unpack_from(order + "8h14x2h2x8ff140x2h", data, 40)
    dim, (data_type, bits), pixdim, start, codes = fields[:8], fields[8:10], fields[10:18], fields[18], fields[19:]
    return Header(order, dim[1 : dim[0] + 1], data_type, bits, pixdim[1:4], int(start), any(codes))


def not_numbers(path: Path, header: Header) -> np.ndarray | None:
    """Where a float file holds NaN or infinity: boolean, flat (x fastest); None if nowhere. ITK reads 0 there."""
    if header.data_type not in FLOATS:
        return None
    with _open(path) as file:
        file.seek(header.start)
        data = file.read(math.prod(header.dim) * header.bits // 8)
    found = ~np.isfinite(np.frombuffer(data, header.order + FLOATS[header.data_type]))
    return found if found.any() else None


def extensions(path: Path) -> bytes:
    """What stands between the header and the voxels, such as label tables; empty when the file cannot be read."""
    try:
        start = read_header(path).start
        with _open(path) as file:
            return file.read(start)[352:]
    except (EOFError, OSError, zlib.error):
        return b""
