"""The frames of DICOM files: where each lies, how and when it was made; of single- and multi-frame objects alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

CT_IMAGE, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
"""SOP classes (DICOM PS3.4 B.5); with ``.1`` behind it the first is enhanced, multi-frame CT."""

LARGEST = 4096
"""Rows or columns that no CT has more of; a larger number is a damaged header."""

TAGS: dict[str, tuple[str, tuple[str, str] | None]] = {
    "sop_class": ("SOPClassUID", None),
    "sop_instance": ("SOPInstanceUID", None),
    "series": ("SeriesInstanceUID", None),
    "patient": ("PatientID", None),
    "modality": ("Modality", None),
    "description": ("SeriesDescription", None),
    "protocol": ("ProtocolName", None),
    "instance": ("InstanceNumber", None),
    "kernel": ("ConvolutionKernel", ("CTReconstructionSequence", "ConvolutionKernel")),
    "type": ("ImageType", ("CTImageFrameTypeSequence", "FrameType")),
    "unit": ("RescaleType", ("PixelValueTransformationSequence", "RescaleType")),
    "position": ("ImagePositionPatient", ("PlanePositionSequence", "ImagePositionPatient")),
    "orientation": ("ImageOrientationPatient", ("PlaneOrientationSequence", "ImageOrientationPatient")),
    "pixel": ("PixelSpacing", ("PixelMeasuresSequence", "PixelSpacing")),
    "slope": ("RescaleSlope", ("PixelValueTransformationSequence", "RescaleSlope")),
    "intercept": ("RescaleIntercept", ("PixelValueTransformationSequence", "RescaleIntercept")),
    "phase": ("TemporalPositionIdentifier", ("FrameContentSequence", "TemporalPositionIndex")),
    "phase time": ("TemporalPositionTimeOffset", ("TemporalPositionSequence", "TemporalPositionTimeOffset")),
    "acquisition": ("AcquisitionNumber", ("FrameContentSequence", "FrameAcquisitionNumber")),
    "stack": ("StackID", ("FrameContentSequence", "StackID")),
    "heart phase": (
        "NominalPercentageOfCardiacPhase",
        ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ),
    "breathing phase": (
        "NominalPercentageOfRespiratoryPhase",
        ("RespiratorySynchronizationSequence", "NominalPercentageOfRespiratoryPhase"),
    ),
    "trigger time": ("TriggerTime", ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")),
    "contrast": ("ContrastBolusAgent", ("ContrastBolusUsageSequence", "ContrastBolusAgentAdministered")),
    "contrast start": ("ContrastBolusStartTime", None),
    "contrast phase": ("", ("ContrastBolusUsageSequence", "ContrastBolusAgentPhase")),
    "voltage": ("KVP", ("CTXRayDetailsSequence", "KVP")),
    "scanned": ("AcquisitionTime", ("FrameContentSequence", "FrameAcquisitionDateTime")),
    "made": ("ContentTime", ("FrameContentSequence", "FrameReferenceDateTime")),
}
"""What is read of every frame: the attribute of the object, and sequence and attribute of the functional group (each
may lack)."""

READ = sorted(
    {keyword for keyword, _ in TAGS.values() if keyword}
    | {"Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PixelRepresentation"}
    | {"PixelPaddingValue", "PixelPaddingRangeLimit"}
    | {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}
)


Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a DICOM file, and its place in the patient.

    Attributes:
        number: of the frame in its file, from 0.
        single: whether it is the only one of its file.
        tags: texts by the names of ``TAGS``, empty where the file says nothing.
        size: columns, rows.
        orientation: the directions of a row and of a column (LPS), six numbers.
        position: the centre of the first pixel, LPS mm.
        pixel: mm between rows, between columns; 0 where the file does not say.
        rescale: slope and intercept, from stored values to Hounsfield units (DICOM C.7.6.16.2.9, C.11.1).
        padding: the least and the greatest stored value that means "not imaged" (C.7.5.1.1.2); None if there is none.
        syntax: the UID of the transfer syntax.
    """

    path: Path
    number: int
    single: bool
    tags: Mapping[str, str]
    size: tuple[int, int]
    orientation: np.ndarray
    position: np.ndarray
    pixel: tuple[float, float]
    rescale: tuple[float, float]
    padding: tuple[int, int] | None
    syntax: str

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the slice."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    @property
    def along(self) -> float:
        """The place on the normal, mm."""
        return float(self.position @ self.normal)

    def stacks_with(self, other: Frame) -> bool:
        """Whether both may be slices of one volume."""
        return (
            self.tags["series"] == other.tags["series"]
            and self.tags["patient"] == other.tags["patient"]
            and self.size == other.size
            and np.allclose(self.orientation, other.orientation, atol=0.01)
            and np.allclose(self.pixel, other.pixel, rtol=0.01)
        )


def begins_as_dicom(path: Path) -> bool:
    """Whether the first bytes are those of a DICOM object."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    # Old files begin at once with group 0008.
    return start[128:] == b"DICM" or (start[:2] == b"\x08\0" and start[2:4] in (b"\0\0", b"\1\0", b"\5\0", b"\x08\0"))


def read_frames(path: Path) -> list[Frame]:
    """The frames of a file that lie in the patient; none for an object that is no grey image in space.

    Raises:
        Exception: whatever pydicom meets in a damaged file.
    """
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        data = dcmread(file, stop_before_pixels=True, specific_tags=READ, force=True)
        values = _values(data)
        syntax = str(data.file_meta.get("TransferSyntaxUID") or _guessed(data))
        # Where a header is cut short pydicom says nothing.
        if syntax != DeflatedExplicitVRLittleEndian and file.read(2) not in (b"\xe0\x7f", b"\x7f\xe0"):
            sop_class = values.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID", "")
            if str(sop_class).startswith(CT_IMAGE):
                raise ValueError("a CT without pixels")
            return []
        return list(_frames(path, values, syntax))


def _values(data: Dataset) -> Values:
    """The values of an object or an item by their keywords; what is ill-formed is left out."""
    values = {}
    for tag in tuple(data.keys()):
        # pydicom raises what it meets, as late as here.
        with suppress(Exception):
            element = data[tag]
            values[element.keyword] = element.value
    return values


def _frames(path: Path, values: Values, syntax: str) -> Iterator[Frame]:
    size = (int(values.get("Columns") or 0), int(values.get("Rows") or 0))
    if not min(size) > 1 or values.get("SamplesPerPixel", 1) != 1 or values.get("BitsAllocated") not in (8, 16, 32):
        return
    if max(size) > LARGEST:
        raise ValueError(f"{size} pixels")
    groups = values.get("PerFrameFunctionalGroupsSequence") or []
    shared = values.get("SharedFunctionalGroupsSequence") or []
    common = _functional(shared[0]) if len(shared) else {}
    count = int(values.get("NumberOfFrames") or 1)
    if groups and len(groups) != count:
        raise ValueError(f"{count} frames, {len(groups)} of them described")
    if count > 1 and not groups:
        return
    for number, group in enumerate(groups or [Dataset()]):
        own = {**common, **_functional(group)}
        tags = {name: _joined(own.get(inner, values.get(outer))) for name, (outer, inner) in TAGS.items()}
        position, orientation, pixel = (_numbers(tags[name]) for name in ("position", "orientation", "pixel"))
        if len(position) != 3 or len(orientation) != 6 or not np.any(np.cross(orientation[:3], orientation[3:])):
            continue
        slope, intercept = _numbers(tags["slope"]), _numbers(tags["intercept"])
        yield Frame(
            path,
            number,
            count == 1,
            tags,
            size,
            orientation,
            position,
            (float(pixel[0]), float(pixel[1])) if len(pixel) == 2 else (0.0, 0.0),
            (float(slope[0]) if len(slope) else 1.0, float(intercept[0]) if len(intercept) else 0.0),
            _padding(values),
            syntax,
        )


def _functional(group: Dataset) -> dict[tuple[str, str] | None, Any]:
    """The values of functional groups by sequence and keyword."""
    values: dict[tuple[str, str] | None, Any] = {}
    for sequence, items in _values(group).items():
        if isinstance(items, Sequence) and len(items):
            values.update({(sequence, keyword): value for keyword, value in _values(items[0]).items()})
    return values


def _joined(value: Any) -> str:
    """A value as text, several parted by backslashes."""
    values = value if isinstance(value, MultiValue) else [] if value is None else [value]
    return "\\".join(str(one).strip(" \0") for one in values)


def _numbers(text: str) -> np.ndarray:
    try:
        numbers = np.array([float(part) for part in text.split("\\")])
    except ValueError:
        return np.array([])
    return numbers if np.all(np.isfinite(numbers)) else np.array([])


def _padding(values: Values) -> tuple[int, int] | None:
    """The padding as values of the pixels' own type: files state -2000 as 63536, and the other way round."""
    value = values.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = values.get("PixelPaddingRangeLimit")
    bits, signed = values["BitsAllocated"], values.get("PixelRepresentation") == 1
    ends = []
    for end in (value, limit if isinstance(limit, int) else value):
        end %= 1 << bits
        ends.append(end - (1 << bits) if signed and end >= 1 << (bits - 1) else end)
    return min(ends), max(ends)


def _guessed(data: Dataset) -> str:
    """The transfer syntax of an object without file meta information, by how it was read."""
    implicit, little = data.original_encoding
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
