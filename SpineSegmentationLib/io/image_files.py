"""Volume files (NIfTI, NRRD, MetaImage): read as a 3D scalar image, or a clear reason why not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import SpineError
from .formats import DAMAGED, META, NIFTI, check_shape, check_spacing, extension, named_for_itk
from .text_headers import check_data_file, check_voxels, states_orientation

# ITK's warnings would go to the user's terminal; what matters in them is checked here and raised as an error.
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def read_volume(
    path: Path, warnings: list[str], take: Callable[[np.ndarray], np.ndarray] = lambda plane: plane
) -> sitk.Image:
    """The image of a volume file, any real pixel type, with a plausible grid (it may be sheared).

    Adds a warning when the file does not say for certain how it lies in the body.

    Args:
        take: what becomes of each plane of a NIfTI file (see :func:`nifti.read_nifti`).

    Raises:
        SpineError: not such a file, truncated or corrupt, its data lie outside its folder, not a 3D scalar volume,
            or a voxel size outside 0.05 to 20 mm.
    """
    if extension(path) not in NIFTI:
        return _read_with_itk(path, warnings)
    # Slicer, which has readers of its own, has no nibabel.
    from .nifti import read_nifti

    return read_nifti(path, warnings, take)


def read_label_map(path: Path) -> sitk.Image:
    """A label map of ours as it was written, uint8 VerSe codes.

    Raises:
        SpineError: it is not there, or damaged.
    """
    try:
        with named_for_itk(path) as name:
            return sitk.ReadImage(name, sitk.sitkUInt8)
    except (OSError, RuntimeError) as error:
        raise SpineError(f"{path} {DAMAGED if path.exists() else 'does not exist'}") from error


def _read_with_itk(path: Path, warnings: list[str]) -> sitk.Image:
    try:
        path.open("rb").close()
        data = check_data_file(path)
        with named_for_itk(path, data) as name:
            return _read(path, name, warnings)
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error


def _read(path: Path, name: str, warnings: list[str]) -> sitk.Image:
    """The image of the file, which ITK knows as ``name``."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(name)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise SpineError(f"{path} {_reason(error)}") from error
    if reader.GetNumberOfComponents() > 1:
        count = reader.GetNumberOfComponents()
        raise SpineError(f"{path} has {count} values per voxel (a colour or vector image); give a CT volume")
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise SpineError(f"{path} holds complex numbers; give a CT volume")
    check_shape(path, reader.GetSize())
    check_spacing(path, reader.GetSpacing()[:3])
    check_voxels(path, reader, quick=True)
    if not states_orientation(path):
        warnings.append("the file does not state its orientation (no anatomical space): left may be right")
    # ITK reads truncated and damaged files without a word, so they are checked apart. Both run without Python's lock.
    with ThreadPoolExecutor(1) as pool:
        check = pool.submit(check_voxels, path, reader)
        if extension(path) in META:
            # MetaIO would complain on the terminal.
            check.result()
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise SpineError(f"{path} {DAMAGED}") from error
        check.result()
    if "vector" in image.GetPixelIDTypeAsString():
        # A sequence of one frame.
        image = sitk.VectorIndexSelectionCast(image, 0)
    return image[:, :, :, 0] if image.GetDimension() == 4 else image


def _reason(error: RuntimeError) -> str:
    if "spacing" in str(error).lower():
        return "states a voxel size that cannot be (zero or negative); correct its header"
    return DAMAGED
