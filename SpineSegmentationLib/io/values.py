"""The files of the values: centroids (VerSe, Slicer), the spine box; everything is written whole or not at all."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..anatomy import COCCYX, SACRUM, Level
from ..errors import SpineError
from ..numbering import Numbering, Reading
from ..spine import Centroid, Centroids, SpineBox, rounded

SIDES = (("L", "R"), ("P", "A"), ("S", "I"))
"""The letters of the LPS axes: the side to which an index along the axis grows, positive first."""

UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001}
"""mm in the units of length that a point list may state."""

CONFIDENCE = "confidence "
"""What stands before the number in the description of a Slicer control point."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path``, of the same extension; what is written there becomes ``path`` at the end.

    Raises:
        SpineError: the file cannot be written. Nothing is left behind then, and an older ``path`` stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise SpineError(
            f"{path} cannot be written: {error.strerror or error}; check the folder, its rights and the free space"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8), whole or not at all. Raises SpineError.

    What a file name holds that is no UTF-8 is written as ``\\xfc``, so that every program can read the text.
    """
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all. Raises SpineError; ValueError for NaN and infinities."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises:
        SpineError: the file is not there, not readable or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpineError(f"{path} cannot be read: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        raise SpineError(f"{path} is not valid JSON: line {error.lineno}, {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise SpineError(f"{path} is not a JSON text file") from error


def parse_box(text: str) -> SpineBox:
    """The spine box written as ``x0,y0,z0,x1,y1,z1``: smaller corner, larger corner, LPS mm.

    >>> parse_box("-60,-40,-200,60,70,10").size.tolist()
    [120.0, 110.0, 210.0]

    Raises:
        SpineError: not six numbers, or a box without extent.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 6:
        raise SpineError(f"{text!r} is not a spine box: give x0,y0,z0,x1,y1,z1 in LPS mm, the smaller corner first")
    return SpineBox(rounded(numbers[:3]), rounded(numbers[3:]))


def axis_codes(image: sitk.Image) -> tuple[str, str, str]:
    """For each index axis (x, y, z) the side of the body to which it grows, as in VerSe's ``direction`` entry.

    ``("L", "P", "S")`` for the identity direction. Oblique axes get the nearest anatomical axis, each one once.
    """
    direction = np.reshape(image.GetDirection(), (3, 3))
    nearest = max(itertools.permutations(range(3)), key=lambda axes: sum(abs(direction[axes, range(3)])))
    first, second, third = (SIDES[lps][int(direction[lps, axis] < 0)] for axis, lps in enumerate(nearest))
    return first, second, third


def write_centroids(centroids: Centroids, image: sitk.Image, path: str | Path) -> None:
    """Write centroids, whole or not at all.

    ``*.mrk.json`` becomes a Slicer point list (LPS mm). Everything else becomes a VerSe centroid file: continuous
    voxel indices of ``image`` (voxel centres are whole numbers) along its own axes, which the first entry names;
    labels are VerSe codes. A confidence below 1 is kept, in the key ``confidence`` or in the point's description; so is
    the verdict on the names, in the key ``numbering`` of the first entry or of the whole list.

    Raises:
        SpineError: the file cannot be written.
    """
    if str(path).lower().endswith(".mrk.json"):
        write_json(path, _slicer_points(centroids))
        return
    entries: list[dict] = [{"direction": list(axis_codes(image)), **_stated(centroids)}]
    for point in centroids:
        index = image.TransformPhysicalPointToContinuousIndex(point.position)
        entry = {"label": int(point.level), **dict(zip("XYZ", index, strict=True))}
        entries.append(entry if point.confidence == 1 else {**entry, "confidence": point.confidence})
    write_text(path, "[\n" + ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries) + "\n]\n")


def _slicer_points(centroids: Centroids) -> dict:
    points = [
        {
            "id": str(number),
            "label": point.level.name,
            "description": "" if point.confidence == 1 else f"{CONFIDENCE}{point.confidence!r}",
            "position": list(point.position),
            "positionStatus": "defined",
        }
        for number, point in enumerate(centroids, 1)
    ]
    schema = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
    return {"@schema": schema, "markups": [markup], **_stated(centroids)}


def numbering_json(numbering: Numbering) -> dict:
    """The verdict on the names as JSON, names as text; the best reading comes first."""
    readings = [
        {"levels": [level.name for level in reading.levels], "probability": reading.probability}
        for reading in numbering.readings
    ]
    return {
        "certainty": numbering.certainty.value,
        "readings": readings,
        "evidence": list(numbering.evidence),
        "sacrum": list(numbering.sacrum) if numbering.sacrum else None,
    }


def parse_numbering(value: Any) -> Numbering:
    """What :func:`numbering_json` made.

    Raises:
        SpineError: it is no such value.
    """
    try:
        readings = [
            Reading(tuple(Level[name] for name in reading["levels"]), float(reading["probability"]))
            for reading in value["readings"]
        ]
        evidence, sacrum = tuple(map(str, value["evidence"])), value.get("sacrum")
        return Numbering(value["certainty"], tuple(readings), evidence, sacrum)
    except (KeyError, TypeError, ValueError) as error:
        raise SpineError(f"the verdict on the names (numbering) cannot be understood: {error!r}") from None


def _stated(centroids: Centroids) -> dict:
    return {"numbering": numbering_json(centroids.numbering)} if centroids.numbering else {}


def _with_verdict(centroids: Centroids, value: Any) -> Centroids:
    """With the verdict that a file holds, unless somebody has named the vertebrae otherwise since."""
    if value is None:
        return centroids
    numbering = parse_numbering(value)
    same = not numbering.readings or numbering.readings[0].levels == centroids.levels
    return Centroids(centroids.points, numbering) if same else centroids


def read_centroids(path: str | Path, image: sitk.Image | None) -> Centroids:
    """Centroids from a VerSe centroid file, a Slicer point list, or a list of named points in mm.

    The content tells which: a list is VerSe (indices of ``image``, re-oriented when the file's axes are flipped or
    permuted against the image's), ``markups`` is Slicer's, ``points`` with ``coordinate_system`` is the last.
    Without ``image``, None, a VerSe file cannot be read.
    VerSe labels 26 and 27 (sacrum, coccyx) and points named S1 ... are left out. ``*.fcsv`` is Slicer's old point list.

    Raises:
        SpineError: the file is not readable, has another content, or an entry is wrong (which one is said).
    """
    if str(path).lower().endswith(".fcsv"):
        return read_fcsv(Path(path))
    value = read_json(path)
    try:
        if isinstance(value, list):
            if image is None:
                raise SpineError("holds voxel coordinates, and there is no image that they could refer to")
            return _with_verdict(_from_verse(value, image), value[0].get("numbering"))
        if isinstance(value, dict) and "markups" in value:
            return _with_verdict(_from_slicer(value), value.get("numbering"))
        if isinstance(value, dict) and "points" in value:
            return _from_points(value)
    except SpineError as error:
        raise SpineError(f"{path}: {error}") from error
    raise SpineError(f"{path} is not a centroid file: give a VerSe centroid JSON or a Slicer point list (.mrk.json)")


def _from_verse(entries: list, image: sitk.Image) -> Centroids:
    axes, flipped = _file_axes(entries, axis_codes(image))
    last = np.array(image.GetSize()) - 1
    points = []
    for number, entry in enumerate(entries[1:], 2):
        where = f"entry {number}"
        if not isinstance(entry, dict) or not {"label", "X", "Y", "Z"} <= entry.keys():
            raise SpineError(f"{where} must have label, X, Y and Z")
        code = entry["label"]
        if isinstance(code, bool) or not isinstance(code, (int, float)) or code % 1 != 0 or code < 1:
            raise SpineError(f"{where}: {code!r} is not a VerSe code (1 = C1 ... 24 = L5, 25 = L6, 28 = T13)")
        if code in (SACRUM, COCCYX):
            continue
        if code not in Level._value2member_map_:
            raise SpineError(f"{where}: {code!r} is no vertebra (from 41 on: sub-regions); give one point for each")
        index = _numbers([entry[axis] for axis in "XYZ"], where)[axes]
        position = image.TransformContinuousIndexToPhysicalPoint(np.where(flipped, last - index, index).tolist())
        points.append(_centroid(Level(int(code)), position, entry.get("confidence", 1.0), where))
    return Centroids(tuple(points))


def _file_axes(entries: list, codes: tuple[str, ...]) -> tuple[list[int], np.ndarray]:
    """For each axis of the image: which axis of the file it is, and whether it runs the other way."""
    first = entries[0] if entries else None
    stated = first.get("direction") if isinstance(first, dict) else None
    if not isinstance(stated, list) or len(stated) != 3 or not all(isinstance(code, str) for code in stated):
        raise SpineError('entry 1 must name the axes, for example {"direction": ["L", "P", "S"]}')
    pairs = {letter: pair for pair, letters in enumerate(SIDES) for letter in letters}
    stated_pairs = [pairs.get(code) for code in stated]
    if sorted(stated_pairs, key=str) != [0, 1, 2]:
        raise SpineError(f"entry 1: {stated} does not name three body axes (one each of L/R, P/A and S/I)")
    axes = [stated_pairs.index(pairs[code]) for code in codes]
    return axes, np.array([stated[axis] != code for axis, code in zip(axes, codes, strict=True)])


def _from_slicer(value: dict) -> Centroids:
    points = []
    markups = value["markups"] if isinstance(value["markups"], list) else []
    lists = [markup for markup in markups if isinstance(markup, dict) and markup.get("type") == "Fiducial"]
    if not lists:
        raise SpineError("holds no point list (a markup of type Fiducial)")
    for markup in lists:
        flip = _to_lps(markup.get("coordinateSystem", "LPS")) * _millimetres(markup.get("coordinateUnits", "mm"))
        entries = markup.get("controlPoints")
        for number, entry in enumerate(entries if isinstance(entries, list) else [], 1):
            where = f"point {number}"
            if not isinstance(entry, dict):
                raise SpineError(f"{where} is not a control point")
            if entry.get("positionStatus", "defined") != "defined":
                continue
            position = flip * _numbers(entry.get("position"), where)
            text = str(entry.get("description", ""))
            confidence = text[len(CONFIDENCE) :] if text.startswith(CONFIDENCE) else 1.0
            points.append(_centroid(_level(entry.get("label"), where), position, confidence, where))
    return Centroids(tuple(points))


def read_fcsv(path: Path) -> Centroids:
    """The points of Slicer's point lists before version 5: RAS unless the header says LPS (1 in newer ones).

    Raises:
        SpineError: not readable, or a point is wrong (which one is said).
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpineError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text file'}") from error
    stated = dict(re.findall(r"(?m)^#\s*(\w+)\s*=\s*(.*?)\s*$", "\n".join(lines)))
    columns = [name.strip() for name in stated.get("columns", "").split(",")]
    if not {"x", "y", "z", "label"} <= set(columns):
        raise SpineError(f"{path} is no point list of Slicer: its header does not name the columns x, y, z and label")
    system = stated.get("CoordinateSystem", "RAS")
    points = []
    try:
        flip = _to_lps({"0": "RAS", "1": "LPS"}.get(system, system))
        for number, row in enumerate(csv.reader(line for line in lines if line and not line.startswith("#")), 1):
            entry, where = dict(zip(columns, row, strict=False)), f"point {number}"
            position = flip * _numbers([entry.get(axis) for axis in "xyz"], where)
            text = entry.get("desc", "")
            confidence = text[len(CONFIDENCE) :] if text.startswith(CONFIDENCE) else 1.0
            points.append(_centroid(_level(entry.get("label"), where), position, confidence, where))
        return Centroids(tuple(points))
    except csv.Error as error:
        raise SpineError(f"{path} is no table of points: {error}") from error
    except SpineError as error:
        raise SpineError(f"{path}: {error}") from error


def _from_points(value: dict) -> Centroids:
    flip = _to_lps(value.get("coordinate_system"))
    if not isinstance(value["points"], list):
        raise SpineError("points must be a list")
    points = []
    for number, entry in enumerate(value["points"], 1):
        where = f"point {number}"
        if not isinstance(entry, dict):
            raise SpineError(f"{where} must have label and position")
        if str(entry.get("label", "")).upper().startswith("S"):
            continue
        position = flip * _numbers(entry.get("position"), where)
        points.append(_centroid(_level(entry.get("label"), where), position, entry.get("confidence", 1.0), where))
    return Centroids(tuple(points))


def _to_lps(system: Any) -> np.ndarray:
    if system == "LPS":
        return np.ones(3)
    if system == "RAS":
        return np.array([-1.0, -1.0, 1.0])
    raise SpineError(f"the coordinate system {system!r} is not known: use LPS or RAS")


def _millimetres(unit: Any) -> float:
    """mm in a unit of length, given as its sign or as Slicer's code (sign, scheme, meaning)."""
    sign = unit[0] if isinstance(unit, list) and unit else unit
    if not isinstance(sign, str) or sign not in UNITS:
        raise SpineError(f"the unit {unit!r} is not known: use {', '.join(UNITS)}")
    return UNITS[sign]


def _level(name: Any, where: str) -> Level:
    try:
        return Level.parse(str(name))
    except ValueError:
        raise SpineError(f"{where}: {name!r} is not a vertebra; name it C1 ... C7, T1 ... T13 or L1 ... L6") from None


def _numbers(values: Any, where: str) -> np.ndarray:
    try:
        numbers = np.array([float(value) for value in values] if isinstance(values, list) else [])
    except (TypeError, ValueError):
        numbers = np.array([])
    if numbers.shape != (3,) or not np.all(np.isfinite(numbers)):
        raise SpineError(f"{where} needs three finite coordinates, not {values}")
    return numbers


def _centroid(level: Level, position: Any, confidence: Any, where: str) -> Centroid:
    try:
        return Centroid(level, position, float(confidence))
    except (TypeError, ValueError):
        raise SpineError(f"{where}: the confidence {confidence!r} is not a number") from None
