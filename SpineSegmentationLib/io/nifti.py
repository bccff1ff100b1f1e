"""NIfTI files, read once, plane by plane; what the header means is nibabel's word."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from ..errors import SpineError
from .formats import DAMAGED, MOST_PACKED, check_shape, check_spacing
from .planes import stacked

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

Take = Callable[[np.ndarray], np.ndarray]
Source = BinaryIO | gzip.GzipFile


def read_nifti(path: Path, warnings: list[str], take: Take = lambda plane: plane) -> sitk.Image:
    """The volume of a NIfTI-1 or NIfTI-2 file; its axes may be sheared.

    The sform places it, as in nibabel, FSL and Slicer; the qform where there is no sform; and where there is neither,
    the axes run to the left, to the back and up. A scl_slope of 0 means no scaling.

    Args:
        warnings: gets a line where sform and qform differ, or neither is there.
        take: what becomes of each plane (y, x) after scaling; of one type for all.

    Raises:
        SpineError: cannot be read, no NIfTI, truncated or corrupt, no 3D scalar volume, or an impossible voxel size.
    """
    try:
        with _opened(path) as (file, packed):
            header = _header(file)
            _check(path, header, packed)
            affine = _affine(path, header, warnings)
            image = stacked(enumerate(map(take, _planes(file, header))), header.get_data_shape()[2])
            # Only at its end does a packed file say whether it is intact.
            while file.read(1 << 20):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile, HeaderDataError) as error:
        raise SpineError(f"{path} {DAMAGED}") from error
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Source, bool]]:
    """The unpacked file, and whether it was packed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file, False
            return
        with gzip.open(file) as unpacked:
            yield unpacked, True


def _header(file: Source) -> Nifti1Header:
    size = file.read(4)
    kind = Nifti2Header if 540 in (int.from_bytes(size, "little"), int.from_bytes(size, "big")) else Nifti1Header
    block = size + file.read(kind.template_dtype.itemsize - 4)
    if len(block) < kind.template_dtype.itemsize:
        raise EOFError
    header = kind(block, check=False)
    if int(header["sizeof_hdr"]) != len(block) or header["magic"].item()[:3] not in (b"n+1", b"n+2"):
        raise HeaderDataError("no NIfTI")
    return header


def _affine(path: Path, header: Nifti1Header, warnings: list[str]) -> np.ndarray:
    """4 x 4, voxel index x,y,z to LPS mm."""
    sform = header.get_sform() if header["sform_code"] > 0 else None
    pixdim = header["pixdim"][1:4].astype(float)
    # Analyze files had negative sizes. Where an sform places the voxels, their sign means nothing; else readers differ.
    if not np.all(np.isfinite(pixdim) & (pixdim != 0)) or (sform is None and np.any(pixdim < 0)):
        raise SpineError(f"{path} states a voxel size that is not positive; correct its header")
    qform = None
    if header["qform_code"] > 0 and np.all(pixdim > 0):
        try:
            qform = header.get_qform()
        except (HeaderDataError, ValueError) as error:
            if sform is None:
                raise SpineError(f"{path} states a rotation that cannot be (its qform); correct its header") from error
    affine = sform if sform is not None else qform
    if affine is None:
        warnings.append("the file does not state its orientation (qform and sform codes are 0): left may be right")
        check_spacing(path, tuple(pixdim))
        return np.diag([*pixdim, 1.0])
    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not np.all(np.isfinite(affine)) or min(spacing) == 0 or abs(np.linalg.det(axes / spacing)) < 1e-3:
        raise SpineError(f"{path} is flattened by its sform or qform; correct its header")
    check_spacing(path, tuple(spacing))
    if sform is not None and qform is not None:
        corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        corners = corners * [*(np.array(header.get_data_shape()[:3]) - 1), 1]
        apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
        if not apart <= 0.1 * min(spacing):
            warnings.append(
                f"sform and qform place the volume up to {apart:.1f} mm apart; the sform counts, as for most programs"
            )
    return TO_LPS @ affine


def _check(path: Path, header: Nifti1Header, packed: bool) -> None:
    """Raises SpineError for what is no 3D volume of real numbers, or too large for the file it is in."""
    shape = header.get_data_shape()
    try:
        kind = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        kind = np.dtype(object)
    values = len(kind.names) if kind.names else math.prod(shape[4:])
    if values > 1:
        raise SpineError(f"{path} has {values} values per voxel (a colour or vector image); give a CT volume")
    if kind.kind == "c":
        raise SpineError(f"{path} holds complex numbers; give a CT volume")
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise SpineError(f"{path} holds voxels of a type that is not supported; convert it to 16-bit integers")
    check_shape(path, shape)
    offset = float(header["vox_offset"])
    # Readers differ on voxels that begin within the header and the four bytes behind it.
    if not int(header["sizeof_hdr"]) + 4 <= offset < math.inf:
        raise HeaderDataError(f"voxels at byte {offset}")
    available = path.stat().st_size * (MOST_PACKED if packed else 1)
    if available < offset + math.prod(shape) * kind.itemsize:
        raise EOFError


def _planes(file: Source, header: Nifti1Header) -> Iterator[np.ndarray]:
    kind, (columns, rows, count) = header.get_data_dtype(), header.get_data_shape()[:3]
    slope, intercept = header.get_slope_inter()
    file.seek(int(header.get_data_offset()))
    for _ in range(count):
        block = file.read(columns * rows * kind.itemsize)
        if len(block) < columns * rows * kind.itemsize:
            raise EOFError
        plane = np.frombuffer(block, kind).reshape(rows, columns)
        if slope is not None and (slope, intercept) != (1, 0):
            plane = plane * float(slope) + float(intercept)
        yield plane.astype(plane.dtype.newbyteorder("="))
