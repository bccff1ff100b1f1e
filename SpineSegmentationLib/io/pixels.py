"""The pixels of DICOM frames in Hounsfield units."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import iter_pixels
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MultiFrameGrayscaleWordSecondaryCaptureImageStorage

from ..errors import SpineError
from ..resampling import AIR
from .formats import DAMAGED
from .frames import Frame

PIXEL_MODULE = (
    *("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("NumberOfFrames", "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)


def hounsfield_planes(frames: Sequence[Frame]) -> Iterator[tuple[int, np.ndarray]]:
    """The place of every frame in the sequence and its plane: int16 (rows, columns), Hounsfield units.

    Each frame has its own slope and intercept; padding is air. The photometric interpretation does not matter: it
    says how values are shown (MONOCHROME1: the greater, the darker), not what they are (DICOM C.7.6.3.1.2).

    Raises:
        SpineError: a damaged file.
    """
    first: dict[Path, int] = {}
    for place, frame in enumerate(frames):
        first.setdefault(frame.path, place)
    wanted = sorted(enumerate(frames), key=lambda one: (first[one[1].path], one[1].number))
    for path, group in groupby(wanted, key=lambda one: one[1].path):
        places, own = zip(*group, strict=True)
        planes = _stored(path, own)
        for place, frame in zip(places, own, strict=True):
            try:
                plane = next(planes)
            # pydicom raises what it meets; whatever it is, the pixels cannot be had.
            except Exception as error:
                raise SpineError(f"{path} {DAMAGED}") from error
            yield place, _hounsfield(plane, frame)


def _stored(path: Path, frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    """Stored values of frames of one file, as they are in it."""
    syntax, numbers = UID(frames[0].syntax), [frame.number for frame in frames]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
            planes = _decompressed(dcmread(path, force=True))
            yield from (planes[number] for number in numbers)
        elif syntax == DeflatedExplicitVRLittleEndian or not frames[0].tags["sop_class"]:
            yield from iter_pixels(dcmread(path, force=True), indices=numbers, raw=True)
        else:
            yield from iter_pixels(path, indices=numbers, raw=True, transfer_syntax_uid=syntax)


def _decompressed(data: Dataset) -> np.ndarray:
    """Stored values (frames, rows, columns) of compressed pixels.

    GDCM, which comes with SimpleITK, knows every compression in use, pydicom alone next to none. But it would rescale
    and invert the values, so it is given the pixels without what surrounds them.
    """
    bare = Dataset()
    for keyword in PIXEL_MODULE:
        if keyword in data:
            bare[keyword] = data[keyword]
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.SOPClassUID, bare.SOPInstanceUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "1.2.3"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    bare.file_meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pixels.dcm")
        bare.save_as(path, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        planes = sitk.GetArrayFromImage(reader.Execute())
    return planes.reshape(-1, *planes.shape[-2:])


def _hounsfield(stored: np.ndarray, frame: Frame) -> np.ndarray:
    slope, intercept = frame.rescale
    if slope == 1 and intercept % 1 == 0 and abs(intercept) < 1 << 16 and stored.dtype.itemsize <= 2:
        values = stored.astype(np.int32) + int(intercept)
    else:
        values = np.rint(stored.astype(np.float64) * slope + intercept)
    if frame.padding:
        least, greatest = frame.padding
        values[(stored >= least) & (stored <= greatest)] = AIR
    limits = np.iinfo(np.int16)
    return np.clip(values, limits.min, limits.max).astype(np.int16)
