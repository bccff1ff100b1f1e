"""The mirror plane of a vertebra, as seen along its axis: it tells where its left is."""

from __future__ import annotations

import numpy as np
import scipy  # its optimize is large, and loaded when it is first used
from scipy import ndimage

from .local_mask import LocalMask

REACH = 25.0
"""Degrees within which the mirror plane is looked for."""


def mirror_line(mask: LocalMask) -> tuple[float, float]:
    """The mirror plane of a mask in its frame: degrees by which left turns towards posterior, and mm to the left.

    The mask is summed along its axis and compared with its mirror image: the best plane has the least difference. The
    whole vertebra takes part, so one bent process does not tip it.
    """
    picture = ndimage.gaussian_filter(mask.occupancy.sum(0), 1.0)
    y, x = np.meshgrid(mask.y, mask.x, indexing="ij")
    seen = picture > 0.5
    x, y, mine = x[seen], y[seen], picture[seen]
    corner = np.array([mask.y[0], mask.x[0]])[:, None]

    def difference(line: np.ndarray) -> float:
        angle, shift = np.deg2rad(line[0]), line[1]
        across = np.array([np.cos(angle), np.sin(angle)])
        twice = 2 * (x * across[0] + y * across[1] - shift)
        mirrored = (np.stack([y - twice * across[1], x - twice * across[0]]) - corner) / mask.step
        other = ndimage.map_coordinates(picture, mirrored, order=1, cval=0.0)
        return float(np.abs(mine - other).sum() / mine.sum())

    starts = [np.array([angle, shift]) for angle in np.linspace(-REACH, REACH, 11) for shift in (-3.0, 0.0, 3.0)]
    best = min(starts, key=difference)
    found = scipy.optimize.minimize(difference, best, method="Nelder-Mead", options={"xatol": 0.1, "fatol": 1e-4})
    return float(np.clip(found.x[0], -REACH - 5, REACH + 5)), float(found.x[1])
