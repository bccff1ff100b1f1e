"""The DICOM series that a result was made from: what its results refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import SpineError
from ..foreign.planes import Plane, frames_of
from ..io.ct import Scan


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The images that a volume was made of, without their pixels, one for each place, in the order of their normal.

    Attributes:
        images: one for each slice, or one multi-frame image, reduced to the frames that the volume was made of.
        planes: of every image or frame.
        numbers: of the frames in their file, from 1; empty for single-frame images.
    """

    images: tuple[Dataset, ...]
    planes: tuple[Plane, ...]
    numbers: tuple[int, ...] = ()

    @property
    def frame_of_reference(self) -> str:
        return str(self.images[0].get("FrameOfReferenceUID", ""))

    @property
    def patient(self) -> str:
        return str(self.images[0].get("PatientID", "") or "")


def source_of(scan: Scan) -> SourceSeries:
    """What a scan was read from: of a series that holds several passes, the images of the one that was read.

    Raises:
        SpineError: it was not read from DICOM, an image is not there any more, or its frames are parted over several
            multi-frame images.
    """
    if not scan.frames:
        raise SpineError(f"{scan.source} is not DICOM, and a DICOM result must refer to its images; give the folder")
    paths = list(dict.fromkeys(frame.path for frame in scan.frames))
    try:
        images = tuple(pydicom.dcmread(path, stop_before_pixels=True) for path in paths)
    except (InvalidDicomError, OSError, EOFError) as error:
        raise SpineError(f"{scan.source}: an image has changed since it was read: {error}") from error
    planes = tuple(Plane(one.position, one.orientation, one.pixel, one.size) for one in scan.frames)
    if all(frame.single for frame in scan.frames):
        return SourceSeries(images, planes)
    if len(images) > 1:
        raise SpineError(f"{scan.source}: a DICOM result refers to one multi-frame image, and these are {len(images)}")
    (image,) = images
    groups = image.PerFrameFunctionalGroupsSequence
    image.PerFrameFunctionalGroupsSequence = [groups[frame.number] for frame in scan.frames]
    image.NumberOfFrames = len(planes)
    return SourceSeries(images, planes, tuple(frame.number + 1 for frame in scan.frames))


APART = 0.011
"""mm: images nearer than this show the same place."""


def source_of_files(paths: Sequence[Path]) -> SourceSeries:
    """The series whose images lie in these files, as an application knows them that has read the volume itself.

    Args:
        paths: of all its images, in any order; or of one multi-frame image.

    Raises:
        SpineError: no file, one that is no DICOM image, or several multi-frame images.
    """
    if not paths:
        raise SpineError("no image of the series is known, and a DICOM result must refer to its images")
    try:
        images = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
        many = [image for image in images if "PerFrameFunctionalGroupsSequence" in image]
        if many and len(images) > 1:
            raise SpineError(f"a DICOM result refers to one multi-frame image, and these are {len(images)}")
        if many:
            planes = frames_of(many[0])
            return SourceSeries((many[0],), tuple(planes), tuple(range(1, len(planes) + 1)))
        placed = [(_plane_of(image), image) for image in images]
    except (InvalidDicomError, OSError, EOFError, AttributeError) as error:
        raise SpineError(f"{Path(paths[0]).parent}: an image cannot be read, or states no place: {error}") from error
    normal = placed[0][0].normal
    placed.sort(key=lambda one: (round(float(one[0].position @ normal), 2), str(one[1].get("InstanceNumber", ""))))
    kept = placed[:1]
    for plane, image in placed[1:]:
        if (plane.position - kept[-1][0].position) @ normal > APART:
            kept.append((plane, image))
    return SourceSeries(tuple(image for _, image in kept), tuple(plane for plane, _ in kept))


def _plane_of(image: Dataset) -> Plane:
    pixel = image.PixelSpacing
    return Plane(
        np.array(image.ImagePositionPatient, float),
        np.array(image.ImageOrientationPatient, float),
        (float(pixel[0]), float(pixel[1])),
        (int(image.Columns), int(image.Rows)),
    )
