"""The curved column: the size of every vertebra of one person and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy import Level
from .dimensions import DIMENSIONS, Dimensions
from .grid import Pose, rotation
from .spec import Fracture, PhantomSpec


@dataclass(frozen=True)
class Member:
    """One vertebra of the column.

    Attributes:
        size: its dimensions in mm, fracture included.
        pose: origin in the centre of the body, x left, y posterior, z up along the column.
        below: centre of the disc below, LPS mm.
        place: position in the standard column, C1 = 0, T1 = 7, L1 = 19, S1 = 24; fractions in columns with variants.
        sunken: depth in mm to which its end-plates are concave.
    """

    level: Level
    size: Dimensions
    pose: Pose
    below: np.ndarray
    place: float
    sunken: float
    broken: Fracture | None


@dataclass(frozen=True)
class Column:
    """The vertebrae from the head down, and the frame of the sacrum (origin in the middle of its upper end-plate)."""

    members: tuple[Member, ...]
    sacrum: Pose
    scale: float

    def __getitem__(self, level: Level) -> Member:
        return next(member for member in self.members if member.level == level)

    def line(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (N,) and LPS points (N, 3) from the head down to S1."""
        return (
            np.array([m.place for m in self.members] + [24.0]),
            np.array([m.pose.position for m in self.members] + [self.sacrum.position]),
        )


def _places(levels: tuple[Level, ...]) -> np.ndarray:
    """Places in the standard column: variants squeeze or stretch their region."""
    places = []
    for region, start, count in (("cervical", 0, 7), ("thoracic", 7, 12), ("lumbar", 19, 5)):
        number = sum(level.region == region for level in levels)
        places += [start + (i + 0.5) * count / number - 0.5 for i in range(number)]
    return np.array(places)


def _tilts(spec: PhantomSpec, places: np.ndarray) -> np.ndarray:
    """Degrees by which each vertebra and at last the sacrum leans forward."""
    kyphosis, lordosis, neck = spec.thoracic_kyphosis, spec.lumbar_lordosis, spec.cervical_lordosis
    top, bottom = 0.62 * kyphosis, -0.38 * kyphosis
    thorax = np.linspace(0, 1, 12)
    bend = 0.5 * thorax + 0.5 * (0.5 - 0.5 * np.cos(np.pi * thorax))
    knots = np.concatenate(
        [
            top - 1 - neck * np.array([1.05, 1.0, 0.82, 0.62, 0.42, 0.2, 0.0]),
            top + (bottom - top) * bend,
            bottom + lordosis * np.array([0.0, 0.08, 0.21, 0.40, 0.68, 1.0]),
        ]
    )
    return np.interp(np.append(places, 24.0), np.arange(25), knots)


def _broken(size: Dimensions, fracture: Fracture) -> Dimensions:
    front, back = {"wedge": (1.0, 0.15), "biconcave": (0.15, 0.1), "crush": (1.0, 0.9)}[fracture.kind]
    return replace(
        size,
        anterior=size.anterior * (1 - front * fracture.loss),
        posterior=size.posterior * (1 - back * fracture.loss),
        width=size.width * (1 + 0.15 * fracture.loss),
        depth=size.depth * (1 + 0.15 * fracture.loss),
    )


def build_column(spec: PhantomSpec, rng: np.random.Generator) -> Column:
    """Stacks the vertebrae on each other along the curved line; T9 or its neighbour stands near the LPS origin."""
    levels, places = spec.levels, _places(spec.levels)
    tilts = _tilts(spec, places)
    fractures = {fracture.level: fracture for fracture in spec.fractures}
    sizes, sunken = [], []
    for level in levels:
        size = DIMENSIONS[level].scaled(spec.stature)
        factors = np.clip(rng.normal(1, spec.variation, 12), 0.8, 1.2)
        size = Dimensions(*(float(v * f) for v, f in zip(vars(size).values(), factors, strict=True)))
        # Heights of one body vary together; the disc narrows with degeneration.
        size = replace(size, posterior=size.anterior * DIMENSIONS[level].posterior / DIMENSIONS[level].anterior)
        narrowing = 1 - spec.degeneration * rng.uniform(0.1, 0.6)
        sunk = size.height * 0.055
        if broken := fractures.get(level):
            whole = size
            size = _broken(size, broken)
            sunk += whole.height * (0.45 * broken.loss if broken.kind == "biconcave" else 0.04)
        sizes.append(replace(size, disc=size.disc * narrowing))
        sunken.append(sunk)
    for i, size in enumerate(sizes):
        lean = np.rad2deg(np.arctan2(size.posterior - size.anterior, size.depth)) if levels[i] in fractures else 0.0
        tilts[:i] += 0.45 * lean
        tilts[i + 1 :] -= 0.3 * lean

    all_places = np.append(places, 24.0)
    lateral, axial = np.zeros(len(tilts)), np.zeros(len(tilts))
    for curve in spec.scoliosis:
        t = (all_places - places[levels.index(curve.apex)]) / (curve.span / 2)
        # The end vertebrae (t = -1, 1) are tilted against each other by the Cobb angle.
        lateral += curve.cobb / 2 * np.sin(np.pi / 2 * np.clip(t, -2, 2))
        axial += 0.35 * curve.cobb * np.exp(-t * t)
    # Above and below the curves the body comes back to the plumb line.
    lateral += np.where(all_places < 7, -lateral[0], 0) * np.clip((7 - all_places) / 4, 0, 1)
    noise = rng.normal(0, 60 * spec.variation / 3, (len(tilts), 3)) * np.array([0.5, 0.5, 0.7])

    frames = [
        rotation(tilt + n[0], side + n[1], turn + n[2])
        for tilt, side, turn, n in zip(tilts, lateral, axial, noise, strict=True)
    ]
    points, below = [np.zeros(3)], []
    for i, size in enumerate(sizes):
        up, mid = frames[i][:, 2], frames[i][:, 2] + frames[i + 1][:, 2]
        mid = mid / np.linalg.norm(mid)
        bottom = points[-1] - up * size.height / 2
        below.append(bottom - mid * size.disc / 2)
        next_half = sizes[i + 1].height / 2 if i + 1 < len(sizes) else 0.0
        points.append(bottom - mid * size.disc - frames[i + 1][:, 2] * next_half)

    turn = rotation(*spec.rotation)
    middle = points[int(np.argmin(np.abs(places - 15)))]
    place = [turn @ (point - middle) for point in points]
    members = tuple(
        Member(
            level=level,
            size=sizes[i],
            pose=Pose(place[i], turn @ frames[i]),
            below=turn @ (below[i] - middle),
            place=float(places[i]),
            sunken=float(sunken[i]),
            broken=fractures.get(level),
        )
        for i, level in enumerate(levels)
    )
    return Column(members, Pose(place[-1], turn @ frames[-1]), spec.stature)
