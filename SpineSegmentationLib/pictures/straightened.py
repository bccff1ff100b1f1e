"""The column made straight: a curved planar reformat along a line through the centroids, and points both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from ..errors import SpineError
from .snapshot import look_up

STEP = 0.5  # mm between the samples of the line
REACH = 300.0  # mm that the line goes on straight beyond its ends
BEYOND = 45.0  # mm shown above and below the outermost centroids
FRONT, BACK, SIDE = 60.0, 80.0, 65.0  # mm shown round the line
SLAB = 16  # slices that are looked up at once


@dataclass(frozen=True, eq=False)
class Straightening:
    """A smooth line down the column, and the plane across it at every place.

    In straightened space the line is vertical; along it lengths are kept, and in every plane across it left and
    posterior are those of the patient as nearly as the plane allows. The vertebra in the middle of the list stays at
    its height. Every point nearer to the line than its radius of curvature has one place in either space.

    Attributes:
        line: (N, 3) LPS mm, ``STEP`` apart from the head down.
        axis: x, y of the straight line, LPS mm.
        top: z of the first sample in straightened space, mm.
        ends: z of the lowest and of the highest centroid in straightened space, mm.
    """

    line: np.ndarray
    axis: np.ndarray
    top: float
    ends: tuple[float, float]

    @classmethod
    def of(cls, positions: np.ndarray) -> Straightening:
        """Through the centroids (N, 3), LPS mm, from the head down.

        Raises:
            SpineError: fewer than two, or two at one place.
        """
        points = np.asarray(positions, float).reshape(-1, 3)
        chords = np.linalg.norm(np.diff(points, axis=0), axis=1)
        if len(points) < 2 or not np.all(chords > STEP):
            raise SpineError("two vertebrae at different places are needed to straighten the column")
        at = np.concatenate([[0], np.cumsum(chords)])
        # Without curvature at the ends, so that the line goes on straight there.
        spline = CubicSpline(at, points, bc_type="natural")
        fine = spline(np.linspace(0, at[-1], max(int(at[-1] / STEP) * 8, 16)))
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
        own = np.arange(0, length[-1] + STEP / 2, STEP)
        line = np.stack([np.interp(own, length, fine[:, axis]) for axis in range(3)], axis=1)
        beyond = np.arange(STEP, REACH, STEP)[:, None]
        first, last = (spline(end, 1) / np.linalg.norm(spline(end, 1)) for end in (0, at[-1]))
        line = np.concatenate([points[0] - beyond[::-1] * first, line, line[-1] + beyond * last])
        middle = points[len(points) // 2]
        before = np.argmin(np.linalg.norm(line - middle, axis=1)) * STEP
        top = middle[2] + before
        head = top - len(beyond) * STEP
        return cls(line, points[:, :2].mean(0), float(top), (float(head - own[-1]), float(head)))

    def to_world(self, points: ArrayLike) -> np.ndarray:
        """Points (N, 3) of straightened space in LPS mm."""
        points = np.asarray(points, float).reshape(-1, 3)
        place, frame = self._at(self.top - points[:, 2])
        across = points[:, :2] - self.axis
        return place + across[:, :1] * frame[:, 0] + across[:, 1:] * frame[:, 1]

    def to_straight(self, points: ArrayLike) -> np.ndarray:
        """Points (N, 3) in LPS mm in straightened space; each in the plane across the line in which it lies."""
        points = np.asarray(points, float).reshape(-1, 3)
        down = np.array([np.argmin(np.linalg.norm(self.line - point, axis=1)) for point in points]) * STEP
        for _ in range(60):
            place, frame = self._at(down)
            off = np.sum((points - place) * frame[:, 2], axis=1)
            down = down - off
            if np.all(np.abs(off) < 1e-9):
                break
        place, frame = self._at(down)
        across = np.einsum("ni,nai->na", points - place, frame[:, :2])
        return np.column_stack([across + self.axis, self.top - down])

    def image(
        self, image: sitk.Image, spacing: float = 1.0, order: Literal[0, 1] = 1, outside: float = -1024
    ) -> sitk.Image:
        """An image resampled along the column, in straightened space, of its own pixel type.

        Args:
            spacing: mm, in all directions.
            order: 1 linear, 0 nearest (label maps).
            outside: where the image shows nothing.
        """
        low, high = self.ends[0] - BEYOND, self.ends[1] + BEYOND
        x, y = (np.arange(-before, behind, spacing) for before, behind in ((SIDE, SIDE), (FRONT, BACK)))
        z = np.arange(low, high, spacing)
        voxels = np.empty((len(z), len(y), len(x)), sitk.GetArrayViewFromImage(image).dtype)
        whole = np.issubdtype(voxels.dtype, np.integer)
        for start in range(0, len(z), SLAB):
            place, frame = self._at(self.top - z[start : start + SLAB])
            place, left, back = (part[:, None, None] for part in (place, frame[:, 0], frame[:, 1]))
            values = look_up(image, place + x[:, None] * left + y[:, None, None] * back, outside, order)
            voxels[start : start + SLAB] = np.rint(values) if whole else values
        result = sitk.GetImageFromArray(voxels)
        result.SetSpacing((spacing,) * 3)
        result.SetOrigin([float(x[0] + self.axis[0]), float(y[0] + self.axis[1]), float(low)])
        return result

    def _at(self, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (N, 3) so many mm down the line, and the axes there (N, 3, 3): left, posterior, up."""
        samples = np.arange(len(self.line)) * STEP
        place = np.stack([np.interp(down, samples, self.line[:, axis]) for axis in range(3)], axis=1)
        tangents = -np.gradient(self.line, STEP, axis=0)
        up = np.stack([np.interp(down, samples, tangents[:, axis]) for axis in range(3)], axis=1)
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        left = np.array([1.0, 0.0, 0.0]) - up[:, :1] * up
        left /= np.linalg.norm(left, axis=1, keepdims=True)
        return place, np.stack([left, np.cross(up, left), up], axis=1)
