"""Segmentations of others as they lie in their files: named segments on a grid, nothing resampled, nothing mended."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import Level
from ..errors import SpineError
from ..grid import Grid
from ..io.dicom import is_dicom
from ..io.formats import NIFTI, extension, named_for_itk, nifti_extensions
from ..io.image_files import read_volume
from ..io.text_headers import check_intact
from ..segmentation.mask import Piece
from .codes import CodeTable, choose
from .names import level_of_name, level_of_terminology


@dataclass(frozen=True, eq=False)
class ForeignSegment:
    """One segment.

    Attributes:
        name: what it is called there.
        level: the vertebra that is meant.
        piece: its voxels on the grid of the mask.
    """

    name: str
    level: Level
    piece: Piece


@dataclass(frozen=True, eq=False)
class ForeignMask:
    """What somebody else made.

    Attributes:
        grid: where the voxels lie; its axes may be sheared.
        segments: of vertebrae, each with voxels; they may overlap, and two may be of one level.
        source: where it comes from, for people.
        others: names of what is no vertebra and is left out.
        notes: how it was read, one line each.
        frame_of_reference, patient: of a DICOM SEG, its Frame of Reference UID and Patient ID; else empty.

    Raises:
        SpineError: no segment is a vertebra with voxels.
    """

    grid: Grid
    segments: tuple[ForeignSegment, ...]
    source: str
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    frame_of_reference: str = ""
    patient: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(one for one in self.segments if one.piece.voxels.size))
        if not self.segments:
            held = f"only {', '.join(self.others[:8])}" if self.others else "nothing but background"
            raise SpineError(f"{self.source} holds no vertebra, {held}; give the mask of vertebrae, or its --codes")

    def label_map(self) -> sitk.Image:
        """uint8 VerSe codes on the grid of the mask; where segments overlap the last of them wins."""
        labels = np.zeros(self.grid.size[::-1], np.uint8)
        for one in self.segments:
            labels[one.piece.place][one.piece.voxels] = int(one.level)
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing(self.grid.spacing)
        image.SetOrigin(self.grid.origin)
        image.SetDirection(self.grid.direction)
        return image


def read_mask(path: str | Path, table: CodeTable | None = None) -> ForeignMask:
    """A segmentation from files.

    A volume file is a label map (or, with names inside, a segmentation of Slicer); a folder of volume files is one
    mask for each vertebra, named as TotalSegmentator names them; a DICOM file is a SEG.

    Args:
        table: what the numbers of a label map mean; None: told by the file, or guessed from order and place.

    Raises:
        SpineError: not there, damaged, no vertebra in it, no known numbers, not 3D.
    """
    path = Path(path)
    if path.is_dir():
        if any(is_dicom(file) for file in path.iterdir() if file.is_file()):
            return _read_dicom_folder(path)
        return _read_folder(path)
    if not path.is_file():
        raise SpineError(f"{path} does not exist; give a label map, a folder of masks, or a DICOM SEG")
    if not extension(path) and is_dicom(path):
        return _read_dicom(path)
    if extension(path) in (".nrrd", ".nhdr") and (segments := _slicer_segments(path)):
        return _read_slicer(path, segments)
    notes: list[str] = []
    image = read_volume(path, notes)
    return from_labels(image, str(path), table, _names_in(path), notes)


def mask_of(folder: str | Path, scan: str, scans: Sequence[str] = ()) -> Path:
    """The mask of a scan in a folder of masks of many: the file or folder that is called as the scan is.

    ``one.nii.gz``, ``one_seg.nrrd``, ``one-mask.dcm`` or the folder ``one`` for the scan ``one``; ``one2`` is another,
    and so is ``one_2`` where a scan of that name is among all ``scans``.

    Raises:
        SpineError: no such folder, no mask in it, or several.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SpineError(f"{folder} must be a folder with a mask for each scan, called as the scans are")

    def called(name: str, file: Path) -> bool:
        return bool(re.match(rf"{re.escape(name)}(?!_ct\.|[A-Za-z0-9])", file.name, re.IGNORECASE))

    longer = [name for name in scans if len(name) > len(scan)]
    files = [one for one in sorted(folder.iterdir()) if called(scan, one)]
    files = [one for one in files if not any(called(name, one) for name in longer)]
    found = [one for one in files if one.is_dir() or extension(one) or is_dicom(one)]
    if not found:
        raise SpineError(f"{folder} holds no mask for {scan}; its name must begin with the scan's")
    if len(found) > 1:
        raise SpineError(f"{folder} holds {len(found)} masks for {scan}: {', '.join(one.name for one in found[:4])}")
    return found[0]


def from_labels(
    image: sitk.Image,
    source: str,
    table: CodeTable | None = None,
    names: Mapping[int, str] | None = None,
    notes: list[str] | None = None,
) -> ForeignMask:
    """The segments of a label map of whole numbers, 0 for no bone.

    Args:
        source: what it is, for messages.
        table: what the numbers mean; None: see :func:`codes.choose`.
        names: what the file says about its numbers.
        notes: lines that are there already.

    Raises:
        SpineError: broken or negative numbers, empty, or numbers of no known table.
    """
    labels = _whole_numbers(image, source)
    present = np.flatnonzero(np.bincount(labels.ravel()))
    codes = [int(code) for code in present if code]
    notes = list(notes or ())
    if not codes:
        raise SpineError(f"{source} is empty: it holds no segment at all; give the mask of vertebrae")
    places = ndimage.find_objects(labels)
    if table is None:
        table, why = choose({code: _height(image, labels, code, places[code - 1]) for code in codes}, names)
        notes.append(why)
    unknown = [code for code in codes if code not in table.levels and code not in table.others]
    if unknown:
        notes.append(f"unknown numbers are left out: {', '.join(map(str, unknown))} ({table.name} does not know them)")
    segments, others = [], []
    for code in codes:
        name = (names or {}).get(code, str(code))
        level = table.levels.get(code)
        if level is None:
            others.append(name)
            continue
        place = places[code - 1]
        piece = Piece.of(labels[place] == code, tuple(axis.start for axis in reversed(place)))
        segments.append(ForeignSegment(name, level, piece))
    return ForeignMask(Grid.of(image), tuple(segments), source, tuple(others), tuple(notes))


def _whole_numbers(image: sitk.Image, source: str) -> np.ndarray:
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype.kind == "f" and not (np.all(np.isfinite(array)) and np.all(array == np.rint(array))):
        raise SpineError(
            f"{source} holds broken numbers: it is no label map; save it with nearest neighbour, as integers"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 65535:
        raise SpineError(f"{source} holds numbers from {low} to {high}: it is no label map, perhaps a CT")
    return array.astype(np.uint16)


def _height(image: sitk.Image, labels: np.ndarray, code: int, place: tuple[slice, ...]) -> float:
    """Mean height of the voxels of one number, mm along the S axis of LPS."""
    here = labels[place] == code
    middle = []
    for axis in (2, 1, 0):
        along = np.count_nonzero(here, axis=tuple({0, 1, 2} - {axis}))
        middle.append(place[axis].start + along @ np.arange(len(along)) / along.sum())
    return image.TransformContinuousIndexToPhysicalPoint(middle)[2]


def _names_in(path: Path) -> dict[int, str]:
    """The label table that TotalSegmentator, for one, puts into the extension of a NIfTI header."""
    if extension(path) not in NIFTI:
        return {}
    text = nifti_extensions(path).decode("utf-8", "replace")
    entries = re.findall(r'<Label\b[^>]*\bKey="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]*)', text)
    return {int(code): name.strip() for code, name in entries if int(code)}


def _read_folder(path: Path) -> ForeignMask:
    """One file for each vertebra, its name that of the vertebra; other files are left out."""
    files = [file for file in sorted(path.iterdir()) if extension(file) and not file.name.startswith(".")]
    named = [(file, level_of_name(file.name[: -len(extension(file))])) for file in files]
    segments: list[ForeignSegment] = []
    notes: list[str] = []
    grid = None
    for file, level in named:
        if level is None:
            continue
        image = read_volume(file, notes)
        if grid is not None and not grid.same_as(Grid.of(image)):
            raise SpineError(
                f"{file} lies on another grid than the other masks of its folder; give the masks of one scan"
            )
        grid = grid or Grid.of(image)
        segments.append(
            ForeignSegment(
                file.name[: -len(extension(file))], level, Piece.of(_whole_numbers(image, str(file)), (0, 0, 0))
            )
        )
    if grid is None:
        raise SpineError(f"{path} holds no mask named after a vertebra, such as vertebrae_L1.nii.gz")
    others = tuple(file.name for file, level in named if level is None)
    return ForeignMask(grid, tuple(segments), str(path), others, tuple(notes))


def _slicer_segments(path: Path) -> list[dict[str, str]]:
    """The segments that Slicer describes in the header of a ``.seg.nrrd``, none for another file."""
    reader = sitk.ImageFileReader()
    try:
        with named_for_itk(path) as name:
            reader.SetFileName(name)
            reader.ReadImageInformation()
    except RuntimeError:
        # The reader of volumes tells why.
        return []
    segments: dict[int, dict[str, str]] = {}
    for key in reader.GetMetaDataKeys():
        if match := re.fullmatch(r"Segment(\d+)_(\w+)", key):
            segments.setdefault(int(match[1]), {})[match[2]] = reader.GetMetaData(key)
    return [segments[number] for number in sorted(segments)]


def _read_slicer(path: Path, described: list[dict[str, str]]) -> ForeignMask:
    check_intact(path)
    try:
        with named_for_itk(path) as name:
            image = sitk.ReadImage(name)
        layers = [image]
        if image.GetNumberOfComponentsPerPixel() > 1:
            layers = [sitk.VectorIndexSelectionCast(image, i) for i in range(image.GetNumberOfComponentsPerPixel())]
        arrays = [_whole_numbers(layer, str(path)) for layer in layers]
    except RuntimeError as error:
        raise SpineError(f"{path} cannot be read as a segmentation of Slicer; save it again") from error
    segments: list[ForeignSegment] = []
    others: list[str] = []
    notes: list[str] = []
    for number, one in enumerate(described):
        name = one.get("Name") or one.get("ID") or f"segment {number + 1}"
        level = level_of_segment(name, level_of_terminology(_terminology(one.get("Tags", ""))), notes)
        # Slicer before 4.11 gave every segment a layer, and said nothing of it.
        alone = (number, 1) if len(arrays) > 1 else (0, number + 1)
        layer, value = int(one.get("Layer", alone[0])), int(one.get("LabelValue", alone[1]))
        if level is None:
            others.append(name)
        elif layer < len(arrays):
            segments.append(ForeignSegment(name, level, Piece.of(arrays[layer] == value, (0, 0, 0))))
    return ForeignMask(Grid.of(layers[0]), tuple(segments), str(path), tuple(others), tuple(notes))


def _terminology(tags: str) -> str:
    match = re.search(r"(?:TerminologyEntry|Segmentation\.TerminologyEntry):([^|]*)", tags)
    return match[1] if match else ""


def level_of_segment(name: str, coded: Level | None, notes: list[str]) -> Level | None:
    """The vertebra of a segment that has a name and a code.

    Where they differ the name counts, which a person sees and changes; a note says so.
    """
    named = level_of_name(name)
    if named is not None and coded is not None and named != coded:
        notes.append(f"the segment {name!r} is coded as {coded.name}; taken by its name, {named.name}")
    return named if named is not None else coded


def _read_dicom(path: Path) -> ForeignMask:
    try:
        from .dicom_seg import read_seg
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[dicom]'") from error

    return read_seg(path)


def _read_dicom_folder(path: Path) -> ForeignMask:
    files = [file for file in sorted(path.iterdir()) if is_dicom(file)]
    if len(files) != 1:
        raise SpineError(f"{path} holds {len(files)} DICOM files; give the one SEG")
    return _read_dicom(files[0])
