"""Skin, fat, muscles, lungs, organs, vessels and airways, drawn on a coarse grid and enlarged."""

from __future__ import annotations

import numpy as np

from .column import Column
from .dimensions import profile
from .grid import Grid
from .spec import PhantomSpec
from .trunk import BACK, FRONT, WIDTH, Trunk, outline

AIR, LUNG, FAT, MUSCLE = -1000.0, -850.0, -100.0, 55.0

FAT_SHARE = profile("-2:0.2 3:0.25 9:0.5 16:0.9 22:1.1 27:1.2")
HALF_DEPTH = profile("0:8 7:10 12:13.5 18:17 24:18")  # of the vertebral bodies


def noise(shape: tuple[int, ...], grain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (z, y, x) float32 of about unit deviation; ``grain`` is its size in voxels (x, y, z)."""
    counts = [min(max(int(np.ceil((n - 1) / g)) + 1, 2), n) for n, g in zip(shape, grain[::-1], strict=True)]
    target = Grid(np.zeros(3), np.eye(3), shape[::-1])  # type: ignore[arg-type]
    return target.enlarged(rng.standard_normal(counts, dtype=np.float32)) * np.float32(1.8)


class _Tissue:
    """HU while they are drawn: three grains of noise make every tissue uneven."""

    def __init__(self, grid: Grid, rng: np.random.Generator) -> None:
        self.edge = np.float32(grid.edge)
        self.lumps = noise(grid.shape, 9.0 / grid.spacing, rng)
        self.fine = noise(grid.shape, 4.0 / grid.spacing, rng)
        self.sheets = noise(grid.shape, np.array([15.0, 15.0, 45.0]) / grid.spacing, rng)
        self.hu = FAT + 14 * self.fine

    def fill(self, distance: np.ndarray, value: np.ndarray | float) -> None:
        self.hu += np.clip(np.float32(0.5) - distance / self.edge, 0, 1) * (value - self.hu)


def _all(*distances: np.ndarray) -> np.ndarray:
    """Distance to the common part."""
    result = distances[0]
    for other in distances[1:]:
        result = np.maximum(result, other)
    return result


def _diaphragm(trunk: Trunk) -> np.ndarray:
    """mm above S1 of the floor of the lungs: a dome on each side that falls off to the flanks and the back."""
    k = trunk.scale
    side = (np.abs(trunk.x) - 62 * k) / (62 * k)
    back = np.clip((trunk.y + 30 * k) / (70 * k), -0.6, 1.2)
    return np.float32(trunk.height(15.3) + 12 * k) - 42 * k * side**2 - 52 * k * back**2 + 8 * k * (trunk.x < 0)


def _muscles(tissue: _Tissue, trunk: Trunk, lean: float) -> None:
    """The muscles along the column, each in its sheath of fat."""
    fibres = lean + 7 * tissue.fine
    for side in (-1, 1):
        aside = trunk.x - side * trunk.at(profile("18:24 19:30 22:40 24:50 27:62"))
        behind = trunk.y - trunk.at(profile("18:4 22:0 24:-14 27:-40"))
        psoas = np.hypot(aside, behind / 1.15) - trunk.at(profile("18:3 19:8 21:16 23:21 26:20 29:18"))
        tissue.fill(_all(psoas - 3, trunk.below(18.2)), FAT + 8 * tissue.fine)
        tissue.fill(_all(psoas, trunk.below(18.2)), fibres)
        aside = trunk.x - side * trunk.at(profile("0:18 8:22 18:32 24:30"))
        behind = trunk.y - trunk.at(profile("0:34 7:38 12:40 18:42 24:44"))
        erector = np.hypot(aside / 1.35, behind) - trunk.at(profile("0:14 5:13 8:12 12:13 17:17 20:21 24:19 27:6"))
        tissue.fill(_all(erector - 1.5, trunk.above(26)), FAT + 40)
        tissue.fill(_all(erector, trunk.above(26)), fibres - 50 * np.clip(tissue.lumps - 1, 0, 1))


def _organs(tissue: _Tissue, trunk: Trunk, under: np.ndarray, inside: np.ndarray, blood: float) -> None:
    """Bowel, liver, spleen, stomach and kidneys."""
    k, enhanced, uneven = trunk.scale, blood - 40, 6 * tissue.fine
    z_l1, z_t11 = trunk.height(19.3), trunk.height(17.5)
    liver = _all(under, inside, trunk.x - 25 * k, z_l1 - 35 * k - trunk.z - 0.4 * trunk.x, trunk.y - 40)
    tissue.fill(liver, 55 + 0.35 * enhanced + uneven)
    tissue.fill(_all(trunk.ellipsoid(88, 2, z_t11, (30, 45, 55)), under, inside), 52 + 0.4 * enhanced + uneven)
    tissue.fill(_all(trunk.ellipsoid(45, -75, z_t11, (55, 40, 45)), under), 25 + 20 * tissue.fine)
    for side, drop in ((-1, 8), (1, -6)):
        kidney = trunk.ellipsoid(side * 56, 4, z_l1 - drop, (27, 28, 52), lean=-0.18 * side)
        tissue.fill(_all(kidney - 9, under), FAT + 8 * tissue.fine)
        tissue.fill(_all(kidney, under), 35 + 0.6 * enhanced + 15 * tissue.lumps)


def _vessels(tissue: _Tissue, trunk: Trunk, heart: np.ndarray, blood: float) -> None:
    """Heart, aorta with its arch, and lower vena cava."""
    k = trunk.scale
    tissue.fill(heart, 40 + 0.75 * (blood - 40) + 8 * tissue.lumps)
    front = trunk.y + trunk.at(HALF_DEPTH)
    aorta = np.hypot(trunk.x - trunk.at(profile("10:20 14:21 17:12 19:8 23:4")), front + 11 * k) - 11.5 * k
    tissue.fill(_all(aorta, trunk.below(10.5), trunk.above(22.5)), blood + 3 * tissue.fine)
    cava = np.hypot((trunk.x + 18 * k) / 1.2, front + 9 * k) - 10 * k
    tissue.fill(_all(cava, trunk.below(16), trunk.above(23)), 14 + 0.7 * blood + 3 * tissue.fine)
    ring = np.hypot(trunk.y + 52 * k, trunk.z - trunk.height(10.9)) - 30 * k
    aside = trunk.x - 12 * k - 0.3 * (trunk.y + 52 * k)
    tissue.fill(_all(np.hypot(ring, aside) - 12 * k, trunk.above(12.5)), blood + 3 * tissue.fine)


def draw_soft_tissue(
    grid: Grid, column: Column, spec: PhantomSpec, turn: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """HU (z, y, x) float32 of everything but bone on the grid; ``turn`` (3, 3) is the patient's orientation."""
    coarse = grid.coarse(max(3.5, 1.6 * grid.edge))
    tissue, trunk = _Tissue(coarse, rng), Trunk(coarse, column, turn)
    k, blood = spec.stature, spec.contrast
    fat = np.float32(spec.fat) * trunk.values(FAT_SHARE)
    skin = outline(
        trunk.x,
        trunk.y_skin,
        trunk.at(WIDTH) + fat,
        trunk.at(FRONT) + 1.2 * fat,
        trunk.at(BACK) + np.minimum(0.7 * fat, 40),
    )
    flesh = outline(trunk.x, trunk.y_skin, trunk.at(WIDTH) - 3, trunk.at(FRONT) - 3, trunk.at(BACK) - 3)
    cavity = trunk.cavity()
    inside = cavity + 7
    floor = _diaphragm(trunk)
    under = trunk.z - floor + 6
    heart = _all(trunk.ellipsoid(22, -72, trunk.height(14.2), (56, 46, 52)), trunk.z - trunk.height(11.5))

    # Fasciae are the sheets where smooth noise changes its sign.
    lean = float(MUSCLE + 8 * rng.normal())
    fasciae = np.clip(1 - np.abs(tissue.sheets + 0.2 * tissue.lumps) / 0.22, 0, 1)
    tissue.fill(flesh + 3 * tissue.lumps, lean + 7 * tissue.fine - 120 * fasciae)
    bowel = np.where(tissue.lumps > 0.015 * spec.fat - 0.4, np.float32(35), np.float32(FAT))
    tissue.fill(cavity + 4, bowel + 14 * tissue.fine)
    middle = np.abs(trunk.x) - trunk.at(profile("0:30 18:34 20:60 24:60"))
    tissue.fill(_all(middle, trunk.y - 8, cavity + 4), np.where(tissue.lumps > 0.5, 40.0, -80.0).astype(np.float32))
    _organs(tissue, trunk, under, inside, blood)
    _muscles(tissue, trunk, lean)
    _vessels(tissue, trunk, heart, blood)
    tissue.fill(_all(trunk.above(-1.6), flesh + 14), 36 + 3 * tissue.fine)

    half_depth = trunk.at(HALF_DEPTH)
    beside = half_depth + 5 + np.clip(trunk.y - half_depth * 0.4, 0, 40) * 0.7
    forward = -half_depth - 4 - trunk.y
    mediastinum = trunk.at(profile("6:14 8:24 10:28 12:30 13:32 17:26 19:24"))
    centre = np.where(forward < 0, beside, np.minimum(mediastinum, beside + forward * 0.8))
    lung = _all(inside, floor - trunk.z, centre - np.abs(trunk.x), 2 - heart, trunk.below(7.4) * 0.7)
    throat = trunk.y + half_depth + trunk.at(profile("0:11 2:10 5:14 7:16 11:24"))
    airway = np.hypot(trunk.x / 1.1, throat) - trunk.at(profile("-1:6 2:7 5:6.5 6:8.5 11:8.5"))
    airway = _all(airway, trunk.below(-1.2), trunk.above(11.5))
    bubbles = (1.9 - tissue.lumps - 0.3 * tissue.fine) * 8
    gas = np.minimum(airway, _all(bubbles, inside, under, trunk.y + 5))
    vessels = np.clip(tissue.fine, 0, None) ** 2 * np.clip(1.2 - np.abs(trunk.x) / (110 * k), 0.15, 1)

    # Against air every edge shows, so these surfaces are drawn on the fine grid.
    result = grid.enlarged(tissue.hu)
    airy = (
        (lung, np.float32(LUNG + 25 * rng.normal()) + grid.enlarged(90 * vessels)),
        (gas, np.float32(-980)),
        (-skin, np.float32(AIR)),
    )
    for distance, value in airy:
        share = grid.enlarged(np.broadcast_to(distance, coarse.shape)) * np.float32(-1 / grid.edge)
        share += np.float32(0.5)
        np.clip(share, 0, 1, out=share)
        result += share * (value - result)
    return result
