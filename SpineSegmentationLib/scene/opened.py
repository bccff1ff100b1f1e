"""A result that lies in files, as nodes of a scene: to be looked at and corrected as one that was computed there."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk
import slicer
import slicer.util

from ..cohort.results import read_result
from ..errors import SpineError
from ..grid import Grid
from ..io.ct import read_ct
from ..io.image_files import read_label_map
from ..io.values import read_centroids, read_json
from ..resampling import same_grid
from ..segmentation.mask import pieces_of
from ..session.engine import Update
from ..session.state import State
from ..spine import SpineBox
from .mrml.coordinates import FLIP
from .mrml.record import Record
from .mrml.result import Result


def open_result(scene: slicer.vtkMRMLScene, folder: str | Path, name: str) -> Result:
    """Adds the scan of a result (see :mod:`cohort.results`) and what was made of it to a scene.

    The nodes are those that the module makes itself: volume, box, point list, segmentation and table.

    Args:
        folder, name: of the files.

    Raises:
        SpineError: a file is missing, damaged or does not fit to the others, or the scan has changed since.
    """
    found = read_result(Path(folder), name)
    content, given = found.content, found.run["given"]
    if content is None or not content.is_of(found.scan):
        raise SpineError(f"{found.scan} is not the scan any more that the result of {name} is of")
    ct = read_ct(found.scan, series=given["series"], force=given["force"]).image
    label_map = read_label_map(found.label_map)
    if not same_grid(label_map, ct):
        raise SpineError(f"{found.label_map} does not lie on the grid of {found.scan}")
    box = (found.run.get("box") or {}).get("box")
    sacrum = found.run.get("sacrum")
    state = State(
        SpineBox(tuple(box[:3]), tuple(box[3:])) if box else None,
        read_centroids(found.centroids, label_map),
        sacrum=tuple(sacrum) if sacrum else None,
        with_sacrum=bool(sacrum),
    )
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(volume, sitk.GetArrayFromImage(ct))
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(FLIP @ Grid.of(ct).to_lps))
    volume.CreateDefaultDisplayNodes()
    result = Result.of(volume)
    record = Record(result)
    record.system = found.run["system"]
    record.show(Update(state, pieces_of(label_map), Grid.of(ct)), complete=True)
    record.save(state)
    if found.details.exists():
        record.show_measurements(read_json(found.details), record.segments.signature)
    return result
