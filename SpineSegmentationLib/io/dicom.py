"""DICOM folders: which series in them looks like the spine CT, and which pass of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .formats import DAMAGED
from .frames import CT_IMAGE, SECONDARY_CAPTURE, Frame, begins_as_dicom, read_frames
from .passes import TELLING, passes
from .stack import read_stack

NOT_HOUNSFIELD = ("OD", "MGML", "Z_EFF", "ED", "EDW", "PCT")
"""Rescale types (DICOM C.11.1.1.2) of what spectral CT computes besides Hounsfield units."""

SPINE_WORDS = r"spine|spinal|vertebr|wirbel|lumb|thorac|cervic|\b[clt]sp|\b[hbl]ws"
BONE_WORDS = r"bone|knochen|osteo"


@dataclass(frozen=True, eq=False)
class Pass:
    """The frames of a series that make one volume: all of them, or one of several passes over the body.

    Attributes:
        name: what ``--series`` takes: the Series Instance UID, with ``:1``, ``:2`` ... where there are several.
    """

    name: str
    frames: tuple[Frame, ...]

    @property
    def series(self) -> str:
        return self.frames[0].tags["series"]

    @property
    def words(self) -> str:
        tags = self.frames[0].tags
        words = [tags["modality"], tags["description"], tags["kernel"], f"{len(self.frames)} slices"]
        return ", ".join(filter(None, words))


def is_dicom(path: Path) -> bool:
    """Whether a file claims to be a DICOM object (by name or first bytes), the directory file DICOMDIR apart."""
    if path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    return path.suffix.lower() in (".dcm", ".dicom") or begins_as_dicom(path)


def holds_slices(files: Iterable[Path]) -> bool:
    """Whether some of the files are slices that may make a volume; reports, scouts and strays are none."""
    count = 0
    for path in files:
        try:
            frames = read_frames(path) if begins_as_dicom(path) else []
        # Whatever is wrong with it: a slice it may be all the same, and the person is told when it is read.
        except Exception:
            count += 1
            continue
        count += sum(_is_volume_part(frame) for frame in frames)
        if count > 1:
            return True
    return False


def read_series(
    path: Path, series: str | None, force: bool, warnings: list[str]
) -> tuple[sitk.Image, str, tuple[Frame, ...]]:
    """The volume of the chosen series, int16 in Hounsfield units, the choice in words, and the frames it is made of.

    What is mended or left out adds a warning (see also :func:`stack.read_stack`).

    Args:
        path: a folder, or one file.
        series: Series Instance UID, with ``:2`` for its second pass; None: of the CT series that cover most of the
            body's length, the one with a spine in its description, then the thinner slices, a bone kernel, the
            smaller pixels, more slices, the first pass.
        force: take other modalities than CT, too.

    Raises:
        SpineError: no CT series, no such series, a damaged file, slices that make no volume.
    """
    found = _passes(path, warnings)
    listed = "; ".join(f"{one.name} ({one.words})" for one in found) or "no image series"
    if series and not any(series in (one.name, one.series) for one in found):
        raise SpineError(f"{path} has no series {series}; it has {listed}")
    candidates = [one for one in found if series in (None, one.name, one.series) and _is_ct(one, force)]
    if not candidates:
        hint = "" if force else " (--force takes other modalities too)"
        raise SpineError(f"{path} holds no CT series of several slices{hint}; it has {listed}")
    if (patients := len({one.frames[0].tags["patient"] for one in candidates})) > 1:
        warnings.append(f"the folder holds CT of {patients} patients; one series is taken: give each its own folder")
    longest = max(map(_coverage, candidates))
    chosen = max(candidates, key=lambda one: _merit(one, longest))
    number = len({one.series for one in candidates})
    choice = "as asked" if series else f"chosen from {number} CT series" if number > 1 else "the only CT series"
    others = [one for one in candidates if one.series == chosen.series and one is not chosen]
    if others and series != chosen.name:
        told = "; ".join(f"--series {one.name} takes {_particulars(one, [chosen, *others])}" for one in others)
        warnings.append(
            f"series {chosen.series} holds {len(others) + 1} volumes; taken is {chosen.name}, "
            f"{_particulars(chosen, [chosen, *others])}; {told}"
        )
    image, frames = read_stack(list(chosen.frames), warnings)
    return image, f"{path}: series {chosen.name} ({chosen.words}), {choice}", frames


def _passes(path: Path, warnings: list[str]) -> list[Pass]:
    """The volumes that the files may make, those of fewer slices first."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
        broken = [file for file in files if file.is_symlink() and not file.exists()]
        files = [file for file in files if is_dicom(file)]
        if broken:
            warnings.append(f"{len(broken)} links lead to files that are not here ({broken[0].name}, ...); fetch them")
        if not files:
            raise SpineError(f"{path} holds no DICOM files")
    strays = [file for file in files if not begins_as_dicom(file)]
    if strays and len(strays) < len(files):
        warnings.append(f"{len(strays)} files are no DICOM though named so, and left out ({strays[0].name})")
        files = [file for file in files if file not in strays]
    stacks: list[list[Frame]] = []
    for frame in (frame for file in files for frame in _frames(file)):
        stack = next((stack for stack in stacks if stack[0].stacks_with(frame)), None)
        if stack is None:
            stacks.append(stack := [])
        stack.append(frame)
    parts = [part for stack in stacks for part in passes(stack)]
    found = []
    for series in {part[0].tags["series"]: None for part in parts}:
        own = [part for part in parts if part[0].tags["series"] == series]
        names = [series] if len(own) == 1 else [f"{series}:{number}" for number in range(1, len(own) + 1)]
        found += [Pass(name, tuple(part)) for name, part in zip(names, own, strict=True)]
    return sorted(found, key=lambda one: len(one.frames))


def _frames(path: Path) -> list[Frame]:
    """The frames of one file; none for an object that is no image in space (report, capture, presentation)."""
    try:
        return read_frames(path)
    # pydicom raises what it meets; whatever it is, the file is damaged.
    except Exception as error:
        if _may_be_ct(path):
            raise SpineError(f"{path} {DAMAGED}") from error
        return []


def _may_be_ct(path: Path) -> bool:
    """Whether an unreadable file may once have been a slice: a CT by its SOP class, or no proper DICOM at all."""
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return True
    sop_class = re.search(rb"\x02\0\x02\0UI..([\d.]+)", start, re.DOTALL)
    return sop_class is None or sop_class[1].startswith(CT_IMAGE.encode())


def _particulars(one: Pass, others: Sequence[Pass]) -> str:
    """By what a pass differs from the others of its series, and its slices."""
    tags = one.frames[0].tags
    differing = [
        f"{name} {tags[name]}"
        for name in (*TELLING, "voltage", "kernel", "scanned")
        if tags[name] and len({other.frames[0].tags[name] for other in others}) > 1
    ]
    along = [frame.along for frame in one.frames]
    return ", ".join([*differing[:2], f"{len(along)} slices from {min(along):g} to {max(along):g} mm"])


def _is_volume_part(frame: Frame) -> bool:
    return frame.tags["sop_class"] != SECONDARY_CAPTURE and "LOCALIZER" not in frame.tags["type"].upper()


def _is_ct(one: Pass, force: bool) -> bool:
    first = one.frames[0]
    if len(one.frames) < 2 or first.tags["sop_class"] == SECONDARY_CAPTURE:
        return False
    unit = first.tags["unit"].upper()
    return force or (first.tags["modality"] == "CT" and _is_volume_part(first) and unit not in NOT_HOUNSFIELD)


def _merit(one: Pass, longest: float) -> tuple:
    """The larger, the likelier this is the CT of the spine to work on; ``longest`` is the best coverage, mm."""
    first = one.frames[0]
    words = f"{first.tags['description']} {first.tags['protocol']}".lower()
    slices = len({round(frame.along, 2) for frame in one.frames})
    return (
        _coverage(one) >= 0.8 * longest,
        bool(re.search(SPINE_WORDS, words)),
        # Steps under 1.5 mm are all alike to networks that work at 1 mm and coarser.
        -max(round(_extent(one) / max(slices - 1, 1), 1), 1.5),
        bool(re.search(BONE_WORDS, f"{words} {first.tags['kernel'].lower()}")),
        -round(max(first.pixel), 1),
        slices,
    )


def _extent(one: Pass) -> float:
    """mm along the normal from the first to the last slice."""
    along = [frame.along for frame in one.frames]
    return max(along) - min(along)


def _coverage(one: Pass) -> float:
    """mm along the body, head to feet, that the slices cover."""
    first = one.frames[0]
    edges = [first.size[0] * first.pixel[1], first.size[1] * first.pixel[0], _extent(one)]
    upward = [first.orientation[2], first.orientation[5], first.normal[2]]
    return float(np.abs(np.multiply(edges, upward)).sum())
