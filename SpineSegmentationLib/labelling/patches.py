"""Patches round centroids, as the evidence network sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPACING = 3.0  # mm
EDGE = 48  # voxels of a patch: 144 mm, both rib heads and two neighbours above and below
AIR = -1000


def patches(hu: NDArray, centres: NDArray) -> NDArray[np.float32]:
    """Cubes of ``EDGE`` voxels with the centres in their middle, air beyond the volume.

    Args:
        hu: (z, y, x) at ``SPACING``.
        centres: (N, 3) voxel indices z,y,x, rounded to whole voxels.

    Returns:
        (N, 1, EDGE, EDGE, EDGE) HU.
    """
    result = np.full((len(centres), 1, EDGE, EDGE, EDGE), AIR, np.float32)
    for patch, centre in zip(result, np.rint(centres).astype(int), strict=True):
        low = centre - EDGE // 2
        source = tuple(slice(max(a, 0), max(min(a + EDGE, n), 0)) for a, n in zip(low, hu.shape, strict=True))
        target = tuple(
            slice(s.start - a, s.start - a + max(s.stop - s.start, 0)) for s, a in zip(source, low, strict=True)
        )
        if all(s.stop > s.start for s in source):
            patch[0][target] = hu[source]
    return result
