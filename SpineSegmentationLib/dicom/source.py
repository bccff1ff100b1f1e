"""The DICOM series that a result was made from: what its results refer to."""

from __future__ import annotations

from dataclasses import dataclass

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import SpineError
from ..foreign.planes import Plane
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
