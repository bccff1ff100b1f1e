"""The CT scan: found, read, and checked to be in Hounsfield units."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import SimpleITK as sitk

from ..errors import SpineError
from ..resampling import shear, upright
from . import dicom
from .formats import EXTENSIONS, extension
from .frames import Frame
from .hounsfield import Whole, in_hounsfield
from .image_files import read_volume

MASKS = ("*_seg-*", "*_msk*", "*_seg", "*_mask", "*.seg", "*-label", "seg", "msk", "mask", "labels")
"""Names (without extension) of the label maps in VerSe folders of every year, and of Slicer's."""


@dataclass(frozen=True)
class Scan:
    """A CT scan.

    Attributes:
        image: 3D, int16, Hounsfield units, perpendicular axes.
        name: for output files: that of the file (without extension and ``_ct``) or of the DICOM folder; for a file
            that is just called ``ct``, that of the folder it is in.
        source: what was read, for people: the path, and for DICOM the series chosen and why.
        warnings: what was mended or looks odd, one line each.
        frames: of DICOM files, those that the volume was made of, in their order along it.
        resampled: whether the image lies on another grid than what was read, which was sheared.
    """

    image: sitk.Image
    name: str
    source: str
    warnings: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    resampled: bool = False


def find_scans(path: str | Path) -> list[Path]:
    """The scans at a path, each to be given to :func:`read_ct`.

    A file is itself; a folder with DICOM slices in it is one scan; any other folder is a batch, sorted: its volume
    files and DICOM folders at any depth, without label maps (``MASKS``), hidden files, and links to folders. DICOM
    files that are no slices (a dose report, a scout) hide nothing.

    Raises:
        SpineError: nothing there, or no scan in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SpineError(f"{path} does not exist; give a CT file or a folder")
    scans, strays = [], []
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        objects = [file for file in files if not extension(file) and dicom.is_dicom(file)]
        if dicom.holds_slices(objects):
            scans.append(Path(folder))
            subfolders.clear()
            continue
        strays += [Path(folder)] if objects else []
        scans += [file for file in files if extension(file) and not _is_mask(file) and file.is_file()]
    # What a folder of nothing but reports lacks, reading it says.
    if not scans and not strays:
        raise SpineError(f"{path} holds no CT: no DICOM files and none of {', '.join(EXTENSIONS)}")
    return sorted(scans or strays)


def _is_mask(path: Path) -> bool:
    stem = path.name[: -len(extension(path))].lower()
    return any(fnmatchcase(stem, mask) for mask in MASKS)


def scan_name(path: str | Path) -> str:
    """What the scan at a path is called in output files: see :attr:`Scan.name`."""
    path = Path(path)
    if path.is_dir():
        name = path.resolve().name
    elif end := extension(path):
        name = path.name[: -len(end)]
    else:
        name = path.stem
    if name.lower() == "ct":
        name = path.resolve().parent.name
    return re.sub(r"_ct$", "", name, flags=re.IGNORECASE) or "scan"


def read_ct(path: str | Path, *, series: str | None = None, force: bool = False) -> Scan:
    """Read a CT scan: NIfTI, NRRD, MetaImage, a multi-frame DICOM file or a folder of DICOM files.

    Args:
        series: the Series Instance UID to read from a DICOM folder, with ``:2`` for its second pass; None chooses the
            likely spine CT.
        force: take the values as Hounsfield units, whatever they look like, and other modalities than CT.

    Raises:
        SpineError: not there, damaged, not a 3D CT in Hounsfield units, no such series.
    """
    path = Path(path)
    if not path.is_file() and not path.is_dir():
        raise SpineError(f"{path} does not exist; give a CT file or a folder")
    warnings: list[str] = []
    frames: tuple[Frame, ...] = ()
    if path.is_dir() or (not extension(path) and dicom.is_dicom(path)):
        image, source, frames = dicom.read_series(path, series, force, warnings)
    elif extension(path):
        if series:
            raise SpineError(f"{path} is not DICOM: a series can only be chosen in a DICOM folder")
        whole = Whole()
        image, source = read_volume(path, warnings, whole), str(path)
        if whole.total:
            whole.report(path, warnings)
    else:
        raise SpineError(f"{path} is no known volume file; give DICOM or {', '.join(EXTENSIONS)}")
    image = in_hounsfield(image, path, force, warnings)
    if sheared := shear(image) > 0.05:
        warnings.append(
            f"the volume is sheared by {shear(image):.1f} degrees (gantry tilt); resampled to an upright grid"
        )
        image = upright(image)
    return Scan(image, scan_name(path), source, tuple(warnings), frames, sheared)
