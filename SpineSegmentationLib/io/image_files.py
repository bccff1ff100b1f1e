"""Volume files (NIfTI, NRRD, MetaImage): read as a 3D scalar image, or a clear reason why not."""

from __future__ import annotations

import math
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from . import nifti

NIFTI = (".nii.gz", ".nii")
META = (".mha", ".mhd")
EXTENSIONS = (*NIFTI, ".nrrd", ".nhdr", *META)

DAMAGED = "is truncated, damaged or not of the format its extension says; copy or export it again"

# ITK's warnings would go to the user's terminal; what matters in them is checked here and raised as an error.
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def extension(path: Path) -> str:
    """The extension if it is that of a volume file, lower case, else ``""``."""
    return next((known for known in EXTENSIONS if path.name.lower().endswith(known)), "")


def read_volume(path: Path, warnings: list[str]) -> sitk.Image:
    """The image of a volume file, any real pixel type, with a plausible grid (it may be sheared).

    Adds a warning when the file does not state how it lies in the body.

    Raises:
        SpineError: not such a file, truncated or corrupt, its data lie outside its folder, not a 3D scalar volume,
            or a voxel size outside 0.05 to 20 mm.
    """
    reader = _open(path)
    _check_shape(path, reader)
    # ITK reads truncated and damaged files without a word, so they are checked apart. Both run without Python's lock.
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(_check_data, path, reader)
        if extension(path) in META:
            # MetaIO would complain on the terminal.
            check.result()
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise SpineError(f"{path} {DAMAGED}") from error
        check.result()
    image = image[:, :, :, 0] if image.GetDimension() == 4 else image
    return _as_stated(path, image, warnings) if extension(path) in NIFTI else image


def _as_stated(path: Path, image: sitk.Image, warnings: list[str]) -> sitk.Image:
    """The image of a NIfTI file with NaN where the file has NaN or infinity."""
    header = nifti.read_header(path)
    if not header.oriented:
        warnings.append("the file does not state its orientation (qform and sform codes are 0): left may be right")
    holes = nifti.not_numbers(path, header)
    if holes is None:
        return image
    voxels = sitk.GetArrayFromImage(image)
    voxels[holes.reshape(voxels.shape)] = np.nan
    result = sitk.GetImageFromArray(voxels)
    result.CopyInformation(image)
    return result


def check_intact(path: Path) -> None:
    """Raises SpineError when a volume file is not complete or damaged."""
    _check_data(path, _open(path))


def _open(path: Path) -> sitk.ImageFileReader:
    """A reader that knows the header."""
    try:
        path.open("rb").close()
        _check_data_file(path)
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if extension(path) in NIFTI and nifti.is_version_2(path):
            raise SpineError(f"{path} is NIfTI-2, which is not supported; convert it to NIfTI-1") from error
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
    # ITK takes 1 mm for a voxel size of zero in a NIfTI file, and drops the sign of a negative one.
    if extension(path) in NIFTI and not all(0 < edge < math.inf for edge in nifti.read_header(path).pixdim):
        raise SpineError(f"{path} states a voxel size that is not positive; correct its header")


def _check_data(path: Path, reader: sitk.ImageFileReader) -> None:
    """Raises SpineError when the voxels of a file are not all there and intact."""
    try:
        if extension(path) in NIFTI:
            available = _unpacked_size(path) if nifti.is_packed(path) else path.stat().st_size
            complete = available >= nifti.read_header(path).file_size
        else:
            complete = _voxels_complete(path, reader)
    except (EOFError, OSError, zlib.error) as error:
        raise SpineError(f"{path} {DAMAGED}") from error
    if not complete:
        raise SpineError(f"{path} {DAMAGED}")


def _voxels_complete(path: Path, reader: sitk.ImageFileReader) -> bool:
    """Of a NRRD or MetaImage file, raw or packed; ITK notices what is wrong with rarer encodings."""
    header, end = _header(path)
    packed = header.get("compresseddata", "").lower() == "true" or header.get("encoding", "").lower() in ("gzip", "gz")
    raw = header.get("binarydata", "").lower() == "true" or header.get("encoding", "").lower() == "raw"
    if not (packed or raw) or {"headersize", "byteskip", "lineskip"} & header.keys():
        return True
    name = _data_name(header)
    data, start = (path.parent / name, 0) if name else (path, end)
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


def _data_name(header: dict[str, str]) -> str:
    """The file that holds the voxels, empty if it is the header's own."""
    name = header.get("elementdatafile") or header.get("datafile", "")
    return "" if name.upper() == "LOCAL" else name


def data_file(path: Path) -> Path | None:
    """The file beside a header that holds its voxels; None where the file holds its own.

    Raises:
        SpineError: the header cannot be read.
    """
    if extension(path) not in (*META, ".nrrd", ".nhdr"):
        return None
    try:
        name = _data_name(_header(path)[0])
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    beside = path.parent / name
    return beside if name and beside.is_file() else None


def _check_data_file(path: Path) -> None:
    """Raises SpineError when the header names voxel data that are missing, split, or outside the header's folder."""
    if extension(path) in NIFTI:
        return
    header, _ = _header(path)
    if extension(path) in META and "elementdatafile" not in header:
        # MetaIO would complain on the terminal.
        raise SpineError(f"{path} {DAMAGED}")
    if not (name := _data_name(header)):
        return
    if name.upper().startswith("LIST") or "%" in name:
        raise SpineError(f"{path} spreads its voxels over several files; convert it to one file")
    data = (path.parent / name).resolve()
    if not data.is_relative_to(path.parent.resolve()):
        raise SpineError(f"{path} takes its voxels from outside its folder ({name}); put both into one folder")
    if not data.is_file():
        raise SpineError(f"{path} takes its voxels from {name}, which is not there; put both into one folder")
