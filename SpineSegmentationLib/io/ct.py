"""The CT scan: found, read and checked to be in Hounsfield units; written whole or not at all."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from ..resampling import AIR, resample, same_grid, shear, upright
from . import dicom
from .image_files import EXTENSIONS, check_intact, extension, read_volume
from .values import replacing

__all__ = ["Scan", "find_scans", "read_ct", "resample", "same_grid", "scan_name", "write_image"]

MASKS = ("*_seg-*", "*_msk*")
"""Names of the label maps in a VerSe folder."""

GREATEST_LOW, LEAST_HIGH = -50, 150
"""HU that the darkest voxel of a CT does not exceed, and that its brightest reaches."""


@dataclass(frozen=True)
class Scan:
    """A CT scan.

    Attributes:
        image: 3D, int16, Hounsfield units, perpendicular axes.
        name: for output files: that of the file (without extension and ``_ct``) or of the DICOM folder; for a file
            that is just called ``ct``, that of the folder it is in.
        source: what was read, for people: the path, and for DICOM the series chosen and why.
        warnings: what was mended or looks odd, one line each.
    """

    image: sitk.Image
    name: str
    source: str
    warnings: tuple[str, ...] = ()


def find_scans(path: str | Path) -> list[Path]:
    """The scans at a path, each to be given to :func:`read_ct`.

    A file is itself; a folder with DICOM files in it is one scan; any other folder is a batch, sorted: its volume
    files and DICOM folders at any depth, without masks (``*_seg-*``, ``*_msk*``), hidden files, and links that lead
    out of the folder.

    Raises:
        SpineError: nothing there, or no scan in the folder.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SpineError(f"{path} does not exist; give a CT file or a folder")
    scans = []
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        files = [file for file in files if dicom.stays_inside(file, path)]
        volumes = [file for file in files if extension(file)]
        if any(dicom.is_dicom(file) for file in files if file not in volumes):
            scans.append(Path(folder))
            subfolders.clear()
        else:
            scans += [file for file in volumes if not any(fnmatch(file.name, mask) for mask in MASKS)]
    if not scans:
        raise SpineError(f"{path} holds no CT: no DICOM files and none of {', '.join(EXTENSIONS)}")
    return sorted(scans)


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
        series: the Series Instance UID to read from a DICOM folder; None chooses the likely spine CT.
        force: take the values as Hounsfield units, whatever they look like, and other modalities than CT.

    Raises:
        SpineError: not there, damaged, not a 3D CT in Hounsfield units, no such series.
    """
    path = Path(path)
    if not path.is_file() and not path.is_dir():
        raise SpineError(f"{path} does not exist; give a CT file or a folder")
    warnings: list[str] = []
    if path.is_dir() or (not extension(path) and dicom.is_dicom(path)):
        image, source = dicom.read_series(path, series, force, warnings)
    elif extension(path):
        if series:
            raise SpineError(f"{path} is not DICOM: a series can only be chosen in a DICOM folder")
        image, source = read_volume(path, warnings), str(path)
    else:
        raise SpineError(f"{path} is no known volume file; give DICOM or {', '.join(EXTENSIONS)}")
    image = in_hounsfield(image, path, force, warnings)
    if shear(image) > 0.05:
        warnings.append(
            f"the slices are sheared by {shear(image):.1f} degrees (gantry tilt); resampled to an upright grid"
        )
        image = upright(image)
    return Scan(image, scan_name(path), source, tuple(warnings))


def in_hounsfield(image: sitk.Image, path: Path, force: bool, warnings: list[str]) -> sitk.Image:
    """The image in int16 Hounsfield units, from -1024 up; the same image when it already is that.

    Voxels that are no numbers become air; unsigned values with an offset of 1024 are shifted; each with a warning.

    Raises:
        SpineError: the values cannot be Hounsfield units (unless ``force``), or none is a number.
    """
    voxels = sitk.GetArrayViewFromImage(image)
    # Plane by plane: no second copy of a float volume.
    ranges = [(plane.size, plane.min(), plane.max()) for plane in map(_finite, voxels) if plane.size]
    if not ranges:
        raise SpineError(f"{path} holds no number at all (every voxel is NaN or infinite); export it again")
    counts, lows, highs = zip(*ranges, strict=True)
    low, high = min(lows), max(highs)
    if missing := voxels.size - sum(counts):
        warnings.append(f"{missing} voxels are NaN or infinite; taken as air")
    shift = 0
    if not force:
        if _has_offset(voxels, low, high):
            shift = -1024
            warnings.append("the values look like Hounsfield units plus 1024; 1024 subtracted")
        elif low > GREATEST_LOW or high < LEAST_HIGH:
            raise SpineError(
                f"{path} holds values from {low:g} to {high:g}, which cannot be Hounsfield units (fat, lung and air "
                f"lie below {GREATEST_LOW}, bone above {LEAST_HIGH}); give a CT, or --force to take them as they are"
            )
    if voxels.dtype == np.int16 and low >= AIR and not shift:
        return image
    converted = np.empty(voxels.shape, np.int16)
    for target, plane in zip(converted, voxels, strict=True):
        # In float64 the sums and limits beyond the range of the input's type are right, too.
        hounsfield = np.nan_to_num(plane.astype(np.float64), nan=AIR, posinf=AIR, neginf=AIR) + shift
        target[:] = np.clip(np.rint(hounsfield), AIR, np.iinfo(np.int16).max)
    result = sitk.GetImageFromArray(converted)
    result.CopyInformation(image)
    return result


def _finite(plane: np.ndarray) -> np.ndarray:
    return plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane


def _has_offset(voxels: np.ndarray, low: float, high: float) -> bool:
    """Whether non-negative values are Hounsfield units plus 1024: soft tissue, the bulk of a body, lies near 1070."""
    if low < 0 or high < LEAST_HIGH + 1024:
        return False
    sample = voxels.ravel()[:: max(voxels.size // 1_000_000, 1)]
    body = sample[sample > 300]
    soft = np.count_nonzero((body > 850) & (body < 1200))
    return soft > 0.5 * body.size > 0.005 * sample.size


def write_image(image: sitk.Image, path: str | Path) -> None:
    """Write a compressed volume file (.nii.gz, .nrrd or .mha), whole or not at all.

    Raises:
        SpineError: another extension, or it cannot be written (no such folder, no right, disk full).
    """
    path = Path(path)
    if extension(path) not in (".nii.gz", ".nrrd", ".mha"):
        raise SpineError(f"{path} must end in .nii.gz, .nrrd or .mha")
    with replacing(path) as temporary:
        try:
            temporary.touch()
            sitk.WriteImage(image, str(temporary), useCompression=True)
            # ITK does not always notice a full disk.
            check_intact(temporary)
        except (RuntimeError, SpineError) as error:
            raise OSError(0, "incomplete, perhaps the disk is full") from error
