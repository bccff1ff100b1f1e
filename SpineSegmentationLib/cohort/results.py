"""The results of a cohort as they lie in a folder: one for every run file."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SpineError
from ..io.values import parse_numbering, read_json
from ..numbering import Numbering
from ..results.files import CENTROIDS, LABEL_MAP, MEASUREMENTS, MEASURES, PICTURE, RUN
from .content import Content


@dataclass(frozen=True)
class ScanResult:
    """The result of one scan.

    Attributes:
        folder, name: of its files.
        run: its run file.
    """

    folder: Path
    name: str
    run: Mapping[str, Any]

    @property
    def label_map(self) -> Path:
        return self.folder / LABEL_MAP.format(self.name)

    @property
    def centroids(self) -> Path:
        return self.folder / CENTROIDS.format(self.name)

    @property
    def picture(self) -> Path:
        return self.folder / PICTURE.format(self.name)

    @property
    def measurements(self) -> Path:
        return self.folder / MEASUREMENTS.format(self.name)

    @property
    def details(self) -> Path:
        """What was measured, with what it was measured from (:mod:`measures.details`)."""
        return self.folder / MEASURES.format(self.name)

    @property
    def run_file(self) -> Path:
        return self.folder / RUN.format(self.name)

    @property
    def digest(self) -> str:
        """The checksum of the run file: another one after every run and every change by :mod:`.review`.

        Raises:
            SpineError: it cannot be read.
        """
        try:
            return hashlib.sha256(self.run_file.read_bytes()).hexdigest()
        except OSError as error:
            raise SpineError(f"{self.run_file} cannot be read: {error.strerror or error}") from error

    @property
    def scan(self) -> Path:
        """Where the scan was read from."""
        return Path(self.run["input"]["path"])

    @property
    def content(self) -> Content | None:
        """Of the scan that was read."""
        return Content.from_json(self.run["input"].get("content"))

    @property
    def numbering(self) -> Numbering | None:
        """The verdict on the names; None without one.

        Raises:
            SpineError: it cannot be understood.
        """
        value = self.run.get("numbering")
        return parse_numbering(value) if value is not None else None

    def confidences(self) -> dict[str, float]:
        """Of the names, by name, from the head down.

        Raises:
            SpineError: the centroids cannot be read.
        """
        confidence = {
            entry["label"]: entry.get("confidence", 1.0) for entry in read_json(self.centroids) if "label" in entry
        }
        return dict(zip(self.run["centroids"], confidence.values(), strict=True))

    def measures(self) -> dict[str, str]:
        """What was measured on the scan as a whole, by column; nothing for results of versions that did not.

        Raises:
            SpineError: it cannot be read.
        """
        value = read_json(self.details) if self.details.exists() else {}
        scan = value.get("scan") if isinstance(value, dict) else None
        return scan if isinstance(scan, dict) else {}

    def measured(self) -> list[dict[str, str]]:
        """The rows of the measurements.

        Raises:
            SpineError: they cannot be read.
        """
        try:
            with self.measurements.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SpineError(f"{self.measurements} cannot be read: {error}") from error


def read_result(folder: Path, name: str) -> ScanResult:
    """The result of a whole run (``segment``) of that name.

    Raises:
        SpineError: there is none, or its run file is none.
    """
    path = folder / RUN.format(name)
    run = read_json(path)
    try:
        whole = run["until"] == "segmentation"
        run["input"]["path"], run["centroids"], run["given"]
    except (KeyError, TypeError):
        raise SpineError(f"{path} does not say which scan it is of; segment the scan again") from None
    if not whole:
        raise SpineError(f"{path} is of a run until {run['until']}; there is no label map")
    return ScanResult(folder, name, run)


def read_results(folder: Path) -> tuple[list[ScanResult], list[str]]:
    """The results of whole runs in a folder, by name, and why others are none, one line each."""
    results, problems = [], []
    for path in sorted(folder.glob(RUN.format("*"))):
        try:
            results.append(read_result(folder, path.name[: -len(RUN.format(""))]))
        except SpineError as error:
            problems.append(str(error))
    return results, problems
