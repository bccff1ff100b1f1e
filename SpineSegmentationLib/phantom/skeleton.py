"""The bones round the column: ribs, breastbone, shoulder girdle, sacrum, hip bones and skull base."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..anatomy import Level
from .column import Column, Member
from .grid import Pose, rotation
from .shapes import Shape, Vector, bar, chain, ellipsoid
from .trunk import CAGE_BACK, CAGE_FRONT, CAGE_WIDTH


def ribs(member: Member, turn: np.ndarray, scale: float, rng: np.random.Generator) -> list[list[Shape]]:
    """The right and the left rib of a thoracic vertebra, in LPS; empty for other levels.

    ``turn`` (3, 3) is the patient's own orientation: a rib begins with its vertebra and follows the trunk further on.
    """
    if member.level.region != "thoracic":
        return []
    size, pose = member.size, member.pose
    number = 13 if member.level is Level.T13 else int(member.level.name[1:])
    place = 19.0 if number == 13 else member.place
    trunk = Pose(pose.position, 0.45 * pose.axes + 0.55 * turn)
    width, front, back = (scale * float(np.interp(place, *table)) for table in (CAGE_WIDTH, CAGE_FRONT, CAGE_BACK))
    centre_y, depth = (back - front) / 2, (back + front) / 2
    # Floating ribs differ most between people, and between the sides of one.
    lengths = rng.normal(1, 0.22 if number > 10 else 0.03, 2).clip(0.45, 1.4)
    end = {1: 140, 11: 78, 12: 50, 13: 32}.get(number, 150)
    slope = {1: 0.55, 2: 0.6, 11: 0.75, 12: 0.9, 13: 0.6}.get(number, 0.45 + 0.02 * number)
    radius, height = (2.6, 4.2) if number == 1 else (2.8, 3.2 if number < 11 else 2.2)
    canal_back = size.depth / 2 * 0.9 + size.canal_depth
    high = size.posterior / 2 if number in range(2, 11) else size.posterior / 4
    sweep = 17 * size.canal_depth / 16 * (1 - 0.45 * (number - 1) / 11)
    result = []
    for side, length in zip((-1, 1), lengths, strict=True):
        points = [
            pose.at((side * (size.width / 2 + 1.5), size.depth / 2 - 5, high)),
            pose.at((side * (size.width / 2 + 9), canal_back - 10, size.posterior / 4 + 1)),
            pose.at((side * (size.transverse / 2 + 2), canal_back - 9 + sweep, size.posterior / 4)),
        ]
        first = np.arcsin(min((size.transverse / 2 + 14) / width, 0.9))
        for angle in np.arange(first, np.deg2rad(end * length), np.deg2rad(13)):
            y = centre_y + depth * np.cos(angle)
            drop = slope * (back - y) + 6
            points.append(trunk.at((side * width * np.sin(angle), y, -drop)))
        up = tuple(trunk.axes[:, 2])
        neck = [bar(tuple(a), tuple(b), radius + 0.9, 2.0, up) for a, b in pairwise(points[:3])]
        result.append(neck + chain([tuple(p) for p in points[2:]], radius, height, up))
    return result


def breast_and_shoulders(column: Column, turn: np.ndarray) -> list[list[Shape]]:
    """Sternum, collar bones and shoulder blades, in LPS; arms raised as for a CT of the trunk."""
    k = column.scale

    def at(level: Level, x: float, y: float, z: float) -> Vector:
        return tuple(column[level].pose.position + turn @ np.array([x, y, z]) * k)

    lateral = tuple(turn[:, 0])
    t6 = Level.T6
    bones = [[bar(at(Level.T3, 0, -78, -6), at(t6, 0, -118, -40), 4.5 * k, 14 * k, lateral)]]
    for s in (-1, 1):
        bones.append(
            chain([at(Level.T3, s * 16, -76, 0), at(Level.T2, s * 60, -62, 4), at(Level.T1, s * 125, -20, 4)], 5.5 * k)
        )
        spine = chain(
            [at(Level.T3, s * 66, 66, 0), at(Level.T2, s * 105, 60, 4), at(Level.T1, s * 148, 15, 6)], 4.0 * k
        )
        blade = [
            bar(at(Level.T2, s * 72, 60, 6), at(Level.T7, s * 92, 56, -12), 1.6 * k, 5 * k, lateral),
            bar(at(Level.T2, s * 88, 50, 6), at(Level.T7, s * 98, 54, -10), 1.3 * k, 12 * k, lateral),
            bar(at(Level.T2, s * 138, 22, -8), at(Level.T7, s * 102, 52, -14), 4.0 * k),
            ellipsoid(at(Level.T2, s * 142, 16, 0), (14 * k, 16 * k, 18 * k)),
        ]
        bones.append(spine + blade)
    return bones


def sacrum(column: Column) -> list[Shape]:
    """Sacrum and coccyx in LPS."""
    k = column.scale
    frame = Pose(column.sacrum.position, column.sacrum.axes * k)
    shapes = []
    # Slabs from S1 to S5: half width, half depth and y of the fused bodies at z; their curve opens forwards.
    heights = (-97, -80, -60, -38, -13, -6)
    for z in np.arange(-6.0, -98.0, -8.0):
        half_width = float(np.interp(z, heights, (10, 12, 15, 20, 25, 26)))
        half_depth = float(np.interp(z, heights, (6, 7, 9, 12, 15, 17)))
        y = float(np.interp(z, heights, (23, 24, 17, 7, 0, -1)))
        thin = min(6.0, half_depth - 1)
        shapes.append(bar((thin - half_width, y, z), (half_width - thin, y, z), thin, half_depth - thin, (0, 1, 0.15)))
    for s in (-1, 1):
        shapes += [
            bar((s * 22, 4, -10), (s * 46, 14, -16), (10, 11), (3, 8)),
            bar((s * 20, 10, -35), (s * 38, 20, -42), (8, 8), (6, 8)),
            bar((s * 14, 18, -60), (s * 26, 24, -62), (7, 5), (6, 6)),
            bar((s * 10, 24, -80), (s * 18, 26, -82), (5, 4), (6, 5)),
            # the back wall of the canal, superior facets
            bar((s * 26, 24, -20), (s * 4, 38, -30), 3.0, (10, 12)),
            bar((s * 20, 30, -52), (s * 3, 40, -56), 3.0, 12.0),
            bar((s * 25, 22, -12), (s * 25, 26, 8), (5.5, 4.5), (3, 2), (0, 1, 0)),
        ]
    shapes.append(bar((0, 42, -24), (0, 42, -66), (3.5, 3.0), 3.0, (0, 1, 0)))
    shapes += chain([(0, 22, -104), (0, 14, -118), (0, 4, -130)], 5.0, 2.0, (1, 0, 0))
    return [_scaled(shape.within(frame), k) for shape in shapes]


def hips(column: Column, turn: np.ndarray) -> list[list[Shape]]:
    """The right and the left hip bone with the head of its femur, in LPS."""
    k = column.scale
    # The pelvis follows the sacrum by half its tilt.
    frame = Pose(column.sacrum.position, (0.5 * column.sacrum.axes + 0.5 * turn @ rotation(18, 0, 0)) * k)
    result = []
    for s in (-1, 1):
        wing: list[Shape] = []
        rows = [
            (26, [(50, 30), (74, 20), (104, -8), (124, -38)]),
            (8, [(46, 44), (62, 28), (88, 2), (116, -40), (122, -60)]),
            (-12, [(45, 50), (58, 32), (80, 6), (108, -36), (118, -62)]),
            (-32, [(48, 48), (58, 30), (76, 8), (100, -28), (108, -54)]),
            (-52, [(62, 26), (76, 8), (92, -16), (98, -40)]),
        ]
        for z, corners in rows:
            wing += chain([(s * x, y, z) for x, y in corners], 3.6 if z < 20 else 5.0, 11.0 if z < 20 else 4.0)
        wing += [
            bar((s * 70, 10, -60), (s * 84, -10, -78), 10.0, 6.0),
            bar((s * 86, 2, -84), (s * 66, 14, -128), (13.0, 12.0), 4.0),
            bar((s * 88, -40, -78), (s * 16, -72, -104), (9.0, 7.0), 3.0),
            bar((s * 66, 10, -134), (s * 14, -66, -116), 7.0, 2.0),
        ]
        femur = [ellipsoid((s * 92, -24, -90), (24, 24, 24)), bar((s * 96, -22, -94), (s * 140, -2, -120), 16.0)]
        result += [[_scaled(shape.within(frame), k) for shape in group] for group in (wing, femur)]
    return result


def skull(column: Column) -> tuple[Shape, list[Shape]]:
    """The cranium (to be drawn as a shell), and base, jaws and teeth; in LPS."""
    k = column.scale
    frame = Pose(column.members[0].pose.position, column.members[0].pose.axes * k)
    vault = ellipsoid((0, -14, 84), (72, 92, 70))
    solid: list[Shape] = [
        bar((0, -16, 18), (0, -42, 36), 8.0, 8.0, (1, 0, 0)),
        bar((0, -48, 40), (0, -62, 42), 12.0, 6.0, (1, 0, 0)),
        bar((0, -72, 10), (0, -88, 12), 3.0, 22.0, (1, 0, 0)),
    ]
    for s in (-1, 1):
        solid += [
            ellipsoid((s * 18, 0, 13.5), (8, 12, 6)),
            bar((s * 17, 4, 17), (s * 14, 34, 24), 4.0, 5.0),
            bar((s * 15, -14, 22), (s * 52, 2, 26), 8.5, 3.0),
            bar((s * 55, 6, 22), (s * 53, 4, -2), (11.0, 6.0)),
            bar((s * 24, -48, 14), (s * 22, -46, 34), 3.0, 8.0, (0, 1, 0)),
            *chain([(s * 48, -22, 18), (s * 46, -30, -28), (s * 26, -76, -42), (s * 3, -92, -42)], 4.0, 9.0),
            *chain([(s * 24, -58, -16), (s * 20, -78, -16), (s * 3, -88, -16)], 4.0, 8.0),
        ]
    return _scaled(vault.within(frame), k), [_scaled(shape.within(frame), k) for shape in solid]


def _scaled(shape: Shape, k: float) -> Shape:
    """A shape whose frame is scaled by k measures distances in units of k mm."""
    inner = shape.distance
    return Shape(shape.pose, shape.half, lambda x, y, z: inner(x, y, z) * np.float32(k))
