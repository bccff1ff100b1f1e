"""The text headers of NRRD and MetaImage files, checked for what ITK passes over in silence."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .formats import DAMAGED, META, MOST_PACKED, extension, named_for_itk, unpacked_size

LONGEST_HEADER = 1 << 24

ORIENTED = r"(right|left)-(anterior|posterior)-superior(-time)?|RAST?|LAST?|LPST?"
"""The spaces of an NRRD file that say how it lies in the body."""


def read_header(path: Path) -> tuple[dict[str, str], int]:
    """The fields (keys in lower case without blanks) and where the header ends."""
    with path.open("rb") as file:
        start, end = b"", None
        while chunk := file.read(1 << 16):
            # The end may lie across two chunks.
            since = max(len(start) - 100, 0)
            start += chunk
            end = re.compile(rb"(?im)^elementdatafile\s*=.*\n?|^\r?\n").search(start, since)
            if end or len(start) > LONGEST_HEADER:
                break
    stop = end.end() if end else len(start)
    fields = re.findall(r"(?m)^([\w ]+?)\s*[:=]\s*(.*?)\s*$", start[:stop].decode("latin-1"))
    header: dict[str, str] = {}
    for key, value in fields:
        known = header.setdefault(key.lower().replace(" ", ""), value)
        if known != value:
            # Which of both a library takes is its own affair.
            header[key.lower().replace(" ", "")] = f"{known}, {value}"
    return header, stop


def states_orientation(path: Path) -> bool:
    """Whether the file says how it lies in the body: MetaImage always does, NRRD by its space."""
    return extension(path) in META or bool(re.fullmatch(ORIENTED, read_header(path)[0].get("space", ""), re.IGNORECASE))


def data_file(path: Path) -> Path | None:
    """The file beside a header that holds its voxels; None where the file holds its own.

    Raises:
        SpineError: the header cannot be read.
    """
    if extension(path) not in (*META, ".nrrd", ".nhdr"):
        return None
    try:
        name = _data_name(read_header(path)[0])
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    beside = path.parent / name
    return beside if name and beside.is_file() else None


def check_data_file(path: Path) -> Path:
    """The file with the voxels, ``path`` itself or the one that it names.

    Raises:
        SpineError: the header names voxel data that are missing, split, or outside the header's folder.
    """
    header, _ = read_header(path)
    # MetaIO complains on the terminal when the voxels are not named, and writes beyond its memory, which ends the whole
    # program, when there are more dimensions than it has room for (10).
    if extension(path) in META and ("elementdatafile" not in header or header.get("ndims") not in ("2", "3", "4")):
        raise SpineError(f"{path} {DAMAGED}")
    name = _data_name(header)
    if not name:
        return path
    if name.upper().startswith("LIST") or "%" in name:
        raise SpineError(f"{path} spreads its voxels over several files; convert it to one file")
    data = (path.parent / name).resolve()
    if not data.is_relative_to(path.parent.resolve()):
        raise SpineError(f"{path} takes its voxels from outside its folder ({name}); put both into one folder")
    if not data.is_file():
        raise SpineError(f"{path} takes its voxels from {name}, which is not there; put both into one folder")
    return path.parent / name


def check_voxels(path: Path, reader: sitk.ImageFileReader, quick: bool = False) -> None:
    """Raises SpineError when voxels, raw or packed, are not all there and intact.

    ITK notices what is wrong with rarer encodings.

    Args:
        reader: one that has read the header.
        quick: look at the size of the file alone, which takes no time.
    """
    header, end = read_header(path)
    packed = header.get("compresseddata", "").lower() == "true" or header.get("encoding", "").lower() in ("gzip", "gz")
    raw = header.get("binarydata", "").lower() == "true" or header.get("encoding", "").lower() == "raw"
    if not (packed or raw) or {"headersize", "byteskip", "lineskip"} & header.keys():
        return
    name = _data_name(header)
    data, start = (path.parent / name, 0) if name else (path, end)
    voxel = sitk.Image([1, 1, 1], reader.GetPixelID(), reader.GetNumberOfComponents()).GetSizeOfPixelComponent()
    needed = np.prod(reader.GetSize(), dtype=float) * voxel * reader.GetNumberOfComponents()
    try:
        available = data.stat().st_size - start
        if packed:
            available = available * MOST_PACKED if quick else unpacked_size(data, start)
    except (EOFError, OSError, zlib.error) as error:
        raise SpineError(f"{path} {DAMAGED}") from error
    if available < needed:
        raise SpineError(f"{path} {DAMAGED}")


def check_intact(path: Path) -> None:
    """Raises SpineError when the voxels of a file are not complete or damaged."""
    try:
        with named_for_itk(path) as name:
            reader = sitk.ImageFileReader()
            reader.SetFileName(name)
            reader.ReadImageInformation()
    except (OSError, RuntimeError) as error:
        raise SpineError(f"{path} {DAMAGED}") from error
    check_voxels(path, reader)


def _data_name(header: dict[str, str]) -> str:
    """The file that holds the voxels, empty if it is the header's own."""
    name = header.get("elementdatafile") or header.get("datafile", "")
    return "" if name.upper() == "LOCAL" else name
