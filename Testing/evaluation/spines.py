"""Spines of blocks: masks and centroids that are known exactly, in folders."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.io.values import write_centroids
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.spine import Centroid, Centroids

SPACING = (4.0, 4.0, 3.0)


def level_range(first: str, last: str) -> tuple[Level, ...]:
    return COLUMN[Level[first].rank : Level[last].rank + 1]


def spine(levels: tuple[Level, ...], pitch: float = 27.0, origin=(-60.0, -50.0, 10.0)) -> tuple[sitk.Image, Centroids]:
    """A column of blocks with a process behind, and their centres; the first level at the top."""
    pitch_voxels = round(pitch / SPACING[2])
    labels = np.zeros((pitch_voxels * len(levels) + 4, 28, 24), np.uint8)
    points = []
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    for place, level in enumerate(levels):
        low = pitch_voxels * (len(levels) - 1 - place) + 2
        labels[low : low + 7, 6:15, 7:18] = level
        labels[low + 2 : low + 5, 15:22, 11:14] = level
        points.append(Centroid(level, image.TransformContinuousIndexToPhysicalPoint((12.0, 10.0, low + 3.0))))
    filled = sitk.GetImageFromArray(labels)
    filled.CopyInformation(image)
    return filled, Centroids(tuple(points))


def ct_of(mask: sitk.Image) -> sitk.Image:
    ct = sitk.Cast(mask > 0, sitk.sitkInt16) * 500 - 50
    ct.CopyInformation(mask)
    return ct


def renamed(mask: sitk.Image, centroids: Centroids, shift: int) -> tuple[sitk.Image, Centroids]:
    names = {p.level: COLUMN[p.level.rank + shift] for p in centroids}
    table = np.arange(256, dtype=np.uint8)
    for old, new in names.items():
        table[old] = new
    other = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(mask)])
    other.CopyInformation(mask)
    return other, Centroids(tuple(Centroid(names[p.level], p.position) for p in centroids))


def eroded(mask: sitk.Image, voxels: int) -> sitk.Image:
    """A worse mask: the front ``voxels`` layers of every vertebra are gone."""
    labels = sitk.GetArrayFromImage(mask)
    labels[:, 6 : 6 + voxels] = 0
    worse = sitk.GetImageFromArray(labels)
    worse.CopyInformation(mask)
    return worse


def save(folder: Path, name: str, mask: sitk.Image | None, centroids: Centroids | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if mask is not None:
        write_image(mask, folder / f"{name}_seg-vert_msk.nii.gz")
    if centroids is not None:
        grid = mask if mask is not None else spine((Level.L1,))[0]
        write_centroids(centroids, grid, folder / f"{name}_seg-subreg_ctd.json")


SCANS = (
    level_range("T10", "L5"),
    level_range("C1", "T3"),
    level_range("C6", "T4"),
    (*level_range("T11", "T12"), Level.T13, *level_range("L1", "L6")),
    level_range("T12", "L2"),
    level_range("C7", "L5"),
    level_range("T3", "T8"),
    level_range("L1", "L5"),
    level_range("T9", "L4"),
    level_range("T10", "L3"),
)
"""Ten scans: the fewest with which the signed-rank test can reach p < 0.001."""


def without_t13(levels):
    return tuple(level for level in levels if level is not Level.T13 or Level.T12 not in levels or Level.L6 in levels)


def rows(evaluation, key: str, method: str) -> list[dict]:
    table = evaluation.table(key)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows if method in row[:2]]
