"""What ITK does not tell about a NIfTI file: that it is incomplete, states no voxel size, or holds NaN."""

from __future__ import annotations

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

FLOATS = {16: "f4", 64: "f8"}
"""The data types of NIfTI that can hold NaN."""


@dataclass(frozen=True)
class Header:
    """The part of a NIfTI-1 or NIfTI-2 header that is checked.

    Attributes:
        order: byte order, ``<`` or ``>``.
        dim: number of voxels along each axis that there is.
        data_type, bits: of one voxel.
        pixdim: voxel size along the first three axes, as stated.
        start: bytes before the voxels.
    """

    order: str
    dim: tuple[int, ...]
    data_type: int
    bits: int
    pixdim: tuple[float, ...]
    start: int

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


def read_header(path: Path) -> Header:
    """Raises EOFError, OSError or zlib.error when there is no NIfTI header."""
    with _open(path) as file:
        data = file.read(540)
    for order in "<>" if len(data) >= 348 else "":
        (length,) = struct.unpack_from(order + "i", data)
        if length == 348:
            dim, pixdim = struct.unpack_from(order + "8h", data, 40), struct.unpack_from(order + "8f", data, 76)
            data_type, bits, (start,) = (
                *struct.unpack_from(order + "2h", data, 70),
                struct.unpack_from(order + "f", data, 108),
            )
            return Header(order, dim[1 : dim[0] + 1], data_type, bits, pixdim[1:4], int(start))
        if length == 540 == len(data):
            dim, pixdim = struct.unpack_from(order + "8q", data, 16), struct.unpack_from(order + "8d", data, 104)
            data_type, bits, (start,) = (
                *struct.unpack_from(order + "2h", data, 12),
                struct.unpack_from(order + "q", data, 168),
            )
            return Header(order, dim[1 : dim[0] + 1], data_type, bits, pixdim[1:4], start)
    raise EOFError


def not_numbers(path: Path, header: Header) -> np.ndarray | None:
    """Where a float file holds NaN or infinity: boolean, z, y, x; None if nowhere. ITK reads 0 there."""
    if header.data_type not in FLOATS:
        return None
    with _open(path) as file:
        file.seek(header.start)
        data = file.read(math.prod(header.dim) * header.bits // 8)
    found = ~np.isfinite(np.frombuffer(data, header.order + FLOATS[header.data_type]))
    return found.reshape(header.dim[::-1]) if found.any() else None
