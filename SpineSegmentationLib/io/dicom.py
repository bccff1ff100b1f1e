"""DICOM folders: which series in them looks like the spine CT."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .image_files import DAMAGED
from .stack import Slice, read_stack

CT_IMAGE, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
"""SOP classes (DICOM PS3.4 B.5); with ``.1`` behind it the first is enhanced, multi-frame CT."""

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

SPINE_WORDS = r"spine|spinal|vertebr|wirbel|lumb|thorac|cervic|\b[clt]sp|\b[hbl]ws"
BONE_WORDS = r"bone|knochen|osteo"


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
    return start[128:] == b"DICM" or (start[:2] == b"\x08\0" and start[2:4] in (b"\0\0", b"\1\0", b"\5\0", b"\x08\0"))


def stays_inside(path: Path, folder: Path) -> bool:
    """Whether a path found in the folder is no link that leads out of it."""
    return not path.is_symlink() or path.resolve().is_relative_to(folder.resolve())


def read_series(path: Path, series: str | None, force: bool, warnings: list[str]) -> tuple[sitk.Image, str]:
    """The volume of the chosen series, in the units of its rescale slope and intercept, and the choice in words.

    What is mended adds a warning (see :func:`stack.read_stack`).

    Args:
        path: a folder, or one multi-frame file.
        series: Series Instance UID; None: of the CT series that cover most of the body's length, the one with a
            spine in its description, then the thinner slices, a bone kernel, the smaller pixels, more slices.
        force: take other modalities than CT too.

    Raises:
        SpineError: no CT series, no such series, a damaged file, slices that make no volume.
    """
    stacks = _stacks(path)
    known = {stack[0].tags["series"]: _describe(stack) for stack in stacks}
    listed = "; ".join(f"{uid} ({words})" for uid, words in known.items()) or "no image series"
    if series and series not in known:
        raise SpineError(f"{path} has no series {series}; it has {listed}")
    candidates = [stack for stack in stacks if series in (None, stack[0].tags["series"]) and _is_ct(stack, force)]
    if not candidates:
        hint = "" if force else " (--force takes other modalities too)"
        raise SpineError(f"{path} holds no CT series of several slices{hint}; it has {listed}")
    longest = max(map(_coverage, candidates))
    chosen = max(candidates, key=lambda stack: _merit(stack, longest))
    number = len({stack[0].tags["series"] for stack in candidates})
    choice = "as asked" if series else f"chosen from {number} CT series" if number > 1 else "the only CT series"
    image = read_stack(chosen, warnings)
    return image, f"{path}: series {chosen[0].tags['series']} ({_describe(chosen)}), {choice}"


def _stacks(path: Path) -> list[list[Slice]]:
    """The slices of the folder that belong together, small stacks first."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
        files = [file for file in files if stays_inside(file, path) and is_dicom(file)]
    if not files:
        raise SpineError(f"{path} holds no DICOM files (links that lead out of the folder are not followed)")
    stacks: list[list[Slice]] = []
    for header in filter(None, map(_header, files)):
        stack = next((stack for stack in stacks if stack[0].stacks_with(header)), None)
        if stack is None:
            stacks.append(stack := [])
        stack.append(header)
    return sorted(stacks, key=len)


def _header(path: Path) -> Slice | None:
    """The header of one file; None for an object that is no image in space (report, capture, presentation)."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if _may_be_ct(path):
            raise SpineError(f"{path} {DAMAGED}") from error
        return None
    present = reader.GetMetaDataKeys()
    tags = {name: reader.GetMetaData(key).strip(" \0") if key in present else "" for name, key in TAGS.items()}
    position, orientation, pixel = (_numbers(tags[name]) for name in ("position", "orientation", "pixel"))
    size, spacing = reader.GetSize(), reader.GetSpacing()
    frames = size[2] if len(size) > 2 else 1
    if frames > 1 and len(position) != 3:
        # Enhanced objects keep the geometry per frame; GDCM has read it.
        position = np.array(reader.GetOrigin())
        orientation = np.reshape(reader.GetDirection(), (3, 3))[:, :2].T.ravel()
    if len(position) != 3 or len(orientation) != 6 or not np.any(np.cross(orientation[:3], orientation[3:])):
        return None
    depth = (frames - 1) * spacing[2] if frames > 1 else 0.0
    pixel = tuple(pixel) if len(pixel) == 2 else (spacing[1], spacing[0])
    return Slice(path, tags, size[:2], frames, depth, orientation, position, pixel)


def _may_be_ct(path: Path) -> bool:
    """Whether an unreadable file may once have been a slice: a CT by its SOP class, or no proper DICOM at all."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return True
    sop_class = re.search(rb"\x02\0\x02\0UI..([\d.]+)", start, re.DOTALL)
    return sop_class is None or sop_class[1].startswith(CT_IMAGE.encode())


def _numbers(text: str) -> np.ndarray:
    try:
        numbers = np.array([float(part) for part in text.split("\\")])
    except ValueError:
        return np.array([])
    return numbers if np.all(np.isfinite(numbers)) else np.array([])


def _describe(stack: list[Slice]) -> str:
    tags = stack[0].tags
    words = [tags["modality"], tags["description"], tags["kernel"], f"{sum(one.frames for one in stack)} slices"]
    return ", ".join(word for word in words if word)


def _is_ct(stack: list[Slice], force: bool) -> bool:
    tags = stack[0].tags
    if sum(one.frames for one in stack) < 2 or tags["sop_class"] == SECONDARY_CAPTURE:
        return False
    return force or (tags["modality"] == "CT" and "LOCALIZER" not in tags["type"].upper())


def _merit(stack: list[Slice], longest: float) -> tuple:
    """The larger, the likelier this is the CT of the spine to work on; ``longest`` is the best coverage, mm."""
    tags = stack[0].tags
    words = f"{tags['description']} {tags['protocol']}".lower()
    slices = len({round(one.along, 2) for one in stack}) + stack[0].frames - 1
    return (
        _coverage(stack) >= 0.8 * longest,
        bool(re.search(SPINE_WORDS, words)),
        # Steps under 1.5 mm are all alike to networks that work at 1 mm and coarser.
        -max(round(_extent(stack) / max(slices - 1, 1), 1), 1.5),
        bool(re.search(BONE_WORDS, f"{words} {tags['kernel'].lower()}")),
        -round(max(stack[0].pixel), 1),
        slices,
    )


def _extent(stack: list[Slice]) -> float:
    """mm along the normal from the first to the last slice."""
    along = [one.along for one in stack]
    return max(along) - min(along) + stack[0].depth


def _coverage(stack: list[Slice]) -> float:
    """mm along the body, head to feet, that the stack covers."""
    one = stack[0]
    edges = [one.size[0] * one.pixel[1], one.size[1] * one.pixel[0], _extent(stack)]
    upward = [one.orientation[2], one.orientation[5], one.normal[2]]
    return float(np.abs(np.multiply(edges, upward)).sum())
