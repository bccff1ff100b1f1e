"""DICOM files for the tests: series of single slices, and enhanced (multi-frame) objects (DICOM A.38)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

AXIAL = (1, 0, 0, 0, 1, 0)
FIRST = (-50.0, -60.0, -700.0)
"""Where the first pixel of the first slice lies, LPS mm."""


def volume(slices: int, rows=10, columns=12) -> np.ndarray:
    """Hounsfield units, z, y, x: each plane flat, soft tissue rising by 2 per plane, with a corner of air."""
    planes = np.broadcast_to(2 * np.arange(slices)[:, None, None] + 150, (slices, rows, columns)).astype(np.int16)
    planes = np.array(planes)
    planes[:, :2, :3] = -1000
    return planes


def heights(count: int, step=2.0, first=0.0) -> list[tuple[float, float, float]]:
    """The first pixels of axial slices, ``step`` mm apart, the first one ``first`` mm above ``FIRST``."""
    return [(FIRST[0], FIRST[1], FIRST[2] + first + step * k) for k in range(count)]


def new_file(path: Path, uid: str, sop_class: str) -> FileDataset:
    """An object with the modules of patient, study, series and image pixels that every CT has, without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID, data.StudyInstanceUID, data.Modality = sop_class, uid, "1.2", "CT"
    data.FrameOfReferenceUID, data.ImageType = "1.2.0", ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    return data


def set_pixels(data: Dataset, stored: np.ndarray) -> None:
    """Puts stored values (frames, rows, columns) or (rows, columns) into an object, of the type it states."""
    data.Rows, data.Columns = stored.shape[-2:]
    data.PixelData = stored.astype("<i2" if data.PixelRepresentation else "<u2").tobytes()


def write_series(folder: Path, hounsfield: np.ndarray, places=None, *, uid="1.2.3", step=2.0, pixel=(0.8, 0.7), **tags):
    """One file per plane, without an extension, in shuffled order; ``places`` are the positions of the first pixels.

    ``tags`` are further DICOM attributes (None: without it), or ``slope`` and ``intercept``, ``first`` (the number of
    the first instance) and ``each``: what differs from slice to slice, a list of dictionaries.
    """
    folder.mkdir(parents=True, exist_ok=True)
    slope, intercept = tags.pop("slope", 1), tags.pop("intercept", -1024)
    first, each = tags.pop("first", 1), tags.pop("each", [{}] * len(hounsfield))
    orientation = tags.pop("ImageOrientationPatient", AXIAL)
    normal = np.cross(orientation[:3], orientation[3:])
    if places is None:
        places = [normal * step * k + FIRST for k in range(len(hounsfield))]
    for number, (plane, place, own) in enumerate(zip(hounsfield, places, each, strict=True), first):
        path = folder / f"{uid}_{number * 7 % 101:03d}_{number}"
        data = new_file(path, f"{uid}.{number}", tags.get("SOPClassUID", CTImageStorage))
        data.SeriesInstanceUID, data.InstanceNumber, data.AcquisitionNumber = uid, number, 1
        data.ImagePositionPatient = [f"{value:.6f}"[:16] for value in place]
        data.ImageOrientationPatient = [f"{value:.10f}"[:16] for value in orientation]
        data.PixelSpacing = list(pixel)
        if intercept is not None:
            data.RescaleSlope, data.RescaleIntercept = slope, intercept
        for key, value in {**tags, **own}.items():
            if value is None:
                delattr(data, key)
            else:
                setattr(data, key, value)
        set_pixels(data, np.round((plane - (intercept or 0.0)) / slope))
        data.save_as(path, enforce_file_format=True)


def item(**attributes) -> Dataset:
    """An item of a sequence."""
    data = Dataset()
    for key, value in attributes.items():
        setattr(data, key, value)
    return data


def write_enhanced(
    path: Path,
    hounsfield: np.ndarray,
    places: Sequence[tuple[float, float, float]],
    *,
    uid="1.2.3",
    pixel=(0.8, 0.7),
    rescale: Sequence[tuple[float, float]] | None = None,
    content: Sequence[dict] | None = None,
    **tags,
) -> None:
    """An enhanced CT: planes and the positions of their first pixels, in the order in which they are stored.

    Args:
        rescale: slope and intercept of each frame; None: 1 and -1024 for all, in the shared functional groups.
        content: further attributes in each frame's FrameContentSequence.
        tags: attributes of the object itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = new_file(path, f"{uid}.{path.name}", EnhancedCTImageStorage)
    data.SeriesInstanceUID, data.InstanceNumber, data.NumberOfFrames = uid, 1, len(hounsfield)
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=list(pixel), SliceThickness=2.0, SpacingBetweenSlices=2.0)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(AXIAL))],
        CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
    )
    if rescale is None:
        shared.PixelValueTransformationSequence = [item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")]
    frames, stored = [], []
    for number, (plane, place) in enumerate(zip(hounsfield, places, strict=True)):
        frame = item(PlanePositionSequence=[item(ImagePositionPatient=list(place))])
        frame.FrameContentSequence = [item(**(content[number] if content else {}))]
        slope, intercept = rescale[number] if rescale else (1, -1024)
        if rescale:
            own = item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="HU")
            frame.PixelValueTransformationSequence = [own]
        frames.append(frame)
        stored.append(np.round((plane - float(intercept)) / slope))
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    for key, value in tags.items():
        setattr(data, key, value)
    set_pixels(data, np.stack(stored))
    data.save_as(path, enforce_file_format=True)
