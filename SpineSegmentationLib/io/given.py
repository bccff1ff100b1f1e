"""Centroids that somebody gives for a scan, and the grid that their voxels refer to where the gantry was tilted."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from ..errors import SpineError
from ..spine import Centroids
from .ct import Scan
from .values import read_centroids, read_json


def read_given(path: Path, scan: Scan) -> Centroids:
    """The centroids of a file (see :func:`values.read_centroids`) for a scan.

    Raises:
        SpineError: as there; or voxels for a scan that was resampled, where no run file beside says that they are those
            of the upright grid.
    """
    voxels = path.suffix.lower() != ".fcsv" and isinstance(read_json(path), list)
    if scan.resampled and voxels and not made_on(path, scan.image):
        raise SpineError(
            f"{path} holds voxels, and nothing beside it tells whether they are those of the tilted scan or of the "
            "upright grid it is resampled to; give points in mm (.mrk.json), or the file beside its run file"
        )
    return read_centroids(path, scan.image)


def made_on(path: Path, image: sitk.Image) -> bool:
    """Whether by the run file beside it a centroid file is of a result on a grid of the size of an image."""
    try:
        run = read_json(path.with_name(path.name.replace("_seg-subreg_ctd.json", "_run.json")))
        return run["input"]["size"] == list(image.GetSize())
    except (SpineError, KeyError, TypeError):
        return False
