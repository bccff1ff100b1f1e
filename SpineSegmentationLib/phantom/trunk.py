"""The patient's own coordinates: every voxel knows its distance from the column and the level it lies at."""

from __future__ import annotations

import numpy as np

from .column import Column
from .dimensions import profile
from .grid import Grid, Pose

# Outline of a lean body from the centres of the vertebral bodies, mm, by place (C1 = 0, T1 = 7, L1 = 19, S1 = 24).
WIDTH = profile(
    "-9:20 -8:55 -6:76 -2:78 0:70 2:62 4:60 5.5:72 6.5:110 8:165 10:172 13:160 16:154 19:146 22:146 25:168 29:175"
)
FRONT = profile("-9:40 -8:75 -6:100 -2:100 0:98 1.5:96 2.8:70 3.5:52 5:48 7:64 9:98 12:128 16:146 19:134 23:116 29:116")
BACK = profile("-9:40 -8:60 -6:82 -2:78 0:60 2:56 5:62 7:76 10:80 13:76 18:70 21:70 24:76 26:90 29:100")

# The cavity of the trunk, inside the ribs, in the same way
CAGE_WIDTH = profile("6:42 7:56 8:76 9:92 10:104 12:120 14:130 16:134 18:130 20:124 24:120")
CAGE_FRONT = profile("6:40 7:52 8:68 9:82 10:94 12:112 14:124 16:128 18:124 20:112 24:100")
CAGE_BACK = profile("6:24 7:30 8:36 9:40 12:43 15:42 17:38 18:34 20:30 24:30")

_STEPS = 32
_PLACES = np.arange(-9 * _STEPS, 29 * _STEPS + 1) / _STEPS


def outline(x: np.ndarray, y: np.ndarray, width: np.ndarray, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Distance in mm to a rounded cross-section, negative inside."""
    depth = (front + back) / 2
    u, v = (x / width) ** 2, ((y - (back - front) / 2) / depth) ** 2
    return (np.sqrt(0.5 * (u + v) + 0.5 * np.sqrt(u * u + v * v)) - 1) * np.minimum(width, depth)


class Trunk:
    """The voxels of a grid in the coordinates of the patient, float32, broadcastable to (z, y, x).

    Attributes:
        x, y: mm to the left of and behind the centre of the vertebral body at the voxel's height.
        y_skin: the same behind a smoothed column: the skin does not follow single vertebrae.
        z: mm above S1.
        scale: the patient's stature.
    """

    def __init__(self, grid: Grid, column: Column, turn: np.ndarray) -> None:
        self.scale = k = column.scale
        self._places, points = column.line()
        self._line = (points - column.sacrum.position) @ turn
        x, y, self.z = grid.coordinates(Pose(column.sacrum.position, turn))
        order = np.argsort(self._line[:, 2])
        line = self._line[order]
        # Prolonged at both ends: 165 mm of head, 125 mm of pelvis.
        pelvis, head = line[0] + (0, 12 * k, -125 * k), line[-1] + (0, -8 * k, 165 * k)
        line = np.vstack([pelvis, line, head])
        places = np.concatenate([[29.0], self._places[order], [-9.0]])
        smooth = np.convolve(np.pad(line[:, 1], 2, mode="edge"), np.ones(5) / 5, "valid")
        heights = line[:, 2]
        self.x = x - np.interp(self.z, heights, line[:, 0]).astype(np.float32)
        self.y = y - np.interp(self.z, heights, line[:, 1]).astype(np.float32)
        self.y_skin = y - np.interp(self.z, heights, smooth).astype(np.float32)
        self.place = np.interp(self.z, heights, places).astype(np.float32)
        self._index = np.rint((self.place + 9) * _STEPS).astype(np.int32)

    def at(self, table: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
        """A profile in mm, at the height of every voxel, scaled to the patient."""
        return self.values(table) * np.float32(self.scale)

    def values(self, table: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
        """A profile without scaling."""
        return np.interp(_PLACES, *table).astype(np.float32)[self._index]

    def height(self, place: float) -> float:
        """mm above S1 of a place of the column."""
        return float(np.interp(place, self._places, self._line[:, 2]))

    def above(self, place: float) -> np.ndarray:
        """About the distance in mm to the part of the body above a place: negative there."""
        return (self.place - np.float32(place)) * 20

    def below(self, place: float) -> np.ndarray:
        """About the distance in mm to the part of the body below a place: negative there."""
        return (np.float32(place) - self.place) * 20

    def cavity(self) -> np.ndarray:
        """Distance to the cavity of chest and belly."""
        inner = outline(self.x, self.y_skin, self.at(CAGE_WIDTH) - 4, self.at(CAGE_FRONT) - 6, self.at(CAGE_BACK) - 2)
        return np.maximum(inner, self.below(7.3))

    def ellipsoid(self, x: float, y: float, z: float, radii: tuple[float, float, float], lean: float = 0) -> np.ndarray:
        """Distance to an organ: centre and radii in mm (x, y scaled to the patient), leaning sideways by ``lean``."""
        k = self.scale
        p, q, r = (radius * k for radius in radii)
        dx = self.x - x * k - lean * (self.z - z) if lean else self.x - x * k
        scaled = np.sqrt((dx / p) ** 2 + ((self.y - y * k) / q) ** 2 + ((self.z - z) / r) ** 2)
        return (scaled - 1) * np.float32(min(p, q, r))
