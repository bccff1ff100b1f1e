"""The report of a result in a scene, as ``segment --report`` writes it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import SpineError
from ..io.values import numbering_json, write_text
from ..pictures.snapshot import snapshot, write_picture
from ..results.report import html
from ..results.versions import versions
from ..segmentation.mask import paint_part
from ..voxels import image_of
from .logic import SpineLogic
from .mrml.result import Result
from .mrml.volume import voxels_of


def export_report(logic: SpineLogic, result: Result, path: str | Path) -> list[Path]:
    """Writes names, picture, measures and plots of a result on one page; returns its path.

    Raises:
        SpineError: it was not measured since the last change, a library is missing, or the file cannot be written.
    """
    measured = logic.measures(result)
    if measured is None:
        raise SpineError("the vertebrae were not measured since the last change; measure first")
    record = logic.settled(result)
    warnings: list[str] = []
    volume = result.required_volume()
    name = volume.GetName()
    ct = image_of(voxels_of(volume), warnings)
    pieces, _ = record.segments.pieces()
    centroids = record.state().centroids
    run = {
        "numbering": numbering_json(centroids.numbering) if centroids.numbering else None,
        "warnings": warnings,
        "input": {"source": name, "spacing_mm": ct.GetSpacing()},
        "system": record.system,
        "versions": versions(),
    }
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        write_picture(snapshot(ct, paint_part(pieces, ct), centroids), picture)
        page = html(name, measured, run, picture.read_bytes())
    write_text(path, page)
    return [Path(path)]
