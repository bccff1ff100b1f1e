"""Files for other programs that are written beside a result when they are asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from ..anatomy import Level
from ..errors import SpineError
from ..grid import Grid
from ..io.ct import Scan
from ..io.values import read_json, write_centroids, write_text
from ..io.writing import write_part
from ..measures.column import body_map, measure
from ..parts import start_of, whole_of
from ..results.files import MEASUREMENTS, MEASURES, PICTURE, RUN
from ..results.report import html, write_pdf
from ..results.transforms import write_transform
from ..segmentation.mask import Piece, pieces_of
from ..spine import Centroids

Write = Callable[[Path], None]

POINTS = ("mrk.json", "csv")
"""The kinds of files for centroids besides VerSe's own."""

NO_NUMBERS = ("label", "completeness", "confidence", "mask_confidence", "names", "name_probability", "notes")
"""Columns of the table that are no measurement."""


@dataclass(frozen=True)
class Extras:
    """What to write besides.

    Attributes:
        dicom_seg: the label map as DICOM SEG, ``<scan>_seg.dcm``.
        dicom_sr: the measurements as DICOM SR that refers to the SEG, ``<scan>_sr.dcm``; writes both.
        surfaces: the format of one surface for each vertebra, ``<scan>_<level>.<format>``; "" for none.
        points: the formats of the centroids, ``<scan>_vertebrae.<format>``.
        report, pdf: names, picture, measures and plots on one page, ``<scan>_report.html`` and ``.pdf``.
        bodies: the label map of the vertebral bodies without arches, ``<scan>_seg-body_msk.nii.gz``.
        transforms: the frame of each vertebra for Slicer and ITK, ``<scan>_frame-<level>.tfm``.
    """

    dicom_seg: bool = False
    dicom_sr: bool = False
    surfaces: str = ""
    points: tuple[str, ...] = ()
    report: bool = False
    pdf: bool = False
    bodies: bool = False
    transforms: bool = False

    def names(self) -> list[str]:
        """What was asked for, in words for the run file."""
        asked = {"dicom-seg": self.dicom_seg, "dicom-sr": self.dicom_sr, self.surfaces: bool(self.surfaces)}
        asked |= {name: getattr(self, name) for name in ("report", "pdf", "bodies", "transforms")}
        return [*(name for name, wanted in asked.items() if wanted), *self.points]

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Extras:
        """What :meth:`names` put into words.

        >>> asked = Extras(dicom_seg=True, surfaces="stl", points=("csv",), pdf=True)
        >>> Extras.of_names(asked.names()) == asked
        True
        """
        switches = {one.name: one.name.replace("_", "-") for one in fields(cls) if one.type == "bool"}
        surfaces = [name for name in names if name not in (*switches.values(), *POINTS)]
        return cls(
            surfaces="".join(surfaces),
            points=tuple(name for name in names if name in POINTS),
            **{field: word in names for field, word in switches.items()},
        )

    def writers(
        self,
        name: str,
        scan: Scan,
        part: sitk.Image,
        centroids: Centroids,
        made_by: str,
        by_hand: bool = False,
    ) -> dict[str, Write]:
        """What writes each file, by the file's name.

        Args:
            name: of the scan, for the files.
            part: the label map where it holds vertebrae (:mod:`parts`).
            made_by: what the algorithm is called.
            by_hand: whether a person had a hand in it.

        Raises:
            SpineError: DICOM is asked for and the scan is not DICOM, or a package is missing.
        """
        writers: dict[str, Write] = {}
        if self.dicom_seg or self.dicom_sr:
            writers |= _dicom(name, scan, part, made_by, by_hand, self.dicom_sr)
        if self.surfaces:
            writers |= _surfaces(name, scan, part, self.surfaces)
        for kind in self.points:
            write = _write_points if kind == "csv" else partial(_write_markups, image=scan.image)
            writers[f"{name}_vertebrae.{kind}"] = partial(write, centroids)
        if self.bodies or self.transforms:
            writers |= _measured(name, scan, part, centroids, self.bodies, self.transforms)
        for suffix, write_page in (("html", write_text), ("pdf", write_pdf)):
            if self.report if suffix == "html" else self.pdf:
                writers[f"{name}_report.{suffix}"] = partial(_write_report, name, write_page)
        return writers


def _measured(
    name: str, scan: Scan, part: sitk.Image, centroids: Centroids, bodies: bool, transforms: bool
) -> dict[str, Write]:
    measures = measure(scan.image, part, centroids)
    writers: dict[str, Write] = {}
    if bodies:
        writers[f"{name}_seg-body_msk.nii.gz"] = partial(write_part, body_map(part, measures), scan.image)
    for vertebra in measures.vertebrae if transforms else ():
        if vertebra.body is not None:
            writers[f"{name}_frame-{vertebra.level.name}.tfm"] = partial(write_transform, vertebra.body.frame.to_lps)
    return writers


def _write_report(name: str, write: Callable[[Path, str], None], file: Path) -> None:
    """Of the files of the scan that lie beside it."""
    measured, run, picture = (file.with_name(one.format(name)) for one in (MEASURES, RUN, PICTURE))
    write(file, html(name, read_json(measured), read_json(run), picture.read_bytes()))


def _dicom(name: str, scan: Scan, part: sitk.Image, made_by: str, by_hand: bool, with_report: bool) -> dict[str, Write]:
    try:
        from ..dicom.seg import Algorithm, segmentation, write_dicom
        from ..dicom.source import source_of
        from ..dicom.sr import report
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[dicom]'") from error

    source = source_of(scan)
    if not pieces_of(part):
        # A result without a vertebra is one all the same; a SEG without a segment is none.
        return {}
    algorithm = Algorithm(made_by, "SEMIAUTOMATIC" if by_hand else "AUTOMATIC")
    made = segmentation(source, whole_of(part, Grid.of(scan.image)), algorithm)

    def write_report(file: Path) -> None:
        table = _table(file.with_name(MEASUREMENTS.format(name)))
        tracked = {str(item.TrackingID) for item in made.SegmentSequence}
        table = {level: row for level, row in table.items() if level.name in tracked}
        write_dicom(report(source, made, table, algorithm), file)

    writers: dict[str, Write] = {f"{name}_seg.dcm": partial(write_dicom, made)}
    return writers | ({f"{name}_sr.dcm": write_report} if with_report else {})


def _table(file: Path) -> dict[Level, dict[str, float]]:
    """The measurements of a file, by level and column; empty cells are left out."""
    with file.open(newline="", encoding="utf-8") as lines:
        table = {}
        for row in csv.DictReader(lines):
            table[Level.parse(row["label"])] = {
                column: float(cell) for column, cell in row.items() if column not in NO_NUMBERS and _is_number(cell)
            }
    return table


def _is_number(cell: str | None) -> bool:
    try:
        float(cell or "")
    except ValueError:
        return False
    return True


def _surfaces(name: str, scan: Scan, part: sitk.Image, kind: str) -> dict[str, Write]:
    try:
        from ..results.surfaces import surface_of, write_surface
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[surfaces]'") from error

    grid = Grid.of(scan.image)

    def write(piece: Piece, file: Path) -> None:
        write_surface(surface_of(piece, grid), file)

    pieces = pieces_of(part, start_of(part, scan.image))
    return {f"{name}_{level.name}.{kind}": partial(write, piece) for level, piece in pieces.items()}


def _write_markups(centroids: Centroids, file: Path, image: sitk.Image) -> None:
    write_centroids(centroids, image, file)


def _write_points(centroids: Centroids, file: Path) -> None:
    """``label,x,y,z,confidence``: LPS mm."""
    rows = [[p.level.name, *(f"{value:.3f}" for value in p.position), f"{p.confidence:.3f}"] for p in centroids]
    write_text(file, "".join(",".join(row) + "\n" for row in [["label", "x", "y", "z", "confidence"], *rows]))
