"""The upper end-plate of the sacrum, where a label map has code 26."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import SACRUM
from .body import DISH, SLAB, UNDER, Body, EndPlate, edges_and_middle
from .frame import Frame
from .local_mask import LocalMask, Place, SoftMask, crossing
from .surface import between
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
        top = crossing(local.occupancy[::-1], local.z[::-1])[np.hypot(x / HALF[0], y / HALF[1]) <= 1]
        if np.count_nonzero(np.isfinite(top)) < 100:
            return None
        height = float(np.nanmedian(top))
        places, inside = mask.voxels(frame, np.array([-HALF[0], -HALF[1], height - 10]), np.array([*HALF, height + 15]))
        x, y, z = places.T
        ring = np.hypot(x / HALF[0], y / HALF[1])
        seen = ring <= 1
        design = np.stack([np.ones_like(x), x, y, ring**2 - 1], axis=1)[seen]
        expected = np.array([height, 0.0, 0.0, DISH[0]])
        fit = between(design, z[seen], inside[seen], expected, np.array([10.0, 0.1, 0.3, DISH[1]]), 1)
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

    def model(y: np.ndarray) -> np.ndarray:
        return fit[0] + fit[2] * y + fit[3] * ((y / HALF[1]) ** 2 - 1)

    ends = np.array([[-SLAB, edges[0], fit[0] - 10], [SLAB, edges[1], fit[0] + 15]])
    places, inside = mask.voxels(frame, ends[0], ends[1])
    front, half_way, back = frame.lps(edges_and_middle(places, inside, edges, edges[1] - edges[0], model, 1))
    return EndPlate(normal, front, half_way, back, frame.lps(np.array([0.0, middle, fit[0]])))


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
