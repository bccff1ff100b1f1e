"""A DICOM segmentation (SEG) of anybody as named segments on a grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ..anatomy import Level
from ..errors import SpineError
from ..grid import Grid
from ..segmentation.mask import Piece
from .masks import ForeignMask, ForeignSegment, level_of_segment
from .names import level_of_code
from .planes import Plane, frames_of

SEG, LABELMAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
"""SOP classes, PS3.4 B.5."""


def read_seg(path: str | Path) -> ForeignMask:
    """The vertebrae of a SEG: binary, fractional (one half and more counts) or a label map; by code, then by label.

    Raises:
        SpineError: no SEG, damaged, no geometry of the patient, planes that make no volume, no vertebra.
    """
    try:
        seg = pydicom.dcmread(path)
        if str(seg.get("SOPClassUID")) not in (SEG, LABELMAP):
            raise SpineError(f"{path} is DICOM, but no segmentation (SEG); give the SEG")
        pixels = seg.pixel_array
        planes = frames_of(seg)
    except SpineError:
        raise
    except Exception as error:
        # Damaged DICOM fails in pydicom in many ways.
        raise SpineError(f"{path} is no complete DICOM segmentation: {error}; export it again") from error
    pixels = pixels.reshape(len(planes), *pixels.shape[-2:])
    grid, depth = _grid(planes, path)
    notes: list[str] = []
    segments, others = [], []
    for number, name, level in _described(seg, notes):
        if level is None:
            others.append(name)
            continue
        chosen = [frame for frame, _ in enumerate(planes) if _number(seg, frame) in (None, number)]
        voxels = np.zeros(grid.size[::-1], bool)
        for frame in chosen:
            voxels[depth[frame]] |= _inside(seg, pixels[frame], number)
        segments.append(ForeignSegment(name, level, Piece.of(voxels, (0, 0, 0))))
    return ForeignMask(
        grid,
        tuple(segments),
        str(path),
        tuple(others),
        tuple(notes),
        str(seg.get("FrameOfReferenceUID", "")),
        str(seg.get("PatientID", "") or ""),
    )


def _described(seg: Dataset, notes: list[str]) -> list[tuple[int, str, Level | None]]:
    """Number, label and vertebra of each segment."""
    described = []
    for item in seg.SegmentSequence:
        name = str(item.get("SegmentLabel", "") or f"segment {item.SegmentNumber}")
        kind = item.SegmentedPropertyTypeCodeSequence[0] if item.get("SegmentedPropertyTypeCodeSequence") else Dataset()
        modifier = kind.get("SegmentedPropertyTypeModifierCodeSequence") or item.get(
            "SegmentedPropertyTypeModifierCodeSequence"
        )
        coded = _level_of(modifier[0]) if modifier else None
        coded = coded if coded is not None else _level_of(kind)
        described.append((int(item.SegmentNumber), name, level_of_segment(name, coded, notes)))
    return described


def _level_of(code: Dataset) -> Level | None:
    texts = (str(code.get(name, "")) for name in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning"))
    return level_of_code(*texts)


def _number(seg: Dataset, frame: int) -> int | None:
    """The segment that a frame is of; None in a label map, whose frames hold all."""
    groups = seg.PerFrameFunctionalGroupsSequence[frame]
    for place in (groups, seg.SharedFunctionalGroupsSequence[0]):
        if "SegmentIdentificationSequence" in place:
            return int(place.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    return None


def _inside(seg: Dataset, pixels: np.ndarray, number: int) -> np.ndarray:
    if str(seg.SOPClassUID) == LABELMAP or seg.SegmentationType == "LABELMAP":
        return pixels == number
    if seg.SegmentationType == "FRACTIONAL":
        return 2 * pixels.astype(int) >= int(seg.MaximumFractionalValue)
    return pixels != 0


def _grid(planes: list[Plane], path: str | Path) -> tuple[Grid, np.ndarray]:
    """The volume that the planes make, sheared if they are shifted, and the slice of it that each plane is."""
    first = planes[0]
    orientations, pixels = [one.orientation for one in planes], [one.pixel for one in planes]
    if not (np.ptp(orientations, axis=0).max() < 1e-3 and np.allclose(pixels, first.pixel, rtol=1e-3)):
        raise SpineError(f"{path} has planes of different orientation or pixel size; they make no volume")
    normal = first.normal / np.linalg.norm(first.normal)
    along = np.array([plane.position @ normal for plane in planes])
    places = np.unique(np.round(along, 2))
    step = float(np.diff(places).min()) if len(places) > 1 else 1.0
    exact = (along - along.min()) / step
    depth = np.rint(exact).astype(int)
    if np.abs(exact - depth).max() > 0.2:
        # Rounding of the places adds up over many slices: the step is refined by all of them.
        step *= float(np.ptp(exact) / depth.max())
        exact = (along - along.min()) / step
        depth = np.rint(exact).astype(int)
    if np.abs(exact - depth).max() > 0.2:
        raise SpineError(f"{path} has planes at unequal steps; they make no volume")
    lowest, highest = planes[int(along.argmin())], planes[int(along.argmax())]
    count = int(depth.max()) + 1
    third = (highest.position - lowest.position) / (count - 1) if count > 1 else normal * step
    axes = np.stack([first.orientation[:3], first.orientation[3:], third / np.linalg.norm(third)], axis=1)
    spacing = (first.pixel[1], first.pixel[0], float(np.linalg.norm(third)))
    direction = tuple((axes / np.linalg.norm(axes, axis=0)).ravel().tolist())
    return Grid((*first.size, count), spacing, tuple(lowest.position.tolist()), direction), depth
