"""A coordinate system of one bone in the patient's LPS mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy import may_follow
from ..errors import SpineError
from ..spine import Centroid, Centroids


@dataclass(frozen=True, eq=False)
class Frame:
    """An orthonormal right-handed frame.

    Attributes:
        origin: (3,) LPS mm; of a vertebra the centre of its body.
        axes: (3, 3), the columns point to the bone's own left, posterior and up.

    Raises:
        SpineError: the axes are not orthonormal and right-handed.
    """

    origin: np.ndarray
    axes: np.ndarray

    def __post_init__(self) -> None:
        for name, shape in (("origin", (3,)), ("axes", (3, 3))):
            value = np.array(getattr(self, name), float).reshape(shape)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        if not np.allclose(self.axes.T @ self.axes, np.eye(3), atol=1e-6) or np.linalg.det(self.axes) < 0:
            raise SpineError("the axes of a frame must be orthonormal and right-handed")

    @classmethod
    def towards(cls, origin: np.ndarray, back: np.ndarray, up: np.ndarray) -> Frame:
        """The frame whose third axis is ``up`` and whose second is as near to ``back`` as it can be."""
        up = up / np.linalg.norm(up)
        back = back - up * (back @ up)
        back = back / np.linalg.norm(back)
        return cls(origin, np.stack([np.cross(back, up), back, up], axis=1))

    @property
    def left(self) -> np.ndarray:
        return self.axes[:, 0]

    @property
    def back(self) -> np.ndarray:
        return self.axes[:, 1]

    @property
    def up(self) -> np.ndarray:
        return self.axes[:, 2]

    @property
    def to_lps(self) -> np.ndarray:
        """4 x 4, from the frame's mm (left, posterior, up) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.axes, self.origin
        return matrix

    def lps(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of this frame in LPS mm."""
        return np.asarray(points, float) @ self.axes.T + self.origin

    def local(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in LPS mm in this frame."""
        return (np.asarray(points, float) - self.origin) @ self.axes


def start_frame(centroid: Centroid, centroids: Centroids, behind: np.ndarray | None = None) -> Frame:
    """A first guess at a vertebra's frame: up along the neighbouring centroids (patient's superior without any).

    Args:
        behind: (3,) LPS mm, a place towards which posterior points, such as the middle of the whole vertebra; the
            patient's posterior without it, or where it tells no direction.
    """
    points = centroids.points
    here = points.index(centroid)
    origin = np.array(centroid.position)
    upper = lower = origin
    if here > 0 and may_follow(points[here - 1].level, centroid.level):
        upper = np.array(points[here - 1].position)
    if here + 1 < len(points) and may_follow(centroid.level, points[here + 1].level):
        lower = np.array(points[here + 1].position)
    up = upper - lower if np.any(upper != lower) else np.array([0.0, 0.0, 1.0])
    up = up / np.linalg.norm(up)
    back = np.zeros(3) if behind is None else behind - origin
    back = back - up * (back @ up)
    if np.linalg.norm(back) < 3:
        # A column along the patient's back: what lies above is behind then.
        back = np.array([0.0, 1.0, 0.0]) if abs(up[1]) < 0.99 else np.array([0.0, 0.0, 1.0])
    return Frame.towards(origin, back, up)
