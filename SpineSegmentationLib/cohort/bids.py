"""Results as a BIDS derivative data set (BIDS 1.10, derivatives of imaging, segmentations), for programs that read it.

BIDS has no CT yet (BEP024); names and layout are those of segmentations of other images::

    dataset_description.json
    sub-X/anat/sub-X_seg-vertebrae_dseg.nii.gz   the label map
                                      dseg.tsv   index, name, abbreviation, color of its labels
                                      dseg.json  what it was made from
                                      ctd.json   the centroids, as in the VerSe data set
                                      measurements.tsv
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..anatomy import BONES
from ..errors import SpineError
from ..io.values import read_json, replacing, write_json, write_text
from .results import ScanResult

_ENTITIES = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*")


def source_entities(name: str) -> str:
    """The entities of a scan: its name where it is made of some, such as ``sub-1_ses-2``, else a subject of that name.

    >>> source_entities("sub-verse008_ses-1"), source_entities("case 12_b")
    ('sub-verse008_ses-1', 'sub-case12b')
    """
    if _ENTITIES.fullmatch(name):
        return name
    return f"sub-{re.sub('[^A-Za-z0-9]', '', name.removeprefix('sub-')) or 'unnamed'}"


def write_bids(results: Sequence[ScanResult], output: Path) -> list[Path]:
    """Writes a data set with all results, each file whole; returns the label maps.

    Raises:
        SpineError: two scans would have one name, a data set of somebody else is there, or a file cannot be read or
            written.
    """
    named: dict[str, str] = {}
    for result in results:
        entities = source_entities(result.name)
        if other := named.get(entities.lower()):
            raise SpineError(f"{other} and {result.name} would both be {entities}; give their results separate folders")
        named[entities.lower()] = result.name
    description = {
        "Name": "Vertebrae in CT",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "Spine Segmentation", "Version": __version__}],
    }
    for result in results:
        if missing := [p for p in (result.label_map, result.centroids, result.measurements) if not p.is_file()]:
            raise SpineError(f"{missing[0]} is not there; segment the scan again, or remove {result.run_file.name}")
    there = output / "dataset_description.json"
    if there.exists() and not _is_ours(read_json(there)):
        raise SpineError(f"{output} holds another data set ({there.name}); choose another folder, such as derivatives/")
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "dataset_description.json", description)
        return [_write(result, output) for result in results]
    except OSError as error:
        raise SpineError(f"{output} cannot be written: {error.strerror or error}; choose another folder") from error


def _is_ours(description: Any) -> bool:
    return isinstance(description, dict) and "Spine Segmentation" in str(description.get("GeneratedBy"))


def _write(result: ScanResult, output: Path) -> Path:
    entities = source_entities(result.name)
    session = re.search(r"_(ses-[A-Za-z0-9]+)", entities)
    folder = output / entities.split("_")[0] / (session[1] if session else "") / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{entities}_seg-vertebrae_"
    run = result.run
    sidecar = {
        "Description": "Vertebrae, VerSe codes, on the grid of the scan. Research use only.",
        "Sources": [Path(run["input"].get("path", result.name)).name],
        "Manual": bool(run.get("adopted") or run.get("review")),
        "Numbering": (run.get("numbering") or {}).get("certainty", "n/a"),
        "Levels": run["centroids"],
    }
    write_json(folder / f"{stem}dseg.json", sidecar)
    write_text(folder / f"{stem}dseg.tsv", _tsv(_labels()))
    with result.measurements.open(newline="", encoding="utf-8") as lines:
        write_text(folder / f"{stem}measurements.tsv", _tsv(csv.reader(lines)))
    for source, ending in ((result.centroids, "ctd.json"), (result.label_map, "dseg.nii.gz")):
        with replacing(folder / f"{stem}{ending}") as temporary:
            shutil.copyfile(source, temporary)
    return folder / f"{stem}dseg.nii.gz"


def _labels() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("index", "name", "abbreviation", "color")]
    for level in sorted(BONES.values()):
        color = "#{:02X}{:02X}{:02X}".format(*(round(255 * part) for part in level.color))
        rows.append((str(int(level)), level.title, level.name, color))
    return rows


def _tsv(rows: Iterable[Sequence[str]]) -> str:
    """Tab-separated; what is not there is ``n/a``, as BIDS wants it."""
    return "".join("\t".join(cell.replace("\t", " ") or "n/a" for cell in row) + "\n" for row in rows)
