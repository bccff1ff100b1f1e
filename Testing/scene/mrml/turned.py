"""A CT that lies obliquely, and small values."""

import numpy as np
import standins
from scipy.spatial.transform import Rotation

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.spine import Centroid, Centroids

TURNED = Rotation.from_euler("xyz", [10, 20, -30], degrees=True).as_matrix()


CT = standins.spine_ct(3, direction=TURNED)


def rigid(degrees, shift) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def centroids(**values) -> Centroids:
    return Centroids(tuple(Centroid(Level[name], (1.0, 2.0, z), 0.5) for name, z in values.items()))
