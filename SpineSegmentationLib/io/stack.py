"""A stack of DICOM slices as one volume: in order, without doubles, at equal steps, in its true place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .image_files import DAMAGED, check_spacing

LONGEST_GAP = 20.0
"""mm between slices up to which missing ones are interpolated; beyond, the longest part of the stack is kept."""


@dataclass(frozen=True)
class Slice:
    """The header of one DICOM image.

    Attributes:
        tags: the texts that choose among series, by name.
        size: columns, rows.
        frames: 1, or more in a multi-frame file; these are ``depth`` mm deep from the first to the last.
        orientation: the directions of a row and of a column (LPS), six numbers.
        position: the centre of the first pixel, LPS mm.
        pixel: mm between rows, between columns.
    """

    path: Path
    tags: dict[str, str]
    size: tuple[int, int]
    frames: int
    depth: float
    orientation: np.ndarray
    position: np.ndarray
    pixel: tuple[float, float]

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the slice."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    @property
    def along(self) -> float:
        """The place on the normal, mm."""
        return float(self.position @ self.normal)

    def stacks_with(self, other: Slice) -> bool:
        """Whether both may be slices of one volume."""
        return (
            self.tags["series"] == other.tags["series"]
            and self.size == other.size
            and self.frames == other.frames == 1
            and np.allclose(self.orientation, other.orientation, atol=0.01)
            and np.allclose(self.pixel, other.pixel, rtol=0.01)
        )


def read_stack(stack: list[Slice], warnings: list[str]) -> sitk.Image:
    """The volume of slices that stack, or of one multi-frame file; sheared if the gantry was tilted.

    Doubles are left out, missing slices interpolated, and a stack torn by a gap over ``LONGEST_GAP`` is cut to its
    longest part; each adds a warning.

    Raises:
        SpineError: a damaged file, fewer than two slices, or slices shifted sideways against each other.
    """
    folder, series = stack[0].path.parent, stack[0].tags["series"]
    if stack[0].frames > 1:
        return _read_pixels([stack[0].path])
    stack = _longest_part(_without_doubles(stack, warnings), warnings)
    if len(stack) < 2:
        raise SpineError(f"{folder} holds a single slice of series {series}; give the whole series")
    first, last = stack[0], stack[-1]
    along = np.array([one.along for one in stack])
    track = last.position - first.position
    expected = first.position + np.outer((along - along[0]) / (along[-1] - along[0]), track)
    if np.abs([one.position for one in stack] - expected).max() > max(2.0, *first.pixel):
        raise SpineError(f"{folder}: slices of series {series} are shifted sideways; reconstruct it with one centre")
    drift = np.linalg.norm(np.cross(track, first.normal))
    # Less than that is rounding of the positions in the file.
    tilted = drift > max(0.002 * np.linalg.norm(track), 0.5 * min(first.pixel))
    third = track / np.linalg.norm(track) if tilted else first.normal

    image, step = _at_equal_steps(_read_pixels([one.path for one in stack]), along, warnings)
    direction = np.stack([first.orientation[:3], first.orientation[3:], third], axis=1)
    image.SetDirection((direction / np.linalg.norm(direction, axis=0)).ravel().tolist())
    image.SetOrigin(first.position.tolist())
    image.SetSpacing((first.pixel[1], first.pixel[0], step / float(third @ first.normal)))
    check_spacing(folder, image.GetSpacing())
    return image


def _read_pixels(paths: list[Path]) -> sitk.Image:
    try:
        if len(paths) == 1:
            return sitk.ReadImage(str(paths[0]))
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(paths[0]))
        reader.ReadImageInformation()
        # A fractional rescale slope would make the volume float64.
        wide = reader.GetPixelID() == sitk.sitkFloat64
        return sitk.ReadImage([str(path) for path in paths], sitk.sitkFloat32 if wide else sitk.sitkUnknown)
    except RuntimeError as error:
        for path in paths:
            try:
                sitk.ReadImage(str(path))
            except RuntimeError:
                raise SpineError(f"{path} {DAMAGED}") from error
        raise SpineError(f"{paths[0].parent}: its slices do not fit together; export the series again") from error


def _without_doubles(stack: list[Slice], warnings: list[str]) -> list[Slice]:
    """In order along the normal, one slice per place: that of the acquisition with most slices, then the first."""
    acquired = Counter(one.tags["acquisition"] for one in stack)

    def order(one: Slice) -> tuple:
        acquisition = one.tags["acquisition"]
        return round(one.along, 2), -acquired[acquisition], acquisition.zfill(8), one.tags["instance"].zfill(8)

    kept: list[Slice] = []
    doubled: list[float] = []
    for one in sorted(stack, key=order):
        if kept and one.along - kept[-1].along < 0.011:
            doubled.append(one.along)
        else:
            kept.append(one)
    if doubled:
        warnings.append(f"{len(doubled)} slices lie where another does and are left out (at {_some(doubled)})")
    return kept


def _longest_part(stack: list[Slice], warnings: list[str]) -> list[Slice]:
    breaks = [i for i in range(1, len(stack)) if stack[i].along - stack[i - 1].along > LONGEST_GAP]
    parts = [stack[start:stop] for start, stop in zip([0, *breaks], [*breaks, len(stack)], strict=True)]
    longest = max(parts, key=len)
    if len(parts) > 1:
        warnings.append(
            f"gaps over {LONGEST_GAP:g} mm tear the series; only its longest part is used "
            f"({len(longest)} of {len(stack)} slices, {longest[0].along:g} to {longest[-1].along:g} mm)"
        )
    return longest


def _at_equal_steps(image: sitk.Image, along: np.ndarray, warnings: list[str]) -> tuple[sitk.Image, float]:
    """The volume at equal steps from its first to its last slice, and the step in mm.

    Slices keep their voxels where they lie on the steps; between them, the two neighbours are interpolated (linear).
    """
    gaps = np.diff(along)
    step = (along[-1] - along[0]) / np.maximum(np.round(gaps / np.median(gaps)), 1).sum()
    targets = along[0] + step * np.arange(round((along[-1] - along[0]) / step) + 1)
    if len(targets) == len(along) and np.abs(along - targets).max() < 0.1 * step:
        return image, step
    between = np.interp(targets, along, np.arange(len(along)))
    nearest = np.round(between).astype(int)
    # Positions in files are rounded, too.
    between = np.where(np.abs(along[nearest] - targets) < 0.1 * step, nearest, between)
    slices = sitk.GetArrayViewFromImage(image)
    result = np.empty((len(targets), *slices.shape[1:]), slices.dtype)
    for plane, place in zip(result, between, strict=True):
        below, weight = int(place), place - int(place)
        plane[:] = np.rint((1 - weight) * slices[below] + weight * slices[below + 1]) if weight else slices[below]
    made = targets[between != nearest]
    warnings.append(f"slices missing or at unequal steps: {len(made)} interpolated (at {_some(made)})")
    return sitk.GetImageFromArray(result), step


def _some(places: np.ndarray | list[float]) -> str:
    """Where something is along the normal, the first five places."""
    shown = ", ".join(f"{place:g}" for place in np.round(places[:5], 2))
    return f"{shown}{', ...' if len(places) > 5 else ''} mm"
