"""A stack of DICOM frames as one volume: in order, without doubles, at equal steps, in its true place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .formats import check_spacing
from .frames import Frame
from .passes import crowded
from .pixels import hounsfield_planes
from .planes import stacked

LONGEST_GAP = 20.0
"""mm between slices up to which missing ones are interpolated; beyond, the longest part of the stack is kept."""

MOST_CROWDED = 0.25
"""Share of slices on or close to another up to which they are taken for single doubles, not for mixed passes."""


def read_stack(stack: list[Frame], warnings: list[str]) -> tuple[sitk.Image, tuple[Frame, ...]]:
    """The volume of frames that stack, int16 in Hounsfield units, sheared if the gantry was tilted; and its frames.

    Doubles are left out, missing slices interpolated, and a stack torn by a gap over ``LONGEST_GAP`` is cut to its
    longest part; each adds a warning.

    Raises:
        SpineError: a damaged file, fewer than two slices, slices shifted sideways against each other, or several
            passes that nothing tells apart.
    """
    folder, series = stack[0].path.parent, stack[0].tags["series"]
    stack = _each_once(stack, warnings)
    if crowded(stack) > MOST_CROWDED:
        raise SpineError(
            f"{folder}: the slices of series {series} lie on or close to each other, as if two passes were mixed, and "
            "nothing in the files tells which belong together; export one pass"
        )
    stack = _longest_part(_without_doubles(stack, warnings), warnings)
    if len(stack) < 2:
        raise SpineError(f"{folder} holds a single slice of series {series}; give the whole series")
    bare = sum(not one.tags["intercept"] for one in stack)
    if 0 < bare < len(stack):
        warnings.append(f"{bare} of {len(stack)} slices state no rescale intercept; taken as 0")
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

    places, step = _equal_steps(along, warnings)
    image = stacked(_interpolated(stack, places), len(places))
    direction = np.stack([first.orientation[:3], first.orientation[3:], third], axis=1)
    image.SetDirection((direction / np.linalg.norm(direction, axis=0)).ravel().tolist())
    image.SetOrigin(first.position.tolist())
    spacing = (first.pixel[1], first.pixel[0], step / float(third @ first.normal))
    check_spacing(folder, spacing)
    image.SetSpacing(spacing)
    return image, tuple(stack)


def _each_once(stack: list[Frame], warnings: list[str]) -> list[Frame]:
    """Without copies of the same instance."""
    known: dict[tuple, Frame] = {}
    for frame in stack:
        known.setdefault((frame.tags["sop_instance"] or frame.path, frame.number), frame)
    if len(known) < len(stack):
        warnings.append(f"{len(stack) - len(known)} slices are there twice, as copies; each is read once")
    return list(known.values())


def _without_doubles(stack: list[Frame], warnings: list[str]) -> list[Frame]:
    """In order along the normal, one slice per place: that of the acquisition with most slices, then the first."""
    acquired = Counter(one.tags["acquisition"] for one in stack)

    def order(one: Frame) -> tuple:
        acquisition = one.tags["acquisition"]
        return round(one.along, 2), -acquired[acquisition], acquisition.zfill(8), one.tags["instance"].zfill(8)

    kept: list[Frame] = []
    doubled: list[float] = []
    for one in sorted(stack, key=order):
        if kept and one.along - kept[-1].along < 0.011:
            doubled.append(one.along)
        else:
            kept.append(one)
    if doubled:
        warnings.append(f"{len(doubled)} slices lie where another does and are left out (at {_some(doubled)})")
    return kept


def _longest_part(stack: list[Frame], warnings: list[str]) -> list[Frame]:
    breaks = [i for i in range(1, len(stack)) if stack[i].along - stack[i - 1].along > LONGEST_GAP]
    parts = [stack[start:stop] for start, stop in zip([0, *breaks], [*breaks, len(stack)], strict=True)]
    longest = max(parts, key=len)
    if len(parts) > 1:
        warnings.append(
            f"gaps over {LONGEST_GAP:g} mm tear the series; only its longest part is used "
            f"({len(longest)} of {len(stack)} slices, {longest[0].along:g} to {longest[-1].along:g} mm)"
        )
    return longest


def _equal_steps(along: np.ndarray, warnings: list[str]) -> tuple[np.ndarray, float]:
    """Where planes at equal steps, from the first to the last slice, lie among the slices, and the step in mm.

    A place is the number of a slice where one lies there, and a fraction between two of them elsewhere.
    """
    gaps = np.diff(along)
    step = (along[-1] - along[0]) / np.maximum(np.round(gaps / np.median(gaps)), 1).sum()
    targets = along[0] + step * np.arange(round((along[-1] - along[0]) / step) + 1)
    if len(targets) == len(along) and np.abs(along - targets).max() < 0.1 * step:
        return np.arange(len(along), dtype=float), step
    between = np.interp(targets, along, np.arange(len(along)))
    nearest = np.round(between).astype(int)
    # Positions in files are rounded, too.
    places = np.where(np.abs(along[nearest] - targets) < 0.1 * step, nearest, between)
    made = targets[places != nearest]
    warnings.append(f"slices missing or at unequal steps: {len(made)} interpolated (at {_some(made)})")
    return places, step


def _interpolated(stack: list[Frame], places: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The planes at the places among the slices (see :func:`_equal_steps`); between two slices linear."""
    used: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for number, place in enumerate(places):
        below, weight = int(place), place % 1
        used[below].append((number, 1 - weight))
        if weight:
            used[below + 1].append((number, weight))
    halves: dict[int, np.ndarray] = {}
    slices = sorted(used)
    for position, plane in hounsfield_planes([stack[number] for number in slices]):
        for number, weight in used[slices[position]]:
            if weight == 1:
                yield number, plane
            elif number in halves:
                yield number, np.rint(halves.pop(number) + weight * plane).astype(np.int16)
            else:
                halves[number] = weight * plane


def _some(places: np.ndarray | list[float]) -> str:
    """Where something is along the normal, the first five places."""
    shown = ", ".join(f"{place:g}" for place in np.round(places[:5], 2))
    return f"{shown}{', ...' if len(places) > 5 else ''} mm"
