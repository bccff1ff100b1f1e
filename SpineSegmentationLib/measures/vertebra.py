"""All that is measured on one vertebra by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..anatomy import Level
from ..spine import Centroid, Centroids
from .body import STEP, Body, find_body
from .density import Density, density_of
from .frame import start_frame
from .heights import Heights, heights_of, no_heights
from .local_mask import Place, SoftMask
from .quality import thickness_along
from .quantity import Quantity, missing


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra.

    Attributes:
        level: which.
        confidence: of its name, 0..1; NaN without a centroid.
        volume: of the mask, mm3.
        complete: whether the scan shows all of it: what the segmenter says, or else whether the mask keeps away from
            the border of the scan.
        body: None where there is none to be found, or the border of the scan cuts it.
        thickness: mm, length of the voxels along the axis of the body.
        heights, width, depth: mm, of the body.
        density: of its trabecular bone.
        why: why there is no body.
        mask_confidence: how good the mask is likely to be, 0..1; NaN where no segmenter said.
    """

    level: Level
    confidence: float
    volume: float
    complete: bool
    body: Body | None
    thickness: float
    heights: Heights
    width: Quantity
    depth: Quantity
    density: Density
    why: str = ""
    mask_confidence: float = math.nan


def measure_vertebra(
    ct: sitk.Image, label_map: sitk.Image, level: Level, place: Place, centroids: Centroids
) -> Vertebra:
    """Measures one vertebra of a label map.

    Args:
        ct: HU; only its values count, it may lie on another grid than the label map.
        label_map: uint8 VerSe codes.
        place: slices (z, y, x) that hold all voxels of the level.
        centroids: LPS mm. A vertebra without one gets volume and completeness alone.
    """
    labels = sitk.GetArrayViewFromImage(label_map)
    voxels = np.argwhere(labels[place] == level)[:, ::-1] + [axis.start for axis in reversed(place)]
    volume = len(voxels) * math.prod(label_map.GetSpacing())
    complete = all(axis.start > 0 and axis.stop < size for axis, size in zip(place, labels.shape, strict=True))
    if level not in centroids:
        return _without_body(level, math.nan, volume, complete, "no centroid belongs to this vertebra")
    centroid = centroids[level]
    body = _body_of(label_map, level, place, voxels, centroid, centroids)
    if body is None:
        why = "the atlas has no body" if level is Level.C1 else "no body was found round the centroid: check the mask"
        return _without_body(level, centroid.confidence, volume, complete, why)
    density = density_of(ct, label_map, int(level), body)
    if not complete and _is_cut(voxels, label_map, body):
        why = "cut by the border of the scan"
        return _without_body(level, centroid.confidence, volume, complete, why, density)
    thickness = thickness_along(label_map, body.frame.up)
    across = 0.5 * max(thickness_along(label_map, axis) for axis in (body.frame.left, body.frame.back))
    width, depth = (Quantity(value, np.hypot(0.3, across)) for value in (body.width, body.depth))
    heights = heights_of(body, thickness)
    return Vertebra(level, centroid.confidence, volume, complete, body, thickness, heights, width, depth, density)


def _without_body(
    level: Level, confidence: float, volume: float, complete: bool, why: str, density: Density | None = None
) -> Vertebra:
    none = missing(why)
    found = density or Density(none)
    return Vertebra(level, confidence, volume, complete, None, math.nan, no_heights(why), none, none, found, why)


def _body_of(
    label_map: sitk.Image, level: Level, place: Place, voxels: np.ndarray, centroid: Centroid, centroids: Centroids
) -> Body | None:
    behind = np.array(label_map.TransformContinuousIndexToPhysicalPoint(voxels.mean(0).tolist()))
    mask = SoftMask(label_map, int(level), place, STEP[level.region])
    return find_body(mask, level, start_frame(centroid, centroids, behind))


def _is_cut(voxels: np.ndarray, image: sitk.Image, body: Body) -> bool:
    """Whether a voxel (n, 3; x, y, z) of the body lies in the outermost voxels, or millimetre, of the image."""
    matrix = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    margin = np.maximum(0.5, 1 / np.array(image.GetSpacing()))
    outer = voxels[np.any((voxels < margin) | (voxels > np.array(image.GetSize()) - 1 - margin), axis=1)]
    return bool(np.any(body.holds(outer @ matrix.T + image.GetOrigin())))


def body_voxels(label_map: sitk.Image, vertebra: Vertebra, place: Place) -> np.ndarray:
    """Boolean, of the shape of ``place``: the voxels of a vertebra's body, without its arch."""
    mask = sitk.GetArrayViewFromImage(label_map)[place] == vertebra.level
    if vertebra.body is None:
        return np.zeros_like(mask)
    index = np.argwhere(mask)
    matrix = np.reshape(label_map.GetDirection(), (3, 3)) * label_map.GetSpacing()
    points = (index[:, ::-1] + [axis.start for axis in reversed(place)]) @ matrix.T + label_map.GetOrigin()
    inside = index[vertebra.body.holds(points)]
    result = np.zeros_like(mask)
    result[tuple(inside.T)] = True
    return result
