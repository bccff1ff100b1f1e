"""A result of a scene as DICOM SEG, on the images that its volume was loaded from. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from ..grid import Grid
from ..segmentation.mask import paint
from .logic import SpineLogic
from .mrml.result import Result

INSTANCES = "DICOM.instanceUIDs"
"""Attribute of a volume that Slicer loaded from DICOM: the UIDs of its images."""


def images_of(result: Result, file_of: Callable[[str], str]) -> list[Path]:
    """The files of the images that a volume was loaded from.

    Args:
        file_of: the file of an image in Slicer's DICOM database by its UID; "" where it is not there.

    Raises:
        SpineError: it was not loaded from DICOM, lies under a transform, or images are missing from database or disk.
    """
    volume = result.required_volume()
    if volume.GetParentTransformNode() is not None:
        raise SpineError(f"{volume.GetName()} lies under a transform, not on its images; take it out and start over")
    instances = (volume.GetAttribute(INSTANCES) or "").split()
    if not instances:
        raise SpineError(
            f"{volume.GetName()} was not loaded from DICOM, and a DICOM SEG must refer to its images; "
            "load the series with the module DICOM"
        )
    files = [Path(name) for name in map(file_of, instances) if name and Path(name).is_file()]
    if len(files) < len(instances):
        raise SpineError(
            f"{len(instances) - len(files)} of the {len(instances)} images of {volume.GetName()} are not in the DICOM "
            "database any more; import their folder in the module DICOM"
        )
    return list(dict.fromkeys(files))


def lies_on(grid: Grid, planes: list[sitk.Image]) -> bool:
    """Whether a grid holds the planes of a series, or is a part of it along the same axes; to within a voxel."""
    corners = ((one, at) for one in planes for at in ((0, 0, 0), [n - 1 for n in one.GetSize()]))
    ends = np.array([[*one.TransformIndexToPhysicalPoint(at), 1] for one, at in corners])
    places = (np.linalg.inv(grid.to_lps) @ ends.T)[:3].T
    low, high, size = places.min(0), places.max(0), np.array(grid.size)
    turned = np.reshape(grid.direction, (3, 3)).T @ np.reshape(planes[0].GetDirection(), (3, 3))
    part = np.allclose(turned, np.rint(turned), atol=1e-3) and np.all(low < 1) and np.all(high > size - 2)
    return bool(part or (np.all(low > -1) and np.all(high < size)))


def export_seg(logic: SpineLogic, result: Result, path: str | Path, files: list[Path]) -> list[Path]:
    """Writes the segments as one DICOM SEG that refers to the images; returns its path.

    Args:
        files: as :func:`images_of`.

    Raises:
        SpineError: no segment, the volume does not lie on its images any more, or as in :mod:`dicom`.
        ImportError: highdicom is missing.
    """
    from ..dicom.seg import Algorithm, segmentation, write_dicom
    from ..dicom.source import source_of_files

    record = logic.settled(result)
    pieces, grid = record.segments.pieces()
    by_hand = bool(record.segments.edited) or any(vertebra.by_person for vertebra in logic.vertebrae(result))
    algorithm = Algorithm(f"Spine Segmentation, {record.system}", "SEMIAUTOMATIC" if by_hand else "AUTOMATIC")
    source = source_of_files(files)
    if not lies_on(grid, [plane.image() for plane in source.planes]):
        name = result.required_volume().GetName()
        raise SpineError(f"{name} does not lie on its images, as after a transform was hardened; load the series again")
    made = segmentation(source, paint(pieces, grid.image()), algorithm)
    write_dicom(made, path)
    return [Path(path)]
