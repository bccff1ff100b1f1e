"""The files of a result: their names, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from ..allocator import return_freed
from ..errors import SpineError
from ..io.ct import Scan
from ..io.values import numbering_json, read_json, write_centroids, write_json, write_text
from ..io.writing import write_image, write_part
from ..measures.column import measure
from ..measures.density import Calibration
from ..measures.details import details
from ..measures.table import as_csv, vertebra_rows
from ..phantom import Phantom
from ..pictures.snapshot import snapshot, write_picture
from ..pipeline import Pipeline, Result
from ..spine import SpineBox
from .files import BOX, CENTROIDS, FILES, LABEL_MAP, MEASUREMENTS, MEASURES, PICTURE, RUN
from .versions import versions
from .whole import settle, together


def existing(folder: Path, name: str, until: str) -> bool:
    """Whether all output files of a scan are there already, after what a dead process left of them is settled.

    Raises:
        SpineError: some are and some are not; they may be somebody's, so nothing is overwritten unasked.
    """
    settle(folder, name)
    files = [folder / file.format(name) for file in FILES[until]]
    there = [file for file in files if file.exists()]
    if there and len(there) < len(files):
        raise SpineError(f"{there[0]} is there already; give another --output, or --overwrite to replace it")
    return bool(there)


def write_outputs(
    folder: Path,
    name: str,
    until: str,
    scan: Scan,
    result: Result,
    run: dict,
    more: Mapping[str, Callable[[Path], None]] | None = None,
    calibration: Calibration | None = None,
) -> list[Path]:
    """Writes the files of ``FILES[until]`` and more, all or none, and returns their paths.

    What an earlier run wrote more and this one does not is deleted: it may bear names that are none any more.

    Args:
        run: see :func:`run_json`; the names of ``more`` are added.
        more: further files by name, each with what writes it; the others lie beside it by then.
        calibration: of the density, HU to mg/cm3.

    Raises:
        SpineError: a file cannot be written.
    """
    more = more or {}
    measured = cache(
        lambda: measure(
            scan.image,
            result.part,
            result.centroids,
            result.complete,
            calibration,
            mask_confidence=result.mask_confidence,
        )
    )
    names = [*(file.format(name) for file in FILES[until]), *more]
    left = _more_before(folder, name) - {*names, Path(run.get("given", {}).get("centroids") or "").name}
    with together(folder, name, names) as temporary:
        for file in FILES[until]:
            return_freed()
            path = temporary / file.format(name)
            if file == BOX:
                write_json(path, box_json(result.box))
            elif file == CENTROIDS:
                write_centroids(result.centroids, scan.image, path)
            elif file == LABEL_MAP:
                write_part(result.part, scan.image, path)
            elif file == PICTURE:
                write_picture(snapshot(scan.image, result.part, result.centroids), path)
            elif file == MEASUREMENTS:
                write_text(path, as_csv(vertebra_rows(measured())))
            elif file == MEASURES:
                write_json(path, details(measured()))
            else:
                write_json(path, {**run, "more": list(more)})
        for file, write in more.items():
            write(temporary / file)
    for file in left:
        (folder / file).unlink(missing_ok=True)
    return [folder / name for name in names]


def _more_before(folder: Path, name: str) -> set[str]:
    """What the run file that is there says to be written beside the files that every result has."""
    try:
        files = read_json(folder / RUN.format(name))["more"]
    except (SpineError, KeyError, TypeError):
        return set()
    return {file for file in files if file.startswith(f"{name}_") and Path(file).name == file}


def box_json(box: SpineBox | None) -> dict:
    """A spine box as JSON: the six numbers that ``--box`` takes; null when there is none."""
    return {"coordinate_system": "LPS", "unit": "mm", "box": [*box.lower, *box.upper] if box else None}


def run_json(pipeline: Pipeline, scan: Scan, result: Result, given: dict, reading: float) -> dict:
    """What was done, for the run file.

    Args:
        given: what the person replaced or chose, such as the centroid file.
        reading: seconds it took to read the scan.
    """
    image = scan.image
    grid = {"size": image.GetSize(), "spacing_mm": image.GetSpacing(), "direction": image.GetDirection()}
    numbering = result.centroids.numbering
    return {
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input": {"name": scan.name, "source": scan.source, **grid},
        "given": given,
        "system": pipeline.system,
        "stages": pipeline.stages.stages,
        "device": str(pipeline.device),
        "versions": versions(),
        "weights": {
            stage: [{"name": one.name, "sha256": one.sha256, "width": one.width} for one in used]
            for stage, used in result.weights.items()
        },
        "seconds": {stage: round(value, 3) for stage, value in {"reading": reading, **result.seconds}.items()},
        "box": box_json(result.box),
        "centroids": [level.name for level in result.centroids.levels],
        "mask_confidence": {level.name: round(value, 3) for level, value in result.mask_confidence.items()},
        "numbering": numbering_json(numbering) if numbering else None,
        "sacrum": result.sacrum,
        "warnings": [*scan.warnings, *result.warnings],
    }


def write_phantom(phantom: Phantom, folder: Path, name: str) -> Path:
    """Writes a phantom in the VerSe layout (``rawdata/<name>/``, ``derivatives/<name>/``) and returns its CT file.

    Raises:
        SpineError: a file cannot be written.
    """
    raw, derived = folder / "rawdata" / name, folder / "derivatives" / name
    try:
        for place in (raw, derived):
            place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpineError(f"{folder} cannot be written: {error.strerror}; choose another folder") from error
    write_image(phantom.label_map, derived / LABEL_MAP.format(name))
    write_centroids(phantom.centroids, phantom.ct, derived / CENTROIDS.format(name))
    write_image(phantom.ct, raw / f"{name}_ct.nii.gz")
    return raw / f"{name}_ct.nii.gz"
