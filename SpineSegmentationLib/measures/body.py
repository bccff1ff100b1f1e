"""The vertebral body: its frame, its two end-plates and its walls, told from the arch by the vertebral canal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..anatomy import Level
from .frame import Frame
from .local_mask import LocalMask, SoftMask, crossing
from .symmetry import mirror_line

STEP = {"cervical": 0.6, "thoracic": 1.0, "lumbar": 1.0}
"""mm, the voxel size of the local grid."""

LOWER, UPPER = (-45, -32, -34), (45, 62, 34)
"""Voxels of the local grid before and behind the centre, left, posterior, up: any vertebra and its canal fit."""

SLAB = 3.0
"""mm to each side of the mid-sagittal plane over which profiles are averaged."""

SETTLED = np.sin(np.deg2rad(0.5))
"""Sine of the turn after which the frame of a body is not refined any more."""

SPRINGS = 2.0
"""mm from one line of the local grid to the next behind it: no body widens so fast, but for a process at its side."""

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
        spread: mm, robust standard deviation of the bone from plane and dish.
    """

    normal: np.ndarray
    front: np.ndarray
    middle: np.ndarray
    back: np.ndarray
    centre: np.ndarray
    spread: float

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
            this is less than at the end-plates; cervical bodies come out up to 7 mm too wide, as the roots of the
            transverse processes count.
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
    """An end-plate in a local grid: height of its rim above the middle in mm, slope along y, depth of its dish in mm
    (below the rim), unit normal, spread."""

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
        middle = _middle(local)
        if middle is None:
            return None
        lower = _plane(local, middle, level, -1)
        upper = None if level is Level.C2 else _plane(local, middle, level, 1)
        if lower is None or (upper is None and level is not Level.C2):
            return None
        up = frame.up if upper is None else frame.axes @ (upper.normal + lower.normal)
        up = up / np.linalg.norm(up)
        height = middle.z if upper is None else (lower.offset + upper.offset) / 2
        centre = np.array([0.0, middle.y, height])
        if np.linalg.norm(np.cross(frame.up, up)) < SETTLED:
            break
        frame = Frame.towards(frame.lps(centre), frame.back, up)
    assert middle is not None and lower is not None
    lower_plate = _end_plate(local, middle, lower, -1)
    upper_plate = None if upper is None else _end_plate(local, middle, upper, 1)
    if lower_plate is None or (upper is not None and upper_plate is None):
        return None
    return Body(Frame.towards(frame.lps(centre), frame.back, up), upper_plate, lower_plate, middle.width, middle.depth)


def _middle(local: LocalMask) -> _Middle | None:
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
    slices = np.abs(local.z - z0) <= height / 8
    inside = (local.y >= y0 - depth / 4) & (local.y <= y0 + depth / 8)
    rows = occupancy[slices][:, inside].mean(0).T
    ends = [_exit_of_each(rows, local.x, 0.0, way) for way in (1, -1)]
    if np.all(np.isnan(ends[0])) or np.all(np.isnan(ends[1])):
        return None
    return _Middle(y0, z0, back, depth, _width(ends[0] - ends[1]), height)


def _width(widths: np.ndarray) -> float:
    """The largest of the widths of a body from front to back, up to where something springs from its sides.

    The foremost is that of the body alone. Transverse processes widen a cervical body at a stroke.
    """
    known = widths[~np.isnan(widths)]
    springs = np.flatnonzero(np.diff(known) > SPRINGS)
    return float(known[: springs[0] + 1 if len(springs) else None].max())


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


def _plane(local: LocalMask, middle: _Middle, level: Level, way: int) -> _Plane | None:
    """The plane of the upper (1) or lower (-1) end-plate."""
    part, heights = _beyond(local, middle, way)
    x, y = np.meshgrid(local.x, local.y - middle.y, indexing="xy")
    ring = np.hypot(x / (middle.width / 2), y / (middle.depth / 2))
    # The uncus of a cervical body rises at its sides.
    seen = ring <= (0.6 if level.region == "cervical" else 0.85)
    z = crossing(local.occupancy[part][::-way][:, seen], heights)
    there = np.isfinite(z)
    if np.count_nonzero(there) < 20:
        return None
    x, y, ring, z = x[seen][there], y[seen][there], ring[seen][there], z[there]
    fit, spread = robust_fit(np.stack([np.ones_like(x), x, y, ring**2 - 1], axis=1), z)
    normal = np.array([-fit[1], -fit[2], 1.0])
    return _Plane(float(fit[0]), float(fit[2]), float(fit[3]), normal / np.linalg.norm(normal), spread)


def _beyond(local: LocalMask, middle: _Middle, way: int) -> tuple[np.ndarray, np.ndarray]:
    """The layers from the middle to beyond an end-plate: which, and their heights from outside inwards."""
    part = ((local.z - middle.z) * way >= 0) & ((local.z - middle.z) * way <= middle.height / 2 + 14)
    return part, local.z[part][::-way]


def _end_plate(local: LocalMask, middle: _Middle, plane: _Plane, way: int) -> EndPlate | None:
    """The upper (1) or lower (-1) end-plate with its edges."""
    slab = local.occupancy[:, :, np.abs(local.x) <= SLAB].mean(2)
    fine = np.arange(middle.y - middle.depth - 4, middle.back + 6.5, local.step / 2)
    line = plane.offset + plane.slope * (fine - middle.y) - way * np.array(UNDER)[:, None]
    where = np.stack([(line - local.z[0]) / local.step, np.broadcast_to((fine - local.y[0]) / local.step, line.shape)])
    values = ndimage.map_coordinates(slab, where, order=1, cval=0.0).T
    before, behind = fine <= middle.y, fine >= middle.y
    fronts = crossing(values[before], fine[before])
    backs = crossing(values[behind][::-1], fine[behind][::-1])
    if np.all(np.isnan(fronts)) or np.all(np.isnan(backs)):
        return None
    front, back = float(np.nanmin(fronts)), float(np.nanmax(backs))
    if not back - front > middle.depth / 2:
        return None
    part, heights = _beyond(local, middle, way)
    profile = crossing(slab[part][::-way], heights)
    halfway = (front + back) / 2
    near = profile[np.abs(local.y - halfway) <= 0.08 * middle.depth + local.step / 2]

    def model(y: np.ndarray) -> np.ndarray:
        along = y - middle.y
        return plane.offset + plane.slope * along + plane.dish * ((2 * along / middle.depth) ** 2 - 1)

    edges = [edge_height(profile, local.y, *end, middle.depth, model) for end in ((front, 1), (back, -1))]
    if not np.any(np.isfinite(near)) or not np.all(np.isfinite(edges)):
        return None
    points = np.array([[0, front, edges[0]], [0, halfway, np.nanmedian(near)], [0, back, edges[1]]])
    places = local.frame.lps(points)
    centre = local.frame.lps(np.array([0.0, middle.y, plane.offset]))
    return EndPlate(local.frame.axes @ plane.normal, places[0], places[1], places[2], centre, plane.spread)


def edge_height(
    profile: np.ndarray, y: np.ndarray, edge: float, way: int, depth: float, model: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Where a profile, continued from beside the rounded rim, meets the wall: mm; NaN if it is not seen.

    Args:
        profile: (n,) mm, of an end-plate at the places ``y`` (n,) mm.
        edge: mm, where the wall is; the end-plate lies beside it forwards (1) or backwards (-1).
        depth: mm, of the end-plate.
        model: the height of plane and dish at any place; the profile strays from it alike near the edge and at it.
    """
    beside = (y - edge) * way
    part = (beside >= 1.0) & (beside <= 1.0 + 0.2 * depth) & np.isfinite(profile)
    if np.count_nonzero(part) < 3:
        return np.nan
    return float(model(np.array(edge)) + np.median(profile[part] - model(y[part])))


def robust_fit(design: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients of least squares reweighted by Tukey's biweight (Beaton and Tukey 1974), and the robust spread."""
    weights = np.ones(len(values))
    for _ in range(8):
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
        residuals = values - design @ coefficients
        spread = 1.4826 * float(np.median(np.abs(residuals)))
        weights = np.clip(1 - (residuals / (4.685 * max(spread, 0.1))) ** 2, 0, None) ** 2
    return coefficients, spread
