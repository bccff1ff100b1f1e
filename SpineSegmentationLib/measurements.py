"""What is measured on each vertebra: volume, size of the body, density of its core."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .anatomy import Level, may_follow
from .spine import Centroid, Centroids

HALF_SIZE = np.array([38, 32, 28])
"""Voxels from the centroid to the border of the local grid, left, posterior, up: the body of any vertebra fits."""

STEP = {"cervical": 0.6, "thoracic": 1.0, "lumbar": 1.0}
"""mm, the voxel size of the local grid."""

COLUMNS = ("label", "volume_mm3", "height_mm", "width_mm", "depth_mm", "trabecular_hu", "completeness", "confidence")


@dataclass(frozen=True)
class Measurement:
    """One vertebra; NaN where a value is not defined.

    The body is measured in the frame of the vertebra: its axis runs along the neighbouring centroids (patient's
    superior without any), posterior is where the arch lies. C1 has no body, C2 no upper end-plate and so no height; a
    body cut by the border of the scan has no height, width and depth.

    Attributes:
        level: which vertebra.
        volume: of the mask, mm3.
        height: between the end-plates, median over the middle half of the body, mm. As end-plates are concave, this
            is less than at the rims.
        width, depth: left-right and front-back at mid-height through the centroid, without pedicles, mm. As bodies
            have a waist, this is less than at the end-plates. Cervical bodies come out about 3 mm too wide, as the
            roots of the transverse processes count.
        density: mean HU of the trabecular core: what lies at least half as deep as the deepest place of the body.
        complete: whether the scan shows all of it: what the segmenter says, or else whether the mask keeps away from
            the border of the scan.
        confidence: of the level's name, 0..1.
    """

    level: Level
    volume: float
    height: float = math.nan
    width: float = math.nan
    depth: float = math.nan
    density: float = math.nan
    complete: bool = True
    confidence: float = math.nan


def measure(
    ct: sitk.Image, label_map: sitk.Image, centroids: Centroids, complete: Mapping[Level, bool] | None = None
) -> list[Measurement]:
    """Measures every vertebra of a label map, from the head down.

    Args:
        ct: HU; only its values count, it may lie on another grid than the label map.
        label_map: uint8 VerSe codes.
        centroids: LPS mm. A vertebra without one gets volume and completeness alone.
        complete: what a segmenter said of completeness; where it said nothing the border of the scan decides.
    """
    said = complete or {}
    labels = sitk.GetArrayViewFromImage(label_map)
    places = ndimage.find_objects(labels, max_label=max(Level))
    found = sorted((level for level in Level if places[level - 1] is not None), key=lambda level: level.rank)
    measured = [_measure_one(ct, label_map, labels, level, places[level - 1], centroids) for level in found]
    return [replace(one, complete=said.get(one.level, one.complete)) for one in measured]


def _measure_one(
    ct: sitk.Image,
    label_map: sitk.Image,
    labels: np.ndarray,
    level: Level,
    place: tuple[slice, slice, slice],
    centroids: Centroids,
) -> Measurement:
    voxels = np.argwhere(labels[place] == level)[:, ::-1] + [axis.start for axis in reversed(place)]
    volume = len(voxels) * math.prod(label_map.GetSpacing())
    complete = all(axis.start > 0 and axis.stop < size for axis, size in zip(place, labels.shape, strict=True))
    if level not in centroids:
        return Measurement(level, volume, complete=complete)
    centroid = centroids[level]
    middle = np.array(label_map.TransformContinuousIndexToPhysicalPoint(voxels.mean(0).tolist()))
    body = None if level is Level.C1 else _Body.of(label_map, centroid, _frame(centroid, centroids, middle), place)
    if body is None:
        return Measurement(level, volume, complete=complete, confidence=centroid.confidence)
    cut = not complete and body.reaches_border_of(label_map)
    height, width, depth = (math.nan,) * 3 if cut else body.extents()
    if level is Level.C2:
        height = math.nan
    return Measurement(level, volume, height, width, depth, body.density(ct), complete, centroid.confidence)


def _frame(centroid: Centroid, centroids: Centroids, middle_of_mask: np.ndarray) -> np.ndarray:
    """Columns left, posterior, up (LPS): up along the column, posterior towards the middle of the whole vertebra."""
    points = centroids.points
    here = points.index(centroid)
    upper = lower = np.array(centroid.position)
    if here > 0 and may_follow(points[here - 1].level, centroid.level):
        upper = np.array(points[here - 1].position)
    if here + 1 < len(points) and may_follow(centroid.level, points[here + 1].level):
        lower = np.array(points[here + 1].position)
    up = upper - lower if np.any(upper != lower) else np.array([0.0, 0.0, 1.0])
    up = up / np.linalg.norm(up)
    back = middle_of_mask - centroid.position
    back = back - up * (back @ up)
    # A mask without an arch tells no direction.
    if np.linalg.norm(back) < 3:
        back = np.array([0.0, 1.0, 0.0]) - up * up[1]
    back = back / np.linalg.norm(back)
    return np.stack([np.cross(back, up), back, up], axis=1)


@dataclass(frozen=True, eq=False)
class _Body:
    """The vertebral body on a local grid (z, y, x) with the centroid in its middle.

    Attributes:
        grid: the local grid, its voxels cubes.
        occupancy: 0..1, the mask interpolated and without what is no body.
    """

    grid: sitk.Image
    occupancy: np.ndarray

    @classmethod
    def of(
        cls, label_map: sitk.Image, centroid: Centroid, frame: np.ndarray, place: tuple[slice, slice, slice]
    ) -> _Body | None:
        """The body round a centroid: the union of the balls that fit into the mask, nine tenths of the body's least
        extent wide, so that pedicles and processes fall away. None if the centroid lies outside the mask."""
        grid = sitk.Image((2 * HALF_SIZE + 1).tolist(), sitk.sitkUInt8)
        step = STEP[centroid.level.region]
        grid.SetSpacing((step,) * 3)
        grid.SetOrigin((np.array(centroid.position) - frame @ HALF_SIZE * step).tolist())
        grid.SetDirection(frame.ravel().tolist())
        start = [max(axis.start - 1, 0) for axis in reversed(place)]
        stop = [min(axis.stop + 1, n) for axis, n in zip(reversed(place), label_map.GetSize(), strict=True)]
        crop = sitk.RegionOfInterest(label_map, [b - a for a, b in zip(start, stop, strict=True)], start)
        # A softened border lies between the voxels of the local grid where it lay in finer ones.
        sigma = 0.6 * step / np.array(crop.GetSpacing()[::-1])
        voxels = (sitk.GetArrayViewFromImage(crop) == centroid.level).astype(np.float32)
        mask = sitk.GetImageFromArray(ndimage.gaussian_filter(voxels, sigma, mode="nearest"))
        mask.CopyInformation(crop)
        occupancy = sitk.GetArrayFromImage(sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkLinear, 0.0))
        near = _near(3, 3, 3)
        least = min(float(np.median(_extent(occupancy, axis)[_across(near, axis)])) for axis in (0, 1))
        inside = occupancy >= 0.5
        core = ndimage.distance_transform_edt(inside) - 0.5 > 0.4 * least
        if not least or not core.any():
            return None
        # One voxel more than the balls: the true border between inside and outside is interpolated.
        occupancy[ndimage.distance_transform_edt(~core) > 0.4 * least + 1.5] = 0
        return cls(grid, occupancy)

    def extents(self) -> tuple[float, float, float]:
        """Height, width and depth in mm."""
        step = self.grid.GetSpacing()[0]
        thin = _near(2, 2, 2)
        depth = float(np.median(_extent(self.occupancy, 1)[_across(thin, 1)]))
        rows = _extent(self.occupancy, 2)[HALF_SIZE[2] - 2 : HALF_SIZE[2] + 3]
        middle = HALF_SIZE[1]
        # In front of where the pedicles spring.
        width = float(np.median(rows, axis=0)[middle - int(depth / 4) : middle + int(depth / 8) + 1].max())
        central = _near(width / 4, depth / 4, 0)
        height = float(np.median(_extent(self.occupancy, 0)[_across(central, 0)]))
        return height * step, width * step, depth * step

    def density(self, ct: sitk.Image) -> float:
        """Mean HU of the core; NaN if hardly a voxel of it lies in the scan."""
        depth = ndimage.distance_transform_edt(self.occupancy >= 0.5)
        core = depth >= depth.max() / 2
        hu = sitk.Resample(ct, self.grid, sitk.Transform(), sitk.sitkLinear, math.nan, sitk.sitkFloat32)
        values = sitk.GetArrayViewFromImage(hu)[core]
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) >= 20 else math.nan

    def reaches_border_of(self, image: sitk.Image) -> bool:
        """Whether a voxel of the body lies in the outermost voxels, or the outermost millimetre, of the image."""
        local = (np.argwhere(self.occupancy >= 0.5)[:, ::-1] - HALF_SIZE) * self.grid.GetSpacing()
        middle = np.array(self.grid.TransformIndexToPhysicalPoint(HALF_SIZE.tolist()))
        points = middle + local @ np.reshape(self.grid.GetDirection(), (3, 3)).T
        spacing = np.array(image.GetSpacing())
        index = (points - image.GetOrigin()) @ np.reshape(image.GetDirection(), (3, 3)) / spacing
        margin = np.maximum(0.5, 1 / spacing)
        return bool(np.any((index < margin) | (index > np.array(image.GetSize()) - 1 - margin)))


def _near(x: float, y: float, z: float) -> tuple[slice, slice, slice]:
    """The part z,y,x of the local grid within so many voxels of its middle."""
    return tuple(slice(m - int(r), m + int(r) + 1) for m, r in zip(HALF_SIZE[::-1], (z, y, x), strict=True))


def _across(part: tuple[slice, slice, slice], axis: int) -> tuple[slice, ...]:
    return tuple(each for number, each in enumerate(part) if number != axis)


def _extent(occupancy: np.ndarray, axis: int) -> np.ndarray:
    """For each ray along an axis through the middle plane: voxels from there, both ways, to where the occupancy falls
    under one half, with the last step interpolated; 0 for rays that start outside. The array has one axis less."""
    rays = np.moveaxis(occupancy, axis, -1)
    middle = rays.shape[-1] // 2
    total = np.zeros(rays.shape[:-1])
    for half in (rays[..., middle:], rays[..., middle::-1]):
        outside = half < 0.5
        first = np.where(outside.any(-1), outside.argmax(-1), half.shape[-1] - 1)
        last = np.maximum(first - 1, 0)
        a, b = (np.take_along_axis(half, i[..., None], -1)[..., 0] for i in (last, first))
        total += last + np.clip((a - 0.5) / np.maximum(a - b, 1e-6), 0, 1)
    return np.where(rays[..., middle] >= 0.5, total, 0.0)


def table(measurements: list[Measurement]) -> str:
    """The measurements as CSV text with the header ``COLUMNS``; what is not defined stays empty."""

    def text(value: float, digits: int) -> str:
        return "" if math.isnan(value) else f"{value:.{digits}f}"

    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    for m in measurements:
        sizes = (text(value, 1) for value in (m.volume, m.height, m.width, m.depth, m.density))
        complete = "complete" if m.complete else "incomplete"
        writer.writerow([m.level.name, *sizes, complete, text(m.confidence, 3)])
    return lines.getvalue()
