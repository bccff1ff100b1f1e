"""Skin, fat, muscles, lungs, organs, vessels and airways, drawn on a coarse grid and enlarged."""

from __future__ import annotations

import numpy as np

from .column import Column
from .dimensions import profile
from .grid import Grid, Pose
from .skeleton import CAGE_BACK, CAGE_FRONT, CAGE_WIDTH
from .spec import PhantomSpec

# Outline of a lean body from the centre of the vertebral bodies, mm, by place in the column (C1 = 0, T1 = 7, S1 = 24).
WIDTH = profile(
    "-9:20 -8:55 -6:76 -2:78 0:70 2:62 4:60 5.5:72 6.5:110 8:165 10:172 13:160 16:154 19:146 22:146 25:168 29:175"
)
FRONT = profile("-9:40 -8:75 -6:100 -2:100 0:96 1.5:84 2.5:58 5:48 7:64 9:98 12:128 16:146 19:134 23:116 29:116")
BACK = profile("-9:40 -8:60 -6:82 -2:78 0:60 2:56 5:62 7:76 10:80 13:76 18:70 21:70 24:76 26:90 29:100")
PSOAS = profile("18:3 19:8 21:16 23:21 26:20 29:18")
BACK_MUSCLE = profile("0:14 5:13 8:12 12:13 17:17 20:21 24:19 27:6")

AIR, LUNG, FAT, MUSCLE = -1000.0, -850.0, -100.0, 55.0


def noise(shape: tuple[int, ...], cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of about unit deviation; ``cell`` is its grain in voxels (x, y, z)."""
    counts = [max(int(np.ceil((n - 1) / c)) + 1, 2) for n, c in zip(shape, cell[::-1], strict=True)]
    counts = [min(c, n) for c, n in zip(counts, shape, strict=True)]
    target = Grid(np.zeros(3), np.eye(3), shape[::-1])  # type: ignore[arg-type]
    return target.enlarged(rng.standard_normal(counts, dtype=np.float32)) * np.float32(1.8)


def _blob(x: np.ndarray, y: np.ndarray, z: np.ndarray, centre: tuple, radii: tuple) -> np.ndarray:
    (a, b, c), (p, q, r) = centre, radii
    scaled = np.sqrt(((x - a) / p) ** 2 + ((y - b) / q) ** 2 + ((z - c) / r) ** 2)
    return (scaled - 1) * min(radii)


def _outline(x: np.ndarray, y: np.ndarray, width: np.ndarray, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    depth = (front + back) / 2
    u, v = (x / width) ** 2, ((y - (back - front) / 2) / depth) ** 2
    scaled = np.sqrt(0.5 * (u + v) + 0.5 * np.sqrt(u * u + v * v))
    return (scaled - 1) * np.minimum(width, depth)


def draw_soft_tissue(
    grid: Grid, column: Column, spec: PhantomSpec, turn: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """HU (z, y, x) float32 of everything but bone on the grid."""
    coarse = grid.coarse(max(3.5, 1.6 * grid.edge))
    edge = np.float32(coarse.edge)
    k = spec.stature
    places, points = column.line()
    # The patient's upright coordinates: the line of the column is a function of height in them.
    line = (points - column.sacrum.position) @ turn
    x0, y0, z = coarse.coordinates(Pose(column.sacrum.position, turn))
    order = np.argsort(line[:, 2])
    heights, stacked = line[order, 2], line[order]
    # Prolonged at both ends: the head is about 8 vertebrae high, the pelvis about 5.
    heights = np.concatenate([[heights[0] - 125 * k], heights, [heights[-1] + 165 * k]])
    stacked = np.concatenate([stacked[:1] + np.array([0, 12 * k, 0]), stacked, stacked[-1:] - np.array([0, 8 * k, 0])])
    place = np.interp(z, heights, np.concatenate([[29.0], places[order], [-9.0]])).astype(np.float32)
    smooth = np.convolve(np.pad(stacked[:, 1], 2, mode="edge"), np.ones(5) / 5, "valid")
    x = x0 - np.interp(z, heights, stacked[:, 0]).astype(np.float32)
    y = y0 - np.interp(z, heights, stacked[:, 1]).astype(np.float32)
    y_body = y0 - np.interp(z, heights, smooth).astype(np.float32)

    def at(table: tuple) -> np.ndarray:
        return (np.interp(place, *table) * k).astype(np.float32)

    def height_of(position: float) -> float:
        return float(np.interp(position, places, line[:, 2]))

    shape = np.broadcast_shapes(x.shape, y.shape, z.shape, coarse.shape)
    grain = noise(shape, 9.0 / coarse.spacing, rng)
    fine = noise(shape, 4.0 / coarse.spacing, rng)
    sheets = noise(shape, np.array([15.0, 15.0, 45.0]) / coarse.spacing, rng)
    fat = np.float32(spec.fat) * np.interp(place, [-2, 3, 9, 16, 22, 27], [0.2, 0.25, 0.5, 0.9, 1.1, 1.2])
    fat_back = np.minimum(fat * 0.7, 40)
    skin = _outline(x, y_body, at(WIDTH) + fat, at(FRONT) + 1.2 * fat, at(BACK) + fat_back)
    flesh = _outline(x, y_body, at(WIDTH) - 3, at(FRONT) - 3, at(BACK) - 3)
    cavity = _outline(x, y_body, at(CAGE_WIDTH) - 4, at(CAGE_FRONT) - 6, at(CAGE_BACK) - 2)

    def fill(hu: np.ndarray, distance: np.ndarray, value: np.ndarray | float) -> np.ndarray:
        share = np.clip(np.float32(0.5) - distance / edge, 0, 1)
        return hu + share * (value - hu)

    # Fat with strands, muscle with fat between its fibres
    lean = np.float32(MUSCLE + 8 * rng.normal())
    hu = np.broadcast_to(np.float32(FAT), shape) + 14 * fine
    muscle = lean + 7 * fine - np.float32(120) * np.clip(1 - np.abs(sheets + 0.2 * grain) / 0.22, 0, 1)
    hu = fill(hu, flesh + 3 * grain, muscle)
    # The abdomen: bowel in fat; the mediastinum: fat between the great vessels
    bowel = np.where(grain > 0.015 * spec.fat - 0.4, np.float32(35), np.float32(FAT)) + 14 * fine
    trunk = np.float32(7.3) - place  # negative below the neck
    hu = fill(hu, np.maximum(cavity + 4, trunk * 20), bowel)
    core = np.abs(x) - at(profile("0:30 18:34 20:60 24:60"))
    hu = fill(
        hu, np.maximum(np.maximum(core, y - 8), np.maximum(cavity + 4, trunk * 20)), np.where(grain > 0.5, 40.0, -80.0)
    )

    blood = np.float32(spec.contrast)
    organ = 55 + 0.35 * (blood - 40)
    dome = height_of(15.3) + 12 * k
    lung_floor = (
        dome
        - 42 * k * ((np.abs(x) - 62 * k) / (62 * k)) ** 2
        - 52 * k * np.clip((y + 30 * k) / (70 * k), -0.6, 1.2) ** 2
    )
    lung_floor = lung_floor + np.where(x < 0, 8 * k, 0)
    under = z - lung_floor + 6
    inside = cavity + 7
    z_l1 = height_of(19.3)
    liver = np.maximum(np.maximum(under, inside), np.maximum(x - 25 * k, z_l1 - 35 * k - z - 0.4 * x))
    hu = fill(hu, np.maximum(liver, y - 40), organ + 6 * fine)
    hu = fill(
        hu,
        np.maximum(np.maximum(_blob(x, y, z, (88 * k, 2, height_of(17.5)), (30 * k, 45 * k, 55 * k)), under), inside),
        organ + 6 * fine,
    )
    hu = fill(
        hu,
        np.maximum(_blob(x, y, z, (45 * k, -75 * k, height_of(17.5)), (55 * k, 40 * k, 45 * k)), under),
        25 + 20 * fine,
    )
    for side in (-1, 1):
        kidney = _blob(
            x - 0.18 * side * (z_l1 - z),
            y,
            z,
            (side * 56 * k, 4, z_l1 + (6 if side > 0 else -8)),
            (27 * k, 28 * k, 52 * k),
        )
        hu = fill(hu, np.maximum(kidney - 9, under), FAT + 8 * fine)
        hu = fill(hu, np.maximum(kidney, under), 35 + 0.6 * (blood - 40) + 15 * grain)
        psoas = np.hypot(
            x - side * (at(profile("18:24 19:30 22:40 24:50 27:62"))),
            (y - at(profile("18:4 22:0 24:-14 27:-40"))) / 1.15,
        ) - at(PSOAS)
        hu = fill(hu, np.maximum(psoas - 3, 20 * (18.2 - place)), FAT + 8 * fine)
        hu = fill(hu, np.maximum(psoas, 20 * (18.2 - place)), lean + 8 * fine)
        erector = np.hypot(
            (x - side * at(profile("0:18 8:22 18:32 24:30"))) / 1.35, y - at(profile("0:34 7:38 12:40 18:42 24:44"))
        ) - at(BACK_MUSCLE)
        hu = fill(hu, np.maximum(erector - 1.5, 20 * (place - 26)), FAT + 40)
        hu = fill(hu, np.maximum(erector, 20 * (place - 26)), lean + 6 * fine - 50 * np.clip(grain - 1, 0, 1))
    heart = _blob(x, y, z, (22 * k, -72 * k, height_of(14.2)), (56 * k, 46 * k, 52 * k))
    hu = fill(hu, np.maximum(heart, z - dome * 0 - height_of(11.5)), 40 + 0.75 * (blood - 40) + 8 * grain)
    half_depth = at(profile("0:8 7:10 12:13.5 18:17 24:18"))
    aorta = np.hypot(x - at(profile("10:20 14:21 17:12 19:8 23:4")), y + half_depth + 11 * k) - (11.5 * k)
    hu = fill(hu, np.maximum(aorta, 25 * np.maximum(10.5 - place, place - 22.5)), blood + 3 * fine)
    cava = np.hypot((x + 18 * k) / 1.2, y + half_depth + 9 * k) - 10 * k
    hu = fill(hu, np.maximum(cava, 25 * np.maximum(16 - place, place - 23)), 0.7 * blood + 14 + 3 * fine)
    arch = (
        np.hypot(
            np.hypot(x - 10 * k - 0.25 * (y + 45 * k), (y + 45 * k) / 1.0) - 32 * k * 0 - 26 * k, z - height_of(10.6)
        )
        - 12 * k
    )
    hu = fill(hu, arch, blood + 3 * fine)
    brain = place + 1.6
    hu = fill(hu, np.maximum(brain * 15, flesh + 14), 36 + 3 * fine)

    # Air: lungs with vessels, windpipe, throat, bowel gas; sharp, so drawn on the fine grid
    mediastinum = at(profile("6:14 8:24 10:28 12:30 13:32 17:26 19:24"))
    near_spine = half_depth + 5 + np.clip(y - half_depth * 0.4, 0, 40) * 0.7
    wide = np.where(y > -half_depth - 4, near_spine, np.minimum(mediastinum, near_spine + (-half_depth - 4 - y) * 0.8))
    lung = np.maximum(np.maximum(inside, lung_floor - z), np.maximum(wide - np.abs(x), np.float32(8.0) - heart - 6))
    lung = np.maximum(lung, 14 * (7.4 - place))
    airway = np.hypot(x / 1.1, y + half_depth + at(profile("0:11 2:10 5:14 7:16 11:24"))) - at(
        profile("-1:6 2:7 5:6.5 6:8.5 11:8.5")
    )
    airway = np.maximum(airway, 20 * np.maximum(-1.2 - place, place - 11.5))
    bowel_gas = np.maximum(np.maximum(np.float32(1.9) - grain - 0.3 * fine, inside * 0.2) * 8, np.maximum(under, y + 5))
    bowel_gas = np.maximum(bowel_gas, trunk * 20)

    full = [
        grid.enlarged(np.ascontiguousarray(np.broadcast_to(a, coarse.shape), np.float32))
        for a in (hu, lung, np.minimum(airway, bowel_gas), skin)
    ]
    result = full[0]
    vessels = np.float32(LUNG + 25 * rng.normal()) + grid.enlarged(
        (90 * np.clip(fine, 0, None) ** 2 * np.clip(1.2 - np.abs(x) / (110 * k), 0.15, 1)).astype(np.float32)
    )
    sharp = np.float32(grid.edge)
    for distance, value in ((full[1], vessels), (full[2], np.float32(-980)), (-full[3], np.float32(AIR))):
        share = distance / -sharp
        share += np.float32(0.5)
        np.clip(share, 0, 1, out=share)
        result += share * (value - result)
    return result
