"""What files of a result hold: Slicer saves a volume without the transform that it lies under."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...anatomy import Bone
from ...errors import SpineError
from ...grid import Grid
from ...segmentation.mask import Piece
from ...spine import Centroids
from .coordinates import FLIP, to_world
from .record import Record


def saved(record: Record) -> tuple[dict[Bone, Piece], Grid, Centroids]:
    """Pieces, their grid and the centroids in the space of the volume's own file.

    Raises:
        SpineError: the volume's transform does more than turn and move, or there is no segment.
    """
    volume = record.result.required_volume()
    matrix = FLIP @ to_world(volume) @ FLIP
    if not np.allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3), atol=1e-5) or np.linalg.det(matrix) < 0:
        raise SpineError(f"the transform of {volume.GetName()} stretches or mirrors it; harden it to export")
    own, (pieces, grid) = np.linalg.inv(matrix), record.segments.pieces()
    points = [replace(one, position=tuple((own @ [*one.position, 1.0])[:3])) for one in record.state().centroids]
    return pieces, Grid.of_matrix(grid.size, own @ grid.to_lps), Centroids(tuple(points))
