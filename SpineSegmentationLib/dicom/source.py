"""The DICOM series that a result was made from: what its results refer to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import SpineError
from ..foreign.planes import Plane, frames_of, plane_of
from ..io.ct import Scan


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The images of one series, without their pixels, one for each place, in the order of their normal.

    Attributes:
        images: one for each slice, or one multi-frame image.
        planes: of every frame.
    """

    images: tuple[Dataset, ...]
    planes: tuple[Plane, ...]

    @property
    def frame_of_reference(self) -> str:
        return str(self.images[0].get("FrameOfReferenceUID", ""))

    @property
    def patient(self) -> str:
        return str(self.images[0].get("PatientID", "") or "")


def source_of(scan: Scan, path: Path) -> SourceSeries:
    """The series that a scan was read from.

    Args:
        scan: what was read.
        path: from where: a folder, or one multi-frame file.

    Raises:
        SpineError: it was not read from DICOM, or a header is not what it was.
    """
    uid = re.search(r": series ([\d.]+)", scan.source)
    if uid is None:
        raise SpineError(f"{path} is not DICOM, and a DICOM result must refer to its images; give the DICOM folder")
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    images = [image for image in map(_header, files) if image is not None and image.get("SeriesInstanceUID") == uid[1]]
    if len(images) == 1 and "NumberOfFrames" in images[0]:
        return SourceSeries(tuple(images), tuple(frames_of(images[0])))
    placed = [(plane_of(image), image) for image in images if "ImagePositionPatient" in image]
    if not placed:
        raise SpineError(f"{path}: no image of series {uid[1]} states where it lies")
    normal = placed[0][0].normal
    placed.sort(key=lambda one: (round(float(one[0].position @ normal), 2), str(one[1].get("InstanceNumber", ""))))
    kept: list[tuple[Plane, Dataset]] = []
    for plane, image in placed:
        # One image for each place, as in the volume.
        if not kept or (plane.position - kept[-1][0].position) @ normal > 0.011:
            kept.append((plane, image))
    return SourceSeries(tuple(image for _, image in kept), tuple(plane for plane, _ in kept))


def _header(file: Path) -> Dataset | None:
    try:
        image = pydicom.dcmread(file, stop_before_pixels=True)
        return image if "Rows" in image else None
    except (InvalidDicomError, OSError, EOFError):
        return None
