"""Pedicle screws, rods, bone cement, and the streaks that metal makes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .column import Member
from .grid import Grid, Pose
from .shapes import Shape, bar, ellipsoid

METAL, CEMENT = 3071.0, 2000.0


def screws(member: Member) -> list[Shape]:
    """A screw through each pedicle with its head, in LPS."""
    size = member.size
    back = size.depth / 2 * 0.9
    x = size.canal_width / 2 + size.pedicle_width / 2 - 0.5
    z = size.posterior / 2 - size.pedicle_height / 2 - 1
    radius = float(np.clip(size.pedicle_width * 0.36, 1.6, 3.3))
    shapes = []
    for s in (-1, 1):
        entry, tip = (s * (x + 3), back + size.canal_depth + 4, z), (s * x * 0.45, -size.depth * 0.25, z - 1)
        shapes += [bar(entry, tip, radius), bar(entry, (s * (x + 4), back + size.canal_depth + 12, z), 5.5)]
    return [shape.within(member.pose) for shape in shapes]


def rods(members: list[Member]) -> list[Shape]:
    """The two rods that join the screw heads of neighbours, in LPS."""
    shapes = []
    for upper, lower in pairwise(members):
        for s in (-1, 1):
            ends = []
            for member in (upper, lower):
                size = member.size
                x = size.canal_width / 2 + size.pedicle_width / 2 + 3.5
                ends.append(member.pose.at((s * x, size.depth / 2 * 0.9 + size.canal_depth + 12, size.posterior / 4)))
            shapes.append(bar(tuple(ends[0]), tuple(ends[1]), 2.75))
    return shapes


def cement(member: Member, rng: np.random.Generator) -> list[Shape]:
    """Lumps of cement inside the body, in LPS."""
    size = member.size
    lumps = []
    for _ in range(int(rng.integers(3, 7))):
        centre = rng.uniform(-0.5, 0.5, 3) * (size.width * 0.55, size.depth * 0.5, size.height * 0.45)
        radii = rng.uniform(0.1, 0.24, 3) * (size.width, size.depth, size.height)
        lumps.append(ellipsoid(tuple(centre), tuple(radii)).within(member.pose))
    return lumps


def add_streaks(hu: np.ndarray, grid: Grid, member: Member, rng: np.random.Generator) -> None:
    """Bright and dark rays in the scanner's slices from the two screws of a vertebra, added to ``hu`` in place."""
    size = member.size
    frame = Pose(member.pose.at((0, size.depth * 0.3, size.posterior / 4)), np.eye(3))
    window = grid.window(frame, np.array([90.0, 90.0, 5.0]), 0.0)
    if window is None:
        return
    x, y, z = grid.coordinates(frame, window)
    total = np.float32(0)
    rays = np.convolve(rng.standard_normal(720) * (rng.random(720) < 0.25), [0.25, 0.5, 0.25], "same").astype(
        np.float32
    )
    fade = np.exp(-((z / 4) ** 2))
    offset = size.canal_width / 2 + size.pedicle_width / 2
    for centre in (-offset, offset):
        dx = x - np.float32(centre)
        distance = np.sqrt(dx * dx + y * y)
        turn = ((np.arctan2(y, dx) / (2 * np.pi) + 0.5) * 719).astype(np.int32)
        total = total + rays[turn] * np.float32(900) * np.exp(-distance / 35) * np.minimum(distance / 6, 1)
    dark = np.exp(-((y / 7) ** 2)) * (np.abs(x) < offset)
    hu[window] += fade * (total - np.float32(220) * dark)
