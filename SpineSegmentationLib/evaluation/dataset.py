"""Finding and reading scans, their annotations and predictions in folders of the usual layouts.

Known layouts, in any depth of sub-folders, one scan told from another by the names of the files:

* VerSe'19 and '20, subject based: ``rawdata/sub-*/..._ct.nii.gz``, ``derivatives/sub-*/..._seg-vert_msk.nii.gz`` and
  ``..._seg-subreg_ctd.json`` (2019: ``..._seg-vb_ctd.json``);
* VerSe as at MICCAI: ``verse014.nii.gz``, ``verse014_seg.nii.gz``, ``verse014_ctd.json`` (2019) and
  ``verse512_CT-iso_iso-ctd.json`` (2020), whose centroids are in mm along fixed axes;
* one folder per scan: ``<scan>/ct.nii.gz``, ``centroids.json``, ``seg-vert_msk.nii.gz``;
* predictions: the output of this tool, any of the above, or label maps named as their scan;
* in place of a mask a DICOM SEG, ``<scan>_seg.dcm``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import COCCYX, SACRUM, Level
from ..errors import SpineError
from ..foreign.centres import centre_of
from ..foreign.fit import fit
from ..foreign.masks import read_mask as read_foreign_mask
from ..grid import Grid
from ..io.formats import extension
from ..io.image_files import read_volume
from ..io.values import axis_codes, read_centroids, read_json
from ..segmentation.mask import Piece
from ..spine import Centroid, Centroids
from .metrics import label_array

CHALLENGE_AXES = {"ctd": ("I", "P", "L"), "iso-ctd": ("P", "I", "R"), "ctd-iso": ("P", "I", "R")}
"""The axes X, Y, Z of the centroid files of the challenges, 2019 and 2020, which do not state them, by their names."""

OUTSIDE = 20.0
"""mm that a centroid may lie outside the grid; farther off, the file does not belong to it or is not in mm."""

_MASK = re.compile(r"(?:(.+?)_)??(seg-vert_msk|msk|seg|mask)", re.IGNORECASE)
_CT = re.compile(r"(?:(.+?)_)??ct", re.IGNORECASE)
_CENTROIDS = re.compile(
    r"(?:(.+?)_)??(seg-subreg_ctd|seg-vb_ctd|iso-ctd|ctd-iso|ctd|centroids(?:\.mrk)?)\.json", re.IGNORECASE
)
_MEASUREMENTS = re.compile(r"(?:(.+?)_)??measurements\.csv", re.IGNORECASE)


@dataclass(frozen=True)
class ScanFiles:
    """What a folder holds on one scan.

    Attributes:
        name: the files' common name, or that of their folder where the files are called ``ct.nii.gz`` and the like.
        dataset: the sub-folder (of several, such as ``03_test``) that the scan lies in, or the folder's own name.
        ct, mask, centroids, measurements: the files; None where there is none.
        duplicates: one line per file that is there twice.
    """

    name: str
    dataset: str
    ct: Path | None = None
    mask: Path | None = None
    centroids: Path | None = None
    measurements: Path | None = None
    duplicates: tuple[str, ...] = ()

    @property
    def is_annotated(self) -> bool:
        return self.mask is not None or self.centroids is not None

    @property
    def plain_name(self) -> str:
        """The name without what differs between the layouts: ``sub-``, ``split-``, ``_dir-...``, ``_CT-...``."""
        name = re.sub(r"(^|_)(sub|split)-", r"\1", self.name.lower())
        return re.sub(r"_(dir-[^_]*|ct([-_][^_]*)?)(?=_|$)", "", name)


def find_scans(folder: Path, predictions: bool = False) -> list[ScanFiles]:
    """The scans in a folder, sorted by data set and name; those without mask and centroids are left out.

    Args:
        folder: see the module's description for the layouts.
        predictions: a volume without any suffix (``verse014.nii.gz``) is a mask here; elsewhere it is the CT.

    Raises:
        SpineError: no such folder, or no annotation (prediction) in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SpineError(f"{folder} is not a folder; give the folder that holds the masks and centroids")
    scans: dict[tuple[str, str], ScanFiles] = {}
    unnamed: list[tuple[tuple[str, str], Path]] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        kind, stem = _classify(path)
        if not kind:
            continue
        name = path.parent.name if stem.lower() in ("", "ct") else stem
        key = (_dataset(path, folder, name), name)
        if kind == "volume":
            unnamed.append((key, path))
        else:
            scans[key] = _with_file(scans.get(key, ScanFiles(name, key[0])), kind, path)
    for key, path in unnamed:
        scan = scans.get(key, ScanFiles(key[1], key[0]))
        if not predictions:
            scans[key] = _with_file(scan, "ct", path)
        elif scan.mask is None or scan.mask in [other for _, other in unnamed]:
            scans[key] = _with_file(scan, "mask", path)
    found = [scans[key] for key in sorted(scans) if scans[key].is_annotated]
    if not found:
        what = "predictions" if predictions else "annotations"
        raise SpineError(
            f"{folder} holds no {what}: no file named *_seg-vert_msk.nii.gz, *_seg.nii.gz, *_ctd.json or centroids.json"
        )
    return found


def _classify(path: Path) -> tuple[str, str]:
    """The kind of a file and the part of its name that is the scan's; ("", "") if it is none of ours."""
    if end := extension(path):
        stem = path.name[: -len(end)]
        if stem.endswith("_seg-body_msk"):
            return "", ""
        for kind, pattern in (("mask", _MASK), ("ct", _CT)):
            if match := pattern.fullmatch(stem):
                return kind, match[1] or ""
        return "volume", stem
    if is_dicom_file(path):
        match = _MASK.fullmatch(path.stem)
        # Beside the label map that it was made of it says nothing new.
        twice = match and path.with_name(f"{match[1]}_seg-vert_msk.nii.gz").exists()
        return ("mask", match[1] or "") if match and not twice else ("", "")
    for kind, pattern in (("centroids", _CENTROIDS), ("measurements", _MEASUREMENTS)):
        if match := pattern.fullmatch(path.name):
            return kind, match[1] or ""
    return "", ""


def _dataset(path: Path, folder: Path, name: str) -> str:
    parts = list(path.relative_to(folder).parts[:-1])
    for layer in ("rawdata", "derivatives"):
        if layer in parts:
            parts = parts[: parts.index(layer)]
            break
    else:
        if parts and name.lower().startswith(parts[-1].lower()):
            parts.pop()
    return "/".join(parts) or folder.resolve().name


def _with_file(scan: ScanFiles, kind: str, path: Path) -> ScanFiles:
    if (known := getattr(scan, kind)) is not None:
        line = f"{scan.name} has two files for one thing: {known.name} and {path.name}; keep one"
        return replace(scan, duplicates=(*scan.duplicates, line))
    with_file: dict[str, Any] = {kind: path}
    return replace(scan, **with_file)


def prediction_of(scan: ScanFiles, predictions: Iterable[ScanFiles]) -> ScanFiles | None:
    """The prediction that belongs to a scan: of the same name, else of the same plain name; None if there is none.

    Where several data sets hold a scan of that name, the one in the sub-folder of the same name counts.

    Raises:
        SpineError: several predictions fit equally well.
    """
    predictions = list(predictions)
    for same in (lambda p: p.name == scan.name, lambda p: p.plain_name == scan.plain_name):
        fitting = [prediction for prediction in predictions if same(prediction)]
        fitting = [p for p in fitting if p.dataset == scan.dataset] or fitting
        if len(fitting) > 1:
            files = ", ".join(str(p.mask or p.centroids) for p in fitting)
            raise SpineError(f"{scan.name} has {len(fitting)} predictions, and nothing tells which counts: {files}")
        if fitting:
            return fitting[0]
    return None


@dataclass(frozen=True)
class Annotation:
    """What was read on one scan: the truth, or a prediction.

    Attributes:
        mask: label map of VerSe codes, or None.
        centroids: or None where neither a file nor a mask gives them.
        complete: for levels where it is stated, whether the vertebra is wholly visible.
        notes: what a reader should know, one line each.
        problems: what could not be read, one line each.
    """

    mask: sitk.Image | None = None
    centroids: Centroids | None = None
    complete: dict[Level, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_annotation(files: ScanFiles, grid: sitk.Image | None = None) -> Annotation:
    """Read the mask and centroids of a scan; what cannot be read becomes a problem, never an exception.

    Centroids come from their file; if there is none, from the mask, which a note then says.

    Args:
        files: what to read.
        grid: the grid that voxel coordinates refer to when there is no mask.
    """
    notes: list[str] = []
    problems = list(files.duplicates)
    if problems:
        return Annotation(problems=tuple(problems))
    mask = centroids = None
    complete: dict[Level, bool] = {}
    if files.mask:
        try:
            mask = read_seg_mask(files.mask, grid, notes) if is_dicom_file(files.mask) else read_mask(files.mask, notes)
            notes += _odd_codes(mask, files.mask)
        except SpineError as error:
            problems.append(str(error))
    if files.centroids:
        try:
            centroids = read_scan_centroids(files.centroids, grid if mask is None else mask, notes)
            complete = _stated_completeness(files.centroids)
        except SpineError as error:
            problems.append(str(error))
    elif mask is not None and files.mask:
        centroids = centroids_of_mask(mask)
        notes.append(f"{files.name}: no centroid file; centroids taken from the mask {files.mask.name}")
    if files.measurements:
        try:
            complete |= _measured_completeness(files.measurements)
        except (OSError, ValueError, KeyError, csv.Error) as error:
            notes.append(f"{files.measurements}: completeness not read ({error})")
    return Annotation(mask, centroids, complete, tuple(notes), tuple(problems))


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM by its name."""
    return path.suffix.lower() in (".dcm", ".dicom")


def read_seg_mask(path: Path, grid: sitk.Image | None, warnings: list[str]) -> sitk.Image:
    """The label map of a DICOM SEG, on the given grid if there is one.

    Raises:
        SpineError: no SEG, damaged, no vertebra in it, or beside the grid.
    """
    mask = read_foreign_mask(path)
    mask = mask if grid is None else fit(mask, grid)
    warnings += mask.notes
    return mask.label_map()


def read_mask(path: Path, warnings: list[str]) -> sitk.Image:
    """A label map as uint8, whatever whole numbers the file holds.

    Adds a warning when the file does not state how it lies in the body.

    Raises:
        SpineError: unreadable, not 3D, or values that are no codes.
    """
    image = read_volume(path, warnings)
    try:
        labels = label_array(image)
    except SpineError as error:
        raise SpineError(f"{path}: {error}") from error
    if image.GetPixelID() == sitk.sitkUInt8:
        return image
    mask = sitk.GetImageFromArray(labels)
    mask.CopyInformation(image)
    return mask


def _codes(mask: sitk.Image) -> set[int]:
    counts = sum(np.bincount(plane.ravel(), minlength=256) for plane in label_array(mask))
    return set(np.flatnonzero(counts).tolist()) - {0}


def levels_of_mask(mask: sitk.Image) -> set[Level]:
    """The vertebrae that have a voxel in a label map."""
    return {Level(code) for code in _codes(mask) if code in Level._value2member_map_}


def _odd_codes(mask: sitk.Image, path: Path) -> list[str]:
    codes = _codes(mask)
    if not codes:
        return [f"{path.name}: the mask is empty"]
    odd = sorted(codes - {int(level) for level in Level} - {SACRUM, COCCYX})
    return [f"{path.name}: codes that are no vertebra count as background: {odd[:8]}"] if odd else []


def read_scan_centroids(path: Path, grid: sitk.Image | None, notes: list[str] | None = None) -> Centroids:
    """The centroids of a file in any known format, those of the challenges of 2019 and 2020 included.

    Challenge files are lists of ``X``, ``Y``, ``Z`` in mm without a ``direction`` entry; their axes are known from
    the files' names (``CHALLENGE_AXES``). They count from the first voxel of each axis.

    Args:
        path: the file.
        grid: the scan's or the mask's grid; may be None for files that hold points in mm of the patient's space.
        notes: gets a line when a file is read as one of the challenges'.

    Raises:
        SpineError: unreadable, voxel coordinates without a grid, or no word about the axes where one is due.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        return read_centroids(path, grid)
    if grid is None:
        raise SpineError(f"{path} holds voxel coordinates, and there is no CT or mask that they could refer to")
    kind = _CENTROIDS.fullmatch(path.name)
    if any(isinstance(entry, dict) and "direction" in entry for entry in entries) or kind is None:
        return read_centroids(path, grid)
    axes = CHALLENGE_AXES.get(kind[2].lower())
    if axes is None:
        # Voxels or mm, and along which axes, cannot be known.
        return read_centroids(path, grid)
    centroids = _from_challenge(path, entries, grid, axes)
    if notes is not None:
        notes.append(
            f"{path.name} states no axes: read as a file of the VerSe challenges, in mm along {', '.join(axes)}"
        )
    return centroids


def _from_challenge(path: Path, entries: list, grid: sitk.Image, axes: tuple[str, str, str]) -> Centroids:
    opposite = dict(zip("LRPASI", "RLAPIS", strict=True))
    codes, spacing, size = axis_codes(grid), grid.GetSpacing(), grid.GetSize()
    points = []
    for number, entry in enumerate(entries, 1):
        try:
            code = int(entry["label"])
            along = {axis: float(entry[name]) for axis, name in zip(axes, "XYZ", strict=True)}
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise SpineError(f"{path}: entry {number} must have label, X, Y and Z as numbers") from error
        if code not in Level._value2member_map_:
            continue
        index = [
            along[side] / step if side in along else count - 1 - along[opposite[side]] / step
            for side, step, count in zip(codes, spacing, size, strict=True)
        ]
        place = np.multiply(index, spacing)
        if np.any(place < -OUTSIDE) or np.any(place > np.multiply(size, spacing) + OUTSIDE):
            raise SpineError(
                f"{path}: entry {number} lies outside the scan, so that its axes or units must be others than those of "
                f"the VerSe challenges (mm along {', '.join(axes)}); state the axes in the first entry"
            )
        points.append(Centroid(Level(code), grid.TransformContinuousIndexToPhysicalPoint(index)))
    try:
        return Centroids(tuple(points))
    except SpineError as error:
        raise SpineError(f"{path}: {error}") from error


def _stated_completeness(path: Path) -> dict[Level, bool]:
    """The ``complete`` entries of a file of named points; {} for other files."""
    value = read_json(path)
    points = value.get("points", []) if isinstance(value, dict) else value
    complete = {}
    for point in points:
        if isinstance(point, dict) and isinstance(point.get("complete"), bool):
            try:
                complete[Level.parse(str(point["label"]))] = point["complete"]
            except (ValueError, KeyError):
                continue
    return complete


def _measured_completeness(path: Path) -> dict[Level, bool]:
    """The ``completeness`` column of this tool's table: a part of 1, or a word; under one half is incomplete."""
    words = {"true": True, "yes": True, "complete": True, "false": False, "no": False, "incomplete": False}
    complete = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            text = (row.get("completeness") or "").strip().lower()
            if text:
                complete[Level.parse(row["label"])] = words[text] if text in words else float(text) >= 0.5
    return complete


def centroids_of_mask(mask: sitk.Image) -> Centroids:
    """The centre of the vertebral body of every vertebra in a label map; see :func:`foreign.centres.centre_of`."""
    labels, grid = label_array(mask), Grid.of(mask)
    points = []
    for code, place in enumerate(ndimage.find_objects(labels, max_label=max(Level)), start=1):
        if place is not None and code in Level._value2member_map_:
            piece = Piece.of(labels[place] == code, tuple(axis.start for axis in reversed(place)))
            points.append(Centroid(Level(code), centre_of(piece, Level(code), grid)))
    return Centroids(tuple(points))
