"""DICOM series of an asymmetric phantom whose truth is known at every place of the patient."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from SpineSegmentationLib.anatomy import Level

BLOCKS = {
    Level.T12: ((-14, -12, 22), (4, 14, 34)),
    Level.L1: ((-9, -12, 4), (12, 10, 18)),
    Level.L6: ((-14, -4, -18), (2, 14, -6)),
}
"""Boxes in LPS mm round the middle of the phantom, no two alike, none symmetric."""

MIDDLE = np.array([7.0, -21.0, 310.0])


def levels_at(points: np.ndarray) -> np.ndarray:
    """The truth: VerSe codes at places (..., 3), LPS mm."""
    local = points - MIDDLE
    codes = np.zeros(local.shape[:-1], np.uint8)
    for level, (low, high) in BLOCKS.items():
        codes[np.all((local > low) & (local < high), axis=-1)] = level
    return codes


def label_map_of(image: sitk.Image) -> sitk.Image:
    """The truth at every voxel of an image."""
    z, y, x = np.indices(image.GetSize()[::-1])
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    result = sitk.GetImageFromArray(levels_at(np.stack([x, y, z], -1) @ axes.T + image.GetOrigin()))
    result.CopyInformation(image)
    return result


def places_of(position, orientation, pixel, rows, columns) -> np.ndarray:
    """LPS mm of every pixel (rows, columns, 3), by PS3.3 equation C.7.6.2.1-1."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    r, c = np.mgrid[:rows, :columns]
    return np.asarray(position) + c[..., None] * pixel[1] * row + r[..., None] * pixel[0] * column


def write_series(
    folder: Path,
    orientation=(1, 0, 0, 0, 1, 0),
    track=None,
    step=2.5,
    count=28,
    left_out=(),
    pixel=(1.25, 1.5),
    size=(36, 30),
    uid="1.2.826.0.1.5",
    **tags,
) -> None:
    """Images (rows, columns) of the phantom, ``step`` mm apart along ``track`` (the normal, if none is given)."""
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    track = np.cross(row, column) if track is None else np.array(track, float)
    rows, columns = size
    half = [pixel[1] * (columns - 1) / 2, pixel[0] * (rows - 1) / 2, step * (count - 1) / 2]
    first = MIDDLE - np.stack([row, column, track], axis=1) @ half
    for number in range(count):
        if number in left_out:
            continue
        position = [f"{value:.6f}"[:16] for value in first + track * step * number]
        codes = levels_at(places_of([float(p) for p in position], orientation, pixel, rows, columns))
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, f"{uid}.{number + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, f"{uid}.{number + 1}"
        data.PatientID, data.PatientName, data.PatientBirthDate, data.PatientSex = "P1", "Phantom^One", "", "O"
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = "1.2.826.0.1", uid, "1.2.826.0.1.9"
        data.StudyID, data.StudyDate, data.StudyTime, data.AccessionNumber = "1", "20200102", "101112", ""
        data.ReferringPhysicianName, data.PositionReferenceIndicator, data.Manufacturer = "", "", "none"
        data.SeriesDate = data.ContentDate = "20200102"
        data.SeriesTime = data.ContentTime = "101112"
        data.SeriesNumber, data.InstanceNumber, data.Modality, data.PatientPosition = 2, number + 1, "CT", "HFS"
        data.ImageType, data.SliceThickness, data.KVP = ["ORIGINAL", "PRIMARY", "AXIAL"], step, 120
        data.ImagePositionPatient = position
        data.ImageOrientationPatient = [f"{value:.10f}"[:16] for value in orientation]
        data.PixelSpacing, data.Rows, data.Columns = list(pixel), rows, columns
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
        for key, value in tags.items():
            setattr(data, key, value)
        hounsfield = np.where(codes > 0, codes.astype(int) + 300, 20)
        hounsfield[:3] = -1000
        data.PixelData = (hounsfield + 1024).astype("<u2").tobytes()
        # The order of the names is not that of the places.
        data.save_as(folder / f"{number * 11 % 31:02d}_{number}.dcm", enforce_file_format=True)
