"""Volume files (NIfTI, NRRD, MetaImage): read as a 3D scalar image, or a clear reason why not."""

from __future__ import annotations

import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import SpineError

EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

DAMAGED = "is truncated, damaged or not of the format its extension says; copy or export it again"

# ITK's warnings would go to the user's terminal; what matters in them is checked here and raised as an error.
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def extension(path: Path) -> str:
    """The extension if it is that of a volume file, lower case, else ``""``."""
    return next((known for known in EXTENSIONS if path.name.lower().endswith(known)), "")


def read_volume(path: Path) -> sitk.Image:
    """The image of a volume file, any real pixel type, with a plausible grid (it may be sheared).

    Raises:
        SpineError: not such a file, truncated or corrupt, its data lie outside its folder, not a 3D scalar volume,
            or a voxel size outside 0.05 to 20 mm.
    """
    reader = _open(path)
    _check_shape(path, reader)
    # ITK reads truncated and damaged files without a word, so they are checked apart. Both run without Python's lock.
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(_check_data, path, reader)
        if extension(path) in (".mha", ".mhd"):
            # MetaIO would complain on the terminal.
            check.result()
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise SpineError(f"{path} {DAMAGED}") from error
        check.result()
    return image[:, :, :, 0] if image.GetDimension() == 4 else image


def check_intact(path: Path) -> None:
    """Raises SpineError when a NIfTI or MetaImage file just written is not complete."""
    _check_data(path, _open(path))


def _open(path: Path) -> sitk.ImageFileReader:
    """A reader that knows the header."""
    _check_data_file(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise SpineError(f"{path} {_reason(error)}") from error
    return reader


def _reason(error: RuntimeError) -> str:
    text = str(error).lower()
    if "orthonormal" in text:
        return "has axes that are not perpendicular (sheared); resample it to a rectangular grid first"
    if "spacing" in text:
        return "states a voxel size that cannot be (zero or negative); correct its header"
    return DAMAGED


def check_spacing(path: Path, spacing: tuple[float, ...]) -> None:
    """Raises SpineError for a voxel size outside 0.05 to 20 mm."""
    if not all(0.05 <= edge <= 20 for edge in spacing):
        edges = " x ".join(f"{edge:g}" for edge in spacing)
        raise SpineError(f"{path} has voxels of {edges} mm, outside 0.05 to 20 mm; correct its header")


def _check_shape(path: Path, reader: sitk.ImageFileReader) -> None:
    size, components = reader.GetSize(), reader.GetNumberOfComponents()
    shape = " x ".join(map(str, size))
    if components > 1:
        raise SpineError(f"{path} has {components} values per voxel (a colour or vector image); give a CT volume")
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise SpineError(f"{path} holds complex numbers; give a CT volume")
    if len(size) > 3 and any(length > 1 for length in size[3:]):
        raise SpineError(f"{path} is a 4D series of volumes ({shape}); export the one to segment as its own file")
    if len(size) < 3 or min(size[:3]) < 2:
        raise SpineError(f"{path} is a 2D image ({shape}); give a CT volume")
    check_spacing(path, reader.GetSpacing()[:3])
    for axis in (1, 2, 3):
        # ITK takes 1 mm for a voxel size of zero and drops the sign of a negative one.
        key = f"pixdim[{axis}]"
        if reader.HasMetaDataKey(key) and not float(reader.GetMetaData(key)) > 0:
            raise SpineError(f"{path} has a voxel size of {reader.GetMetaData(key)}; correct its header")


def _check_data(path: Path, reader: sitk.ImageFileReader) -> None:
    """Raises SpineError when the voxels of a NIfTI or MetaImage file are not all there and intact (NRRD: ITK does)."""
    try:
        if extension(path) in (".nii", ".nii.gz"):
            with path.open("rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
            complete = (_unpacked_size(path) if packed else path.stat().st_size) >= _nifti_size(reader)
        elif extension(path) in (".mha", ".mhd"):
            complete = _metaimage_complete(path, reader)
        else:
            complete = True
    except (EOFError, OSError, zlib.error) as error:
        raise SpineError(f"{path} {DAMAGED}") from error
    if not complete:
        raise SpineError(f"{path} {DAMAGED}")


def _nifti_size(reader: sitk.ImageFileReader) -> float:
    """Bytes of the unpacked file by its header."""
    edges = [
        max(int(reader.GetMetaData(f"dim[{axis}]")), 1) for axis in range(1, int(reader.GetMetaData("dim[0]")) + 1)
    ]
    return float(reader.GetMetaData("vox_offset")) + np.prod(edges, dtype=float) * int(reader.GetMetaData("bitpix")) / 8


def _metaimage_complete(path: Path, reader: sitk.ImageFileReader) -> bool:
    header, end = _header(path)
    if header.get("binarydata", "true").lower() != "true" or "headersize" in header:
        return True
    name = header.get("elementdatafile", "")
    data, start = (path, end) if name.upper() == "LOCAL" else (path.parent / name, 0)
    packed = header.get("compresseddata", "").lower() == "true"
    voxel = sitk.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
    available = _unpacked_size(data, start) if packed else data.stat().st_size - start
    return available >= np.prod(reader.GetSize(), dtype=float) * voxel


def _unpacked_size(path: Path, offset: int = 0) -> int:
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


def _header(path: Path) -> tuple[dict[str, str], int]:
    """The text header of a NRRD or MetaImage file (keys in lower case without blanks) and where it ends."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    end = re.search(rb"(?im)^elementdatafile\s*=.*\n?|^\r?\n", start)
    text = start[: end.end() if end else None].decode("latin-1")
    fields = re.findall(r"(?m)^([\w ]+?)\s*[:=]\s*(.*?)\s*$", text)
    return {key.lower().replace(" ", ""): value for key, value in fields}, end.end() if end else len(start)


def _check_data_file(path: Path) -> None:
    """Raises SpineError when the header names voxel data that are missing, split, or outside the header's folder."""
    kind = extension(path)
    if kind in (".nii", ".nii.gz"):
        return
    header, _ = _header(path)
    name = header.get("elementdatafile") or header.get("datafile")
    if not name or name.upper() == "LOCAL":
        return
    if name.upper().startswith("LIST") or "%" in name:
        raise SpineError(f"{path} spreads its voxels over several files; convert it to one file")
    data = (path.parent / name).resolve()
    if not data.is_relative_to(path.parent.resolve()):
        raise SpineError(f"{path} takes its voxels from outside its folder ({name}); put both into one folder")
    if not data.is_file():
        raise SpineError(f"{path} takes its voxels from {name}, which is not there; put both into one folder")
