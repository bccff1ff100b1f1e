"""The upper end-plate of the sacrum, where a label map has code 26."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import SACRUM
from .body import SLAB, UNDER, Body, EndPlate, edge_height, robust_fit
from .frame import Frame
from .local_mask import LocalMask, Place, SoftMask, crossing
from .symmetry import mirror_line

LOWER, UPPER = (-45, -35, -30), (45, 45, 25)
"""Voxels of 1 mm of the local grid round the middle of the end-plate."""

HALF = 16.0, 11.0
"""Half axes in mm of the ellipse in which the end-plate of S1 is fitted, across and along."""


def sacral_plate(label_map: sitk.Image, place: Place, above: Body) -> EndPlate | None:
    """The upper end-plate of S1 under a vertebra; None where it is not seen there.

    Args:
        place: slices (z, y, x) that hold all voxels of the sacrum.
    """
    mask = SoftMask(label_map, SACRUM, place, 1.0)
    frame = Frame(above.lower.centre - 8 * above.frame.up, above.frame.axes)
    for step in range(5):
        local = mask.on(frame, LOWER, UPPER)
        x, y = np.meshgrid(local.x, local.y, indexing="xy")
        top = crossing(local.occupancy[::-1], local.z[::-1])
        ring = np.hypot(x / HALF[0], y / HALF[1])
        seen = (ring <= 1) & np.isfinite(top)
        if np.count_nonzero(seen) < 100:
            return None
        design = np.stack([np.ones(seen.sum()), x[seen], y[seen], ring[seen] ** 2 - 1], axis=1)
        fit, spread = robust_fit(design, top[seen])
        edges = _edges(local, fit)
        if edges is None:
            return None
        normal = frame.axes @ (np.array([-fit[1], -fit[2], 1.0]) / np.sqrt(1 + fit[1] ** 2 + fit[2] ** 2))
        middle = sum(edges) / 2
        if step == 4 or (abs(middle) < 0.5 and normal @ frame.up > np.cos(np.deg2rad(0.5))):
            break
        _, shift = mirror_line(local)
        frame = Frame.towards(frame.lps(np.array([shift, middle, fit[0]])), frame.back, normal)
    assert edges is not None
    slab = local.occupancy[:, :, np.abs(local.x) <= SLAB].mean(2)
    profile = crossing(slab[::-1], local.z[::-1])
    depth = edges[1] - edges[0]

    def model(y: np.ndarray) -> np.ndarray:
        return fit[0] + fit[2] * y + fit[3] * ((y / HALF[1]) ** 2 - 1)

    heights = [edge_height(profile, local.y, edge, way, depth, model) for edge, way in zip(edges, (1, -1), strict=True)]
    near = profile[np.abs(local.y - middle) <= 0.08 * depth + 0.5]
    if not np.all(np.isfinite(heights)) or not np.any(np.isfinite(near)):
        return None
    points = np.array([[0, edges[0], heights[0]], [0, middle, np.nanmedian(near)], [0, edges[1], heights[1]]])
    front, half_way, back = frame.lps(points)
    return EndPlate(normal, front, half_way, back, frame.lps(np.array([0.0, middle, fit[0]])), spread)


def _edges(local: LocalMask, fit: np.ndarray) -> tuple[float, float] | None:
    """The promontory and the back edge, mm along y: where lines under the end-plate leave the bone."""
    slab = local.occupancy[:, :, np.abs(local.x) <= SLAB].mean(2)
    line = fit[0] + fit[2] * local.y - np.array(UNDER)[:, None]
    where = np.stack([line - local.z[0], np.broadcast_to(local.y - local.y[0], line.shape)])
    values = ndimage.map_coordinates(slab, where, order=1, cval=0.0).T
    before, behind = local.y <= 0, local.y >= 0
    fronts = crossing(1 - values[before][::-1], local.y[before][::-1])
    backs = crossing(1 - values[behind], local.y[behind])
    if np.all(np.isnan(fronts)) or np.all(np.isnan(backs)):
        return None
    front, back = float(np.nanmin(fronts)), float(np.nanmax(backs))
    return (front, back) if back - front > 12 else None
