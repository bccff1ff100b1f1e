"""DICOM folders: the series that looks like the spine CT, as one volume with the right geometry."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import SpineError
from .image_files import check_spacing

CT_IMAGE, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
"""SOP classes (DICOM PS3.4 B.5); the first also begins the class of enhanced, multi-frame CT."""

LONGEST_GAP = 20.0
"""mm between slices up to which missing ones are interpolated; beyond, the longer part of the stack is kept."""


@dataclass(frozen=True)
class _Slice:
    """The header of one file. ``position`` is the centre of the first pixel, ``along`` its place on the normal (mm)."""

    path: Path
    tags: dict[str, str]
    size: tuple[int, int]
    frames: int
    orientation: np.ndarray
    position: np.ndarray
    pixel: tuple[float, ...]

    @property
    def normal(self) -> np.ndarray:
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    @property
    def along(self) -> float:
        return float(self.position @ self.normal)

    @property
    def stack(self) -> tuple:
        """What all slices of one stack have in common."""
        return self.tags["series"], self.size, self.frames > 1, *np.round(self.orientation, 2), *np.round(self.pixel, 3)


TAGS = {
    "sop_class": "0008|0016",
    "series": "0020|000e",
    "modality": "0008|0060",
    "description": "0008|103e",
    "protocol": "0018|1030",
    "kernel": "0018|1210",
    "type": "0008|0008",
    "acquisition": "0020|0012",
    "instance": "0020|0013",
    "position": "0020|0032",
    "orientation": "0020|0037",
    "pixel": "0028|0030",
}


def is_dicom(path: Path) -> bool:
    """Whether a file claims to be a DICOM object (by name or first bytes), the directory file DICOMDIR apart."""
    if path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    # Old files begin at once with group 0008.
    return start[128:] == b"DICM" or (start[:2] == b"\x08\x00" and start[2:4] in (b"\0\0", b"\1\0", b"\5\0", b"\x08\0"))


def stays_inside(path: Path, folder: Path) -> bool:
    """Whether a path found in the folder is no link that leads out of it."""
    return not path.is_symlink() or path.resolve().is_relative_to(folder.resolve())


def read_series(path: Path, series: str | None, force: bool, warnings: list[str]) -> tuple[sitk.Image, str]:
    """The volume of the chosen series, in the units of its rescale slope and intercept, and the choice in words.

    The stack is uniform: missing slices are interpolated and duplicates left out, each with a warning. With a tilted
    gantry the axes of the image are sheared, as the slices lay in space.

    Args:
        path: a folder, or one multi-frame file.
        series: Series Instance UID; None: the CT series that covers most along the body, then a spine in its
            description, the thinner slices, a bone kernel, the smaller pixels.
        force: take other modalities than CT too.

    Raises:
        SpineError: no CT series, no such series, a damaged file, slices that make no stack.
    """
    stacks = _stacks(path)
    known = {uid: _describe(stack) for (uid, *_), stack in stacks.items()}
    listed = "; ".join(f"{uid} ({words})" for uid, words in known.items()) or "none"
    if series and series not in known:
        raise SpineError(f"{path} has no series {series}; it has {listed}")
    candidates = [
        stack for (uid, *_), stack in stacks.items() if (not series or uid == series) and _is_ct(stack, force)
    ]
    if not candidates:
        only_ct = "" if force else "CT "
        raise SpineError(f"{path} holds no {only_ct}series of several slices; found {listed}")
    chosen = max(candidates, key=lambda stack: _merit(stack, candidates))
    others = len({stack[0].tags["series"] for stack in candidates}) - 1
    choice = "as asked" if series else f"chosen from {others + 1} CT series" if others else "the only CT series"
    image = _read_stack(path, chosen, warnings)
    return image, f"{path}: series {chosen[0].tags['series']} ({_describe(chosen)}), {choice}"


def _stacks(path: Path) -> dict[tuple, list[_Slice]]:
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
        files = [file for file in files if stays_inside(file, path) and is_dicom(file)]
    if not files:
        raise SpineError(f"{path} holds no DICOM files (links that lead out of the folder are not followed)")
    stacks = defaultdict(list)
    for file in files:
        if header := _header(file):
            stacks[header.stack].append(header)
    return {key: stacks[key] for key in sorted(stacks, key=str)}


def _header(path: Path) -> _Slice | None:
    """The header of one file; None for an object that is no image in space (report, capture, presentation)."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        start = path.read_bytes()[:1024]
        if start[128:132] != b"DICM" or CT_IMAGE.encode() + b"\0" in start:
            raise SpineError(f"{path} is a truncated or damaged DICOM file; copy or export it again") from error
        return None
    present = reader.GetMetaDataKeys()
    tags = {name: reader.GetMetaData(key).strip(" \0") if key in present else "" for name, key in TAGS.items()}
    size = reader.GetSize()
    frames = size[2] if len(size) > 2 else 1
    position, orientation, pixel = (_numbers(tags[name]) for name in ("position", "orientation", "pixel"))
    if frames > 1 and len(position) != 3:
        # Enhanced objects keep the geometry per frame; GDCM has read it.
        direction = np.reshape(reader.GetDirection(), (len(size),) * 2)
        position, orientation = np.array(reader.GetOrigin()[:3]), direction[:3, :2].T.ravel()
    if len(position) != 3 or len(orientation) != 6 or not np.linalg.norm(np.cross(orientation[:3], orientation[3:])):
        return None
    pixel = tuple(pixel) if len(pixel) == 2 else reader.GetSpacing()[:2]
    return _Slice(path, tags, size[:2], frames, orientation, position, pixel)


def _numbers(text: str) -> np.ndarray:
    try:
        return np.array([float(part) for part in text.split("\\")])
    except ValueError:
        return np.array([])


def _describe(stack: list[_Slice]) -> str:
    tags = stack[0].tags
    words = [tags["modality"], tags["description"], tags["kernel"], f"{sum(one.frames for one in stack)} slices"]
    return ", ".join(word for word in words if word)


def _is_ct(stack: list[_Slice], force: bool) -> bool:
    tags = stack[0].tags
    if sum(one.frames for one in stack) < 2 or tags["sop_class"] == SECONDARY_CAPTURE:
        return False
    return force or (tags["modality"] == "CT" and "LOCALIZER" not in tags["type"].upper())


def _merit(stack: list[_Slice], candidates: list[list[_Slice]]) -> tuple:
    """The larger, the likelier this is the CT of the spine to work on."""
    tags = stack[0].tags
    words = " ".join(tags[name] for name in ("description", "protocol")).lower()
    places = len({round(one.along, 2) for one in stack}) if stack[0].frames == 1 else stack[0].frames
    longest = max(_coverage(other) for other in candidates)
    step = _extent(stack) / max(places - 1, 1)
    return (
        _coverage(stack) >= 0.8 * longest,
        bool(re.search(r"spine|spinal|vertebr|wirbel|lumb|thorac|cervic|\b[clt]sp|\b[hbl]ws", words)),
        # Slices thinner than 1.5 mm are all alike for the networks.
        -max(round(step, 1), 1.5),
        bool(re.search(r"bone|knochen|osteo", f"{words} {tags['kernel'].lower()}")),
        -round(max(stack[0].pixel), 1),
        places,
    )


def _extent(stack: list[_Slice]) -> float:
    """mm from the first to the last slice."""
    along = [one.along for one in stack]
    return max(along) - min(along) if stack[0].frames == 1 else float(stack[0].frames)


def _coverage(stack: list[_Slice]) -> float:
    """mm along the body (head to feet) that the stack covers."""
    one = stack[0]
    edges = np.array([one.orientation[2] * one.size[0] * one.pixel[1], one.orientation[5] * one.size[1] * one.pixel[0]])
    return float(np.abs([*edges, one.normal[2] * _extent(stack)]).sum())


def _read_stack(path: Path, stack: list[_Slice], warnings: list[str]) -> sitk.Image:
    if stack[0].frames > 1:
        return _read([stack[0].path])
    stack = _without_duplicates(stack, warnings)
    stack = _longest_part(stack, warnings)
    if len(stack) < 2:
        raise SpineError(f"{path} holds a single slice of series {stack[0].tags['series']}; give the whole series")
    along = np.array([one.along for one in stack])
    counts = np.concatenate([[0], np.cumsum(np.maximum(np.round(np.diff(along) / np.median(np.diff(along))), 1))])
    step = (along[-1] - along[0]) / counts[-1]
    track = stack[-1].position - stack[0].position
    sideways = np.array([one.position - stack[0].position for one in stack])
    sideways -= np.outer((along - along[0]) / (along[-1] - along[0]), track)
    sideways -= np.outer(sideways @ stack[0].normal, stack[0].normal)
    if np.abs(sideways).max() > max(2.0, *stack[0].pixel):
        raise SpineError(
            f"{path}: the slices of series {stack[0].tags['series']} are shifted sideways against each other; "
            "choose another with --series or reconstruct it with one centre"
        )
    across = track / np.linalg.norm(track)
    tilt = np.degrees(np.arccos(min(across @ stack[0].normal, 1.0)))
    # Below a tenth of a degree it is rounding of the positions in the file.
    third = across if tilt > 0.1 else stack[0].normal
    image = _read([one.path for one in stack])
    if np.abs(along - along[0] - step * np.arange(len(stack))).max() > 0.1 * step:
        image = _uniform(image, along, step, warnings)
    direction = np.stack([stack[0].orientation[:3], stack[0].orientation[3:], third], axis=1)
    image.SetDirection((direction / np.linalg.norm(direction, axis=0)).ravel().tolist())
    image.SetOrigin(stack[0].position.tolist())
    image.SetSpacing((stack[0].pixel[1], stack[0].pixel[0], step / float(third @ stack[0].normal)))
    check_spacing(path, image.GetSpacing())
    return image


def _read(paths: list[Path]) -> sitk.Image:
    try:
        return sitk.ReadImage([str(path) for path in paths] if len(paths) > 1 else str(paths[0]))
    except RuntimeError as error:
        for path in paths:
            try:
                sitk.ReadImage(str(path))
            except RuntimeError:
                raise SpineError(f"{path} is a truncated or damaged DICOM file; copy or export it again") from error
        raise SpineError(f"{paths[0].parent}: its slices do not fit together; export the series again") from error


def _without_duplicates(stack: list[_Slice], warnings: list[str]) -> list[_Slice]:
    """In order along the normal, one slice per place: that of the acquisition with most slices, then the first."""
    sizes = Counter(one.tags["acquisition"] for one in stack)

    def preference(one: _Slice) -> tuple:
        return -sizes[one.tags["acquisition"]], one.tags["acquisition"], one.tags["instance"].zfill(8), one.path

    kept: list[_Slice] = []
    for one in sorted(stack, key=lambda one: (round(one.along, 2), preference(one))):
        if not kept or one.along - kept[-1].along > 0.011:
            kept.append(one)
    if doubled := len(stack) - len(kept):
        places = [place for place, count in Counter(round(one.along, 2) for one in stack).items() if count > 1]
        warnings.append(f"{doubled} slices lie where another does, left out (at {_some(sorted(places))})")
    return kept


def _longest_part(stack: list[_Slice], warnings: list[str]) -> list[_Slice]:
    breaks = [i for i in range(1, len(stack)) if stack[i].along - stack[i - 1].along > LONGEST_GAP]
    if not breaks:
        return stack
    parts = [stack[start:stop] for start, stop in zip([0, *breaks], [*breaks, len(stack)], strict=True)]
    longest = max(parts, key=len)
    if len(longest) > 1:
        warnings.append(
            f"the series is torn by gaps over {LONGEST_GAP:g} mm; only its longest part is used "
            f"({len(longest)} of {len(stack)} slices, {longest[0].along:g} to {longest[-1].along:g} mm)"
        )
    return longest if len(longest) > 1 else stack


def _uniform(image: sitk.Image, along: np.ndarray, step: float, warnings: list[str]) -> sitk.Image:
    """The slices at equal steps from the first to the last, linear between the two neighbours where none lies."""
    targets = along[0] + step * np.arange(round((along[-1] - along[0]) / step) + 1)
    between = np.interp(targets, along, np.arange(len(along)))
    # A slice closer than a twentieth of the step is taken as it is.
    distance = np.abs(along[np.round(between).astype(int)] - targets)
    between = np.where(distance < 0.05 * step, np.round(between), between)
    slices = sitk.GetArrayViewFromImage(image)
    result = np.empty((len(targets), *slices.shape[1:]), slices.dtype)
    for plane, place in zip(result, between, strict=True):
        below, weight = int(place), place - int(place)
        plane[:] = slices[below] if not weight else (1 - weight) * slices[below] + weight * slices[below + 1] + 0.0
    made = targets[between != np.round(between)]
    warnings.append(f"missing slices or unequal steps: {len(made)} slices interpolated (at {_some(made)})")
    return sitk.GetImageFromArray(result)


def _some(places: np.ndarray | list[float]) -> str:
    shown = ", ".join(f"{place:g}" for place in np.round(places[:5], 2))
    return f"{shown}{', ...' if len(places) > 5 else ''} mm"
