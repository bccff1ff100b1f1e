"""The snapshot of a result: sagittal and coronal planes bent along the column, the vertebrae in colour and named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import BONES
from ..errors import SpineError
from ..io.formats import named_for_itk
from ..parts import start_of
from ..spine import Centroids, Point, SpineBox
from .lettering import HEIGHT, lettering

WINDOW = (-250.0, 1000.0)
"""HU shown black and white."""

PIXEL = 0.5  # mm
BEYOND = 45.0  # mm shown above and below the outermost centroids
FRONT, BACK, SIDE = 60.0, 90.0, 75.0  # mm shown round the column
GAP = 12  # pixels


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane bent along the column.

    Attributes:
        points: (rows, columns, 3) LPS mm; rows from the head down, columns along ``axis``, ``PIXEL`` apart.
        axis: 1 for sagittal (columns from front to back), 0 for coronal (from the patient's right to left).
    """

    points: np.ndarray
    axis: int

    def place(self, position: Point) -> tuple[int, int]:
        """Row and column of a point projected onto the plane."""
        row = (self.points[0, 0, 2] - position[2]) / PIXEL
        return round(row), round((position[self.axis] - self.points[0, 0, self.axis]) / PIXEL)


def planes(centroids: np.ndarray, scan: SpineBox) -> tuple[Plane, Plane]:
    """The sagittal and the coronal plane through the centroids (N, 3), cut at the border of the scan.

    Every row lies at one height and follows the line between the centroids, so that a bent spine is seen whole.
    Without centroids, the planes go through the middle of the scan.
    """
    lower, upper = np.array(scan.lower), np.array(scan.upper)
    line = centroids[np.argsort(centroids[:, 2])] if len(centroids) else ((lower + upper) / 2)[None]
    reach = BEYOND if len(centroids) else np.inf
    top, bottom = min(line[-1, 2] + reach, upper[2]), max(line[0, 2] - reach, lower[2])
    # Centroids outside the scan leave at least a line to draw.
    z = np.arange(max(top, bottom + PIXEL), bottom, -PIXEL)
    bent = [np.interp(z, line[:, 2], line[:, axis]) for axis in (0, 1)]

    def plane(axis: int, before: float, behind: float) -> Plane:
        low, high = max(line[:, axis].min() - before, lower[axis]), min(line[:, axis].max() + behind, upper[axis])
        along = np.arange(low, max(high, low + PIXEL), PIXEL)
        points = np.empty((len(z), len(along), 3))
        points[..., 0], points[..., 1], points[..., 2] = bent[0][:, None], bent[1][:, None], z[:, None]
        points[..., axis] = along
        return Plane(points, axis)

    return plane(1, FRONT, BACK), plane(0, SIDE, SIDE)


def look_up(
    image: sitk.Image, points: np.ndarray, outside: float, order: Literal[0, 1] = 0, grid: sitk.Image | None = None
) -> np.ndarray:
    """The values of an image at points (..., 3) in LPS mm, nearest (order 0) or linear (order 1).

    Args:
        grid: of which the image is a part. Points half way between two voxels then go to the same one as in the whole.
    """
    grid = image if grid is None else grid
    to_index = np.linalg.inv(np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing())
    index = (points - grid.GetOrigin()) @ to_index.T - start_of(image, grid)
    coordinates = np.moveaxis(index[..., ::-1], -1, 0)
    array = sitk.GetArrayViewFromImage(image)
    return ndimage.map_coordinates(array, coordinates, order=order, mode="grid-constant", cval=outside)


def snapshot(ct: sitk.Image, label_map: sitk.Image, centroids: Centroids) -> np.ndarray:
    """The picture of a result, uint8 RGB (rows, columns, 3): sagittal on the left, coronal on the right.

    Args:
        ct: HU.
        label_map: uint8 VerSe codes on the grid of the CT, or a part of it.
        centroids: LPS mm; those in the picture are marked and named.
    """
    both = [_draw(plane, ct, label_map, centroids) for plane in planes(centroids.positions, SpineBox.of_image(ct))]
    height = both[0].shape[0] + 2 * GAP
    picture = np.zeros((height, sum(part.shape[1] for part in both) + 3 * GAP, 3), np.uint8)
    left = GAP
    for part in both:
        picture[GAP : GAP + part.shape[0], left : left + part.shape[1]] = part
        left += part.shape[1] + GAP
    return picture


def write_picture(picture: np.ndarray, path: Path) -> None:
    """Writes uint8 RGB (rows, columns, 3) as PNG.

    Raises:
        SpineError: it cannot be written.
    """
    try:
        with named_for_itk(path) as name:
            sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), name, useCompression=True)
    except (OSError, RuntimeError) as error:
        raise SpineError(f"{path} cannot be written; check the folder, its rights and the free space") from error


def _draw(plane: Plane, ct: sitk.Image, label_map: sitk.Image, centroids: Centroids) -> np.ndarray:
    low, high = WINDOW
    grey = np.clip((look_up(ct, plane.points, -1024, order=1).astype(np.float32) - low) / (high - low), 0, 1)
    image = np.repeat(grey[..., None], 3, axis=2)
    labels = look_up(label_map, plane.points, 0, grid=ct)
    inner = ndimage.minimum_filter(labels, 3) == ndimage.maximum_filter(labels, 3)
    for level in BONES.values():
        mine = labels == level
        image[mine] = 0.65 * image[mine] + 0.35 * np.array(level.color)
        image[mine & ~inner] = level.color
    for centroid in centroids:
        _write(image, centroid.level.name, *plane.place(centroid.position))
    return np.rint(255 * image).astype(np.uint8)


def _write(image: np.ndarray, text: str, row: int, column: int) -> None:
    """White letters with a dark rim, centred at a place; nothing if that lies outside."""
    letters = np.pad(lettering(text, 2), 2)
    rim = ndimage.binary_dilation(letters, np.ones((3, 3), bool), iterations=2)
    top, left = row - HEIGHT - 2, column - letters.shape[1] // 2
    bottom, right = top + letters.shape[0], left + letters.shape[1]
    if not (0 <= row < image.shape[0] and 0 <= column < image.shape[1]):
        return
    kept = tuple(
        slice(max(-start, 0), size - max(stop - limit, 0))
        for start, stop, size, limit in zip((top, left), (bottom, right), letters.shape, image.shape, strict=False)
    )
    part = image[max(top, 0) : bottom, max(left, 0) : right]
    part[rim[kept]] *= 0.25
    part[letters[kept]] = 1.0
