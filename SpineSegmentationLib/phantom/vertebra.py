"""The shape of one vertebra, in its own frame, from its dimensions."""

from __future__ import annotations

import numpy as np

from ..anatomy import Level
from .column import Member
from .dimensions import Dimensions
from .grid import Pose
from .shapes import Shape, Vector, bar, ellipsoid, smooth_min

JOINT = 1.3
"""Width in mm of the space kept between neighbouring bones."""


def body(member: Member, osteophytes: np.ndarray) -> Shape:
    """The body: concave end-plates, a waist, a flattened back, lips (front, left, right; mm) at its rims."""
    size = member.size
    half_width, half_depth = np.float32(size.width / 2), np.float32(size.depth / 2)
    lips = osteophytes / min(half_width, half_depth)
    slope = np.float32((size.posterior - size.anterior) / 4)
    waist = np.float32(0.05 if member.level.region == "cervical" else 0.11)
    shallow = member.place < 7  # the uncus: the upper end-plate of a cervical body rises at its sides

    def distance(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        u, v = x / half_width, y / half_depth
        u2, v2 = u * u, v * v
        squared = u2 + v2
        ring = np.sqrt(np.float32(0.6) * squared + np.float32(0.4) * np.sqrt(u2 * u2 + v2 * v2)) + np.float32(1e-3)
        back = np.maximum(v, 0) ** 2 * np.maximum(1 - 1.7 * u2, 0)
        dish = np.maximum(1 - ring * ring, 0)
        half = np.float32(size.height / 2) + slope * np.clip(v, -1, 1) - np.float32(member.sunken) * dish
        if shallow:
            half = half + np.where(z > 0, np.float32(2.2) * np.clip(np.abs(u) - 0.6, 0, 0.5), 0)
        level2 = (z / half) ** 2
        rim = np.minimum(level2, 1.2) ** 4
        lip = lips[0] * np.maximum(-v, 0) ** 2 + np.where(x > 0, lips[1], lips[2]) * u2
        reach = ring + np.float32(0.13) * back + waist * np.maximum(1 - level2, 0) - rim * np.minimum(lip, 0.4)
        radius = np.sqrt(x * x + y * y + np.float32(0.01))
        beside = radius * (1 - 1 / np.maximum(reach, 0.2))
        return -smooth_min(-beside, half - np.abs(z), 1.6)

    grow = float(np.max(osteophytes))
    return Shape(
        Pose(np.zeros(3), np.eye(3)),
        np.array([size.width / 2 + grow, size.depth / 2 + grow, max(size.anterior, size.posterior) / 2 + 1.5]),
        distance,
    )


def _mirrored(make: list[tuple[Vector, Vector, object, object, Vector]], rng: np.random.Generator) -> list[Shape]:
    """Each bar on both sides, its ends moved by about half a millimetre: nobody is symmetric."""
    shapes = []
    for start, end, radius, height, up in make:
        for side in (1, -1):
            a, b = (np.array(p) * (side, 1, 1) + rng.normal(0, 0.45, 3) for p in (start, end))
            shapes.append(bar(tuple(a), tuple(b), radius, height, (up[0] * side, up[1], up[2])))  # type: ignore[arg-type]
    return shapes


UP: Vector = (0.0, 0.0, 1.0)


def arch(member: Member, rng: np.random.Generator) -> list[Shape]:
    """Pedicles, laminae and processes of a vertebra below the atlas."""
    region = {"C": _cervical, "T": _thoracic, "L": _lumbar}[member.level.name[0]]
    paired, single = region(member.level, member.size)
    return _mirrored(paired, rng) + single


def _lumbar(level: Level, size: Dimensions) -> tuple[list, list[Shape]]:
    k = size.canal_depth / 18.0
    back = size.depth / 2 * 0.9
    end = back + size.canal_depth
    top, bottom = size.posterior / 2, -size.posterior / 2
    ped_r = min(size.pedicle_width, size.pedicle_height) / 2
    ped_x = size.canal_width / 2 + size.pedicle_width / 2 - 0.5
    ped_z = top - size.pedicle_height / 2 - 1
    ped_h = max(size.pedicle_height / 2 - ped_r, 0.0)
    low = 1.0 if level in (Level.L5, Level.L6) else 0.0
    sup_x = ped_x + 2.5 * k
    inf_x = sup_x - 6.5 * k + low
    paired = [
        ((ped_x - 1, back - 5, ped_z), (ped_x, back + 0.55 * size.canal_depth, ped_z), ped_r, ped_h, UP),
        # superior articular process with the mammillary process behind it
        (
            (ped_x + 0.5, back + 0.6 * size.canal_depth, ped_z),
            (sup_x + 1, end - 1.5 * k, top + 8 * k),
            (5.6 * k, 4.2 * k),
            (2.0, 3.5),
            (0, 1, 0.2),
        ),
        # pars and inferior articular process
        (
            (ped_x - 1, end - 4 * k, ped_z - 3),
            (inf_x + 1, end + 2 * k, bottom - 2),
            5.2 * k,
            (2.0, 2.5),
            (0.6, -0.3, 0),
        ),
        (
            (inf_x + 1, end + 2 * k, bottom - 1),
            (inf_x, end - 0.5 * k, bottom - size.disc - 4.5 * k),
            (5.6 * k, 4.6 * k),
            (1.5, 3.0),
            (0.3, 1, 0),
        ),
        # lamina
        ((ped_x - 2, end - 2 * k, ped_z - 6), (1.5, end + 4.5 * k, ped_z - 10), 3.4 * k, (5.0 * k, 6.5 * k), UP),
        # transverse process
        (
            (ped_x + 2, back + 0.35 * size.canal_depth, ped_z - 1),
            (size.transverse / 2 - 3, back + (0.55 - 0.25 * low) * size.canal_depth, ped_z + 1 + 3 * low),
            (3.6 * k + low, 2.6 * k),
            (3.0 + 2 * low, 2.0),
            UP,
        ),
    ]
    tip = size.spinous_y
    single = [
        bar(
            (0, end + 5 * k, ped_z - 10),
            (0, tip - 3, size.spinous_z),
            (2.9 * k, 3.4 * k),
            (6.0 * k, (6.5 - 2.5 * low) * k),
        ),
        bar((0, tip - 4, size.spinous_z + 3), (0, tip - 3.5, size.spinous_z - 6 + 3 * low), 4.2 * k),
    ]
    return paired, single


def _thoracic(level: Level, size: Dimensions) -> tuple[list, list[Shape]]:
    k = size.canal_depth / 16.0
    place = (level.rank - 7) / 11  # 0 at T1, 1 at T12
    back = size.depth / 2 * 0.9
    end = back + size.canal_depth
    top, bottom = size.posterior / 2, -size.posterior / 2
    ped_r = min(size.pedicle_width, size.pedicle_height) / 2
    ped_x = size.canal_width / 2 + size.pedicle_width / 2 - 0.5
    ped_z = top - size.pedicle_height / 2
    ped_h = max(size.pedicle_height / 2 - ped_r, 0.0)
    facet_x = max(ped_x - 1, 9 * k)
    tip_x = size.transverse / 2
    sweep = 17 * k * (1 - 0.45 * place)
    lumbar_like = level in (Level.T12, Level.T13)
    paired = [
        ((ped_x - 1.5, back - 4, ped_z), (ped_x, back + 0.7 * size.canal_depth, ped_z), ped_r, ped_h, UP),
        # superior articular process: a thin plate that looks backwards
        (
            (facet_x, end - 4.5 * k, ped_z),
            (facet_x, end - 3.5 * k, top + 6 * k),
            (3.0 * k, 1.9 * k),
            (3.0, 3.0),
            (1, 0, 0),
        ),
        # lamina, shingled downwards, ending in the inferior articular process behind the next vertebra
        (
            (ped_x - 1, end - 3 * k, ped_z - 1),
            (1.0, end + 4.5 * k, ped_z - 8 * k),
            2.8 * k,
            (6.5 * k, 7.5 * k),
            (0, 0.25, 1),
        ),
        (
            (facet_x - 0.5, end + 0.5 * k, ped_z - 5),
            (facet_x - (3 if lumbar_like else 1.0), end + 0.6 * k, bottom - size.disc - 3.5 * k),
            (3.2 * k, 2.2 * k),
            (2.5, 2.5),
            (1, 0, 0),
        ),
    ]
    if lumbar_like:
        paired += [((ped_x + 1, end - 4 * k, ped_z - 2), (tip_x - 2, end + 3 * k, ped_z), (4.5, 3.5), 1.5, UP)]
    else:
        paired += [
            (
                (ped_x, end - 3 * k, ped_z - 1),
                (tip_x - 5, end - 3 * k + sweep * 0.75, ped_z + 3 - 2 * place),
                (4.2 * k, 4.6 * k),
                (2.2, 1.4),
                UP,
            ),
            (
                (tip_x - 7, end - 3 * k + sweep * 0.7, ped_z + 3 - 2 * place),
                (tip_x - 5.5, end - 3 * k + sweep, ped_z + 2),
                5.2 * k,
                0.5,
                UP,
            ),
        ]
    steep = (0.0, 0.5, 1.0)
    root, tip = (0, end + 3.5 * k, ped_z - 7 * k), (0, size.spinous_y - 3, size.spinous_z)
    middle = (0, (root[1] + tip[1]) / 2, (root[2] + tip[2]) / 2 + 1.5)
    single = [
        bar(root, middle, (2.8 * k, 2.6 * k), ((6.5 + 1.5 * place) * k, (3.5 + 3 * place) * k), steep),
        bar(middle, tip, (2.6 * k, 3.1 * k), ((3.5 + 3 * place) * k, (1.0 + 5.0 * place**2) * k), steep),
    ]
    return paired, single


def _cervical(level: Level, size: Dimensions) -> tuple[list, list[Shape]]:
    k = size.canal_depth / 17.0
    back = size.depth / 2 * 0.9
    end = back + size.canal_depth
    half = size.posterior / 2
    column_x = size.canal_width / 2 + 7.5
    column_y = back + 0.42 * size.canal_depth
    last = level is Level.C7
    tip_x = size.transverse / 2
    axis = level is Level.C2
    lift = 2.0 if axis else 0.0
    rise = 8.5 if axis else half + 2.2
    paired = [
        # pedicle, then the articular pillar, its facets inclined by about 45 degrees
        ((size.width / 2 - 3, back - 4, 1), (column_x - 2, column_y - 1, 0.5), 3.1 * k, 1.0, UP),
        ((column_x, column_y + 3, -rise + 2.5), (column_x, column_y - 3, rise - 2.5), 4.2 * k, 2.6, (1, 0, 0)),
        ((column_x, column_y + 5, -rise - 0.5), (column_x, column_y + 1, 2), (2.6 * k, 3.2 * k), 3.0, (1, 0, 0)),
        ((column_x, column_y - 1, 0), (column_x, column_y - 4, rise + 0.5), (3.2 * k, 2.4 * k), 3.0, (1, 0, 0)),
        ((column_x - 1, column_y + 4, -1.0), (1.0, end + 3.0, -3.5), 2.2 * k, (3.0, 4.0), (0, 0.3, 1)),
        # costal and posterior bar round the transverse foramen, joined at the tubercles
        ((size.width / 2 - 1, back - 9 * k, -1 + lift), (tip_x - 2.5, back - 6 * k, -3), 2.2 * k, 1.0, UP),
        ((column_x, column_y - 3, -1), (tip_x - 2.5, back - 3 * k + 4 * last, -3), (2.6, 2.2), 0.8 + last, UP),
        ((tip_x - 2.5, back - 6 * k, -3), (tip_x - 2.5, back - 3 * k + 4 * last, -3), 2.4, 0.5, UP),
    ]
    bifid = not last
    spread = 4.0 if bifid else 0.5
    fork = (0, size.spinous_y - 8, size.spinous_z * 0.75)
    paired.append((fork, (spread, size.spinous_y - 2.5, size.spinous_z), (2.6, 2.6), (2.0 + 2 * axis, 1.0), UP))
    single = [bar((0, end + 2.0, -3.5), fork, 2.6 * k, (3.6 + 2 * axis, 2.4 + 2 * axis))]
    if axis:
        neck = size.anterior / 2
        single += [bar((0, -0.5, neck - 4), (0, -1.0, neck + 13.5), (5.6, 4.6), 0.5)]
        paired += [((9, 1.5, neck - 6), (15.0, 3.0, neck - 3.5), (5.0, 5.6), (0.5, 0.0), UP)]
    return paired, single


def atlas(member: Member, rng: np.random.Generator) -> list[Shape]:
    """C1: two lateral masses, two arches, long transverse processes; origin where the dens of C2 stands."""
    size = member.size
    k = size.canal_width / 29.0
    tip = size.transverse / 2
    front, rear = -9.0 * k, size.spinous_y - 3
    paired = [
        ((1.0, front, 0.0), (9 * k, front + 1.5, 0), 2.8, 2.6, UP),
        ((9 * k, front + 1.5, 0), (16 * k, -3, 0), 3.2, 2.4, UP),
        ((17 * k, -3, 2.5), (18 * k, 6, -1.5), 6.0, 2.6, UP),
        ((19 * k, 7, 0), (15 * k, 0.62 * rear, 0), 3.0, 1.8, UP),
        ((15 * k, 0.62 * rear, 0), (7 * k, 0.93 * rear, 0), 2.7, 2.0, UP),
        ((7 * k, 0.93 * rear, 0), (0.5, rear, 0), 2.8, 2.2, UP),
        ((22 * k, -2, -1.5), (tip - 4, 0.5, -2), (2.4, 2.6), (1.0, 1.4), UP),
        ((22 * k, 6, -1), (tip - 4, 2.5, -2), (2.4, 2.6), (1.0, 1.4), UP),
    ]
    return [*_mirrored(paired, rng), ellipsoid((0, front - 2, 0), (3.5, 3.2, 4.5))]
