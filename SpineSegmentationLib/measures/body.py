"""The vertebral body: its frame, its two end-plates and its walls, told from the arch by the vertebral canal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy import Level
from .frame import Frame
from .local_mask import LocalMask, SoftMask, crossing
from .surface import between, misfit
from .symmetry import mirror_line

STEP = {"cervical": 0.6, "thoracic": 1.0, "lumbar": 1.0}
"""mm, the voxel size of the local grid."""

LOWER, UPPER = (-45, -32, -34), (45, 62, 34)
"""Voxels of the local grid before and behind the centre, left, posterior, up: any vertebra and its canal fit."""

SLAB = 3.0
"""mm to each side of the mid-sagittal plane over which profiles are averaged."""

SETTLED = np.sin(np.deg2rad(0.5))
"""Sine of the turn after which the frame of a body is not refined any more."""

SLOPES = 0.05, 0.12
"""How far end-plates lean aside and forward from the axis of their body, in mm per mm: standard deviations. Only what
the slices of a mask leave open follows these and the two below."""

DISH = 1.2, 1.5
"""mm by which the rim of an end-plate stands above its middle: mean and standard deviation."""

STRAY = 0.7
"""mm by which an end-plate strays from plane and dish near its edges and in its middle: standard deviation."""

UNDER = (1.0, 1.75, 2.5, 3.5, 5.0)
"""mm under an end-plate's rim at which its front and back edge are looked for; the outermost place counts."""


@dataclass(frozen=True, eq=False)
class EndPlate:
    """An end-plate of a body.

    Attributes:
        normal: (3,) unit, LPS, towards the head.
        front, middle, back: (3,) LPS mm, in the mid-sagittal plane: the edges where the end-plate, continued, meets the
            front and the back wall, and the bone half-way between.
        centre: (3,) LPS mm, of the plane through the rim.
        spread: mm, mean thickness of the bone that strays from plane and dish: how even the mask is.
    """

    normal: np.ndarray
    front: np.ndarray
    middle: np.ndarray
    back: np.ndarray
    centre: np.ndarray
    spread: float = 0.0

    @property
    def depth(self) -> float:
        """mm from the front to the back edge."""
        return float(np.linalg.norm(self.back - self.front))


@dataclass(frozen=True, eq=False)
class Body:
    """A vertebral body.

    Attributes:
        frame: origin in its centre, up the mean of the normals of the end-plates, left from the mirror plane of the
            whole vertebra.
        upper, lower: end-plates; C2 has no upper one.
        width, depth: mm, left-right in front of the pedicles and front-back, at mid-height. Bodies have a waist, so
            this is less than at the end-plates; the width of a cervical body is that over its lower end-plate.
    """

    frame: Frame
    upper: EndPlate | None
    lower: EndPlate
    width: float
    depth: float

    @property
    def height(self) -> float:
        """mm between the planes of the end-plates in the middle; of C2 twice from its centre to the lower one."""
        upper = self.frame.origin if self.upper is None else self.upper.centre
        return float((upper - self.lower.centre) @ self.frame.up) * (2 if self.upper is None else 1)

    def holds(self, points: np.ndarray, within: float = 0.0) -> np.ndarray:
        """Boolean (...): which points (..., 3; LPS mm) of the vertebra lie between the walls, ``within`` mm from them.

        In front of the back wall, which runs between the back edges of the end-plates, and not further aside than the
        body is wide: what is left of a vertebra's mask then is its body.
        """
        local = self.frame.local(points)
        bottom = self.frame.local(self.lower.back)
        top = np.array([0.0, bottom[1], -bottom[2]]) if self.upper is None else self.frame.local(self.upper.back)
        share = (local[..., 2] - bottom[2]) / max(top[2] - bottom[2], 1.0)
        wall = bottom[1] + np.clip(share, 0, 1) * (top[1] - bottom[1])
        return (local[..., 1] <= wall - within) & (np.abs(local[..., 0]) <= 0.6 * self.width - within)


@dataclass(frozen=True)
class _Middle:
    """Where the body is in a local grid, mm: its centre (y, z), depth, width and height at mid-height."""

    y: float
    z: float
    back: float
    depth: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class _Plane:
    """An end-plate in a local grid: height of its rim above the middle of the body in mm, slope along y, how far the
    rim stands above the middle of the dish in mm, unit normal, spread."""

    offset: float
    slope: float
    dish: float
    normal: np.ndarray
    spread: float


def find_body(mask: SoftMask, level: Level, start: Frame) -> Body | None:
    """The body of a vertebra.

    Args:
        mask: of the whole vertebra, softened for ``STEP``.
        start: origin inside the body, up roughly along the column, back roughly towards the arch.

    Returns:
        None where there is no body to be found: C1, or a start outside the mask.
    """
    if level is Level.C1:
        return None
    frame = start
    for _ in range(4):
        local = mask.on(frame, LOWER, UPPER)
        angle, shift = mirror_line(local)
        left = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), 0.0])
        turned = np.stack([left, np.cross([0.0, 0.0, 1.0], left), [0.0, 0.0, 1.0]], axis=1)
        frame = Frame(frame.lps(shift * left), frame.axes @ turned)
        local = mask.on(frame, LOWER, UPPER)
        middle = _middle(local, level)
        if middle is None:
            return None
        lower = _plane(mask, local, middle, level, -1)
        upper = None if level is Level.C2 else _plane(mask, local, middle, level, 1)
        if lower is None or (upper is None and level is not Level.C2):
            return None
        up = frame.up if upper is None else frame.axes @ (upper.normal + lower.normal)
        up = up / np.linalg.norm(up)
        height = middle.z + (0.0 if upper is None else (lower.offset + upper.offset) / 2)
        centre = np.array([0.0, middle.y, height])
        if np.linalg.norm(np.cross(frame.up, up)) < SETTLED:
            break
        frame = Frame.towards(frame.lps(centre), frame.back, up)
    assert middle is not None and lower is not None
    lower_plate = _end_plate(mask, local, middle, lower, -1)
    upper_plate = None if upper is None else _end_plate(mask, local, middle, upper, 1)
    if lower_plate is None or (upper is not None and upper_plate is None):
        return None
    return Body(Frame.towards(frame.lps(centre), frame.back, up), upper_plate, lower_plate, middle.width, middle.depth)


def _middle(local: LocalMask, level: Level) -> _Middle | None:
    """Walks from the middle of the grid to the walls, and once more from the middle that these give."""
    occupancy, y0, z0, back = local.occupancy, 0.0, 0.0, 0.0
    slab = occupancy[:, :, np.abs(local.x) <= SLAB].mean(2)
    height = depth = 12.0
    for _ in range(3):
        columns = slab[:, np.abs(local.y - y0) <= depth / 5]
        top, bottom = (_exits(columns, local.z, z0, way) for way in (1, -1))
        if top is None or bottom is None:
            return None
        height, z0 = top - bottom, (top + bottom) / 2
        rows = slab[np.abs(local.z - z0) <= height / 4].T
        behind, front = (_exits(rows, local.y, y0, way) for way in (1, -1))
        if behind is None or front is None or height < 3:
            return None
        back, depth, y0 = behind, behind - front, (behind + front) / 2
    width = _width(local, level, y0, z0, depth, height)
    return None if width is None else _Middle(y0, z0, back, depth, width, height)


def _width(local: LocalMask, level: Level, y0: float, z0: float, depth: float, height: float) -> float | None:
    """The largest width of a body in front of its pedicles, at mid-height; mm.

    From the sides of a cervical body the transverse processes spring at some height: every line from side to side is
    taken where it is narrowest.
    """
    cervical = level.region == "cervical"
    slices = np.abs(local.z - z0) <= (height / 2 - 1.5 if cervical else height / 8)
    inside = (local.y >= y0 - depth / 4) & (local.y <= y0 + depth / 8)
    part = local.occupancy[slices][:, inside]
    if not part.size:
        return None
    rows = np.moveaxis(part if cervical else part.mean(0, keepdims=True), 2, 0)
    left, right = (_exit_of_each(rows, local.x, 0.0, way) for way in (1, -1))
    widths = np.percentile(np.where(np.isfinite(left - right), left - right, np.inf), 10, axis=0, method="lower")
    widths = widths[np.isfinite(widths)]
    # One ragged line does not count.
    return float(ndimage.median_filter(widths, 3, mode="nearest").max()) if len(widths) else None


def _exit_of_each(lines: np.ndarray, where: np.ndarray, start: float, way: int) -> np.ndarray:
    """mm at which each line (n, m) first leaves the mask, seen from ``start`` forwards (1) or backwards (-1)."""
    part = where >= start if way > 0 else where <= start
    return crossing(1 - lines[part][::way], where[part][::way])


def _exits(lines: np.ndarray, where: np.ndarray, start: float, way: int) -> float | None:
    """The median over the lines that start inside; None if most of them do not."""
    inside = lines[np.argmin(np.abs(where - start))] >= 0.5
    if np.count_nonzero(inside) * 2 < len(inside) or not len(inside):
        return None
    found = _exit_of_each(lines[:, inside], where, start, way)
    return None if np.all(np.isnan(found)) else float(np.nanmedian(found))


def _plane(mask: SoftMask, local: LocalMask, middle: _Middle, level: Level, way: int) -> _Plane | None:
    """The plane of the upper (1) or lower (-1) end-plate."""
    # The uncus of a cervical body rises at its sides.
    reach = 0.6 if level.region == "cervical" else 0.85
    places, inside = _beyond(mask, local.frame, middle, way, reach * middle.width / 2, reach * middle.depth / 2)
    x, y, z = places.T
    ring = np.hypot(x / (middle.width / 2), y / (middle.depth / 2))
    seen = ring <= reach
    if not inside[seen].any():
        return None
    mean = np.array([way * middle.height / 2, 0.0, 0.0, way * DISH[0]])
    design = np.stack([np.ones_like(x), x, y, ring**2 - 1], axis=1)[seen]
    fit = between(design, z[seen], inside[seen], mean, np.array([10.0, *SLOPES, DISH[1]]), way)
    normal = np.array([-fit[1], -fit[2], 1.0])
    astray = misfit(design, z[seen], inside[seen], fit, way) * mask.voxel
    spread = astray / (np.pi * reach**2 * middle.width * middle.depth / 4)
    return _Plane(float(fit[0]), float(fit[2]), float(fit[3]), normal / np.linalg.norm(normal), spread)


def _beyond(
    mask: SoftMask, frame: Frame, middle: _Middle, way: int, half_x: float, half_y: float
) -> tuple[np.ndarray, np.ndarray]:
    """The voxels from the middle of a body to beyond an end-plate: centres from that middle, and which are inside."""
    ends = sorted((0.0, way * (middle.height / 2 + 14)))
    centre = np.array([0.0, middle.y, middle.z])
    places, inside = mask.voxels(frame, centre + (-half_x, -half_y, ends[0]), centre + (half_x, half_y, ends[1]))
    return places - centre, inside


def _end_plate(mask: SoftMask, local: LocalMask, middle: _Middle, plane: _Plane, way: int) -> EndPlate | None:
    """The upper (1) or lower (-1) end-plate with its edges."""
    slab = local.occupancy[:, :, np.abs(local.x) <= SLAB].mean(2)
    fine = np.arange(middle.y - middle.depth - 4, middle.back + 6.5, local.step / 2)
    line = middle.z + plane.offset + plane.slope * (fine - middle.y) - way * np.array(UNDER)[:, None]
    where = np.stack([(line - local.z[0]) / local.step, np.broadcast_to((fine - local.y[0]) / local.step, line.shape)])
    values = ndimage.map_coordinates(slab, where, order=1, cval=0.0).T
    before, behind = fine <= middle.y, fine >= middle.y
    fronts = crossing(values[before], fine[before])
    backs = crossing(values[behind][::-1], fine[behind][::-1])
    if np.all(np.isnan(fronts)) or np.all(np.isnan(backs)):
        return None
    front, back = float(np.nanmin(fronts)) - middle.y, float(np.nanmax(backs)) - middle.y
    if not back - front > middle.depth / 2:
        return None

    def model(y: np.ndarray) -> np.ndarray:
        return plane.offset + plane.slope * y + plane.dish * ((2 * y / middle.depth) ** 2 - 1)

    places, inside = _beyond(mask, local.frame, middle, way, SLAB, middle.depth)
    points = edges_and_middle(places, inside, (front, back), middle.depth, model, way)
    centre = (0.0, middle.y, middle.z)
    first, half_way, last = local.frame.lps(points + centre)
    rim = local.frame.lps(np.add(centre, (0, 0, plane.offset)))
    return EndPlate(local.frame.axes @ plane.normal, first, half_way, last, rim, plane.spread)


def edges_and_middle(
    places: np.ndarray,
    inside: np.ndarray,
    ends: tuple[float, float],
    depth: float,
    model: Callable[[np.ndarray], np.ndarray],
    way: int,
) -> np.ndarray:
    """(3, 3) mm: the front edge, the middle and the back edge of an end-plate in the mid-sagittal plane.

    At the edges the rim is rounded: there the end-plate strays from its model as much as beside them.

    Args:
        places: (n, 3) mm of the voxels near the mid-sagittal plane; ``inside``: which are of the bone.
        ends: mm along y, of the edges.
        depth: mm, of the end-plate.
        model: its height at places along y.
        way: 1 for an upper end-plate, -1 for a lower one.
    """
    front, back = ends
    halfway, wide = (front + back) / 2, 0.2 * depth
    spans = (
        (front + 1, front + 1 + wide),
        (halfway - 0.4 * wide - 0.5, halfway + 0.4 * wide + 0.5),
        (back - 1 - wide, back - 1),
    )
    points = []
    for y, span in zip((front, halfway, back), spans, strict=True):
        # Deeper under the end-plate the waist begins.
        part = (places[:, 1] >= span[0]) & (places[:, 1] <= span[1]) & (way * (model(places[:, 1]) - places[:, 2]) <= 4)
        stray = between(
            np.ones((np.count_nonzero(part), 1)), places[part, 2] - model(places[part, 1]), inside[part],
            np.zeros(1), np.array([STRAY]), way,
        )  # fmt: skip
        points.append([0.0, y, float(model(np.array(y)) + stray[0])])
    return np.array(points)
