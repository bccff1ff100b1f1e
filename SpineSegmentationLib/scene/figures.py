"""What people read of the measures of a scan: a row per vertebra with plain headings, and a line on the column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A column of the table for people.

    Attributes:
        heading: what stands above it.
        column: of the table of measures (:mod:`measures.dictionary`), without its unit.
        unit: the end of the column's name.
        sign: how people write the unit.
    """

    heading: str
    column: str
    unit: str
    sign: str

    def value(self, row: Mapping[str, str]) -> str:
        """As short as the uncertainty allows; "" where there is none."""
        text = row.get(f"{self.column}_{self.unit}", "")
        return f"{float(text):.{0 if self.unit == 'hu' else 1}f}" if text else ""

    def sentence(self, row: Mapping[str, str]) -> str:
        """With unit and uncertainty; "" where there is none."""
        doubt = row.get(f"{self.column}_uncertainty_{self.unit}", "")
        text = self.value(row)
        return (
            f"{self.heading.split(' (')[0]}: {text}{f' ± {float(doubt):.1f}' if doubt else ''} {self.sign}"
            if text
            else ""
        )


FIGURES = (
    Figure("Front (mm)", "height_anterior", "mm", "mm"),
    Figure("Middle (mm)", "height_middle", "mm", "mm"),
    Figure("Back (mm)", "height_posterior", "mm", "mm"),
    Figure("Density (HU)", "trabecular", "hu", "HU"),
    Figure("Disc below (mm)", "disc_below_middle", "mm", "mm"),
    Figure("Disc angle (°)", "disc_below_angle", "deg", "°"),
    Figure("Slip (mm)", "slip", "mm", "mm"),
)

HEADINGS = (
    "Level",
    *(figure.heading for figure in FIGURES[:3]),
    "Deformity",
    *(figure.heading for figure in FIGURES[3:]),
)

CURVES = (("cobb", "Cobb angle"), ("kyphosis", "Kyphosis"), ("lordosis_l1_l5", "Lordosis"), ("lordosis_l1_s1", "to S1"))


@dataclass(frozen=True)
class Row:
    """One vertebra: what stands under ``HEADINGS``, and what a person who points at it is told."""

    level: str
    cells: tuple[str, ...]
    told: str


def rows(details: Mapping[str, Any]) -> list[Row]:
    """A row per vertebra, from the head down.

    Args:
        details: as :func:`measures.details.details`.
    """
    return [_row(level, bone["measures"]) for level, bone in details["vertebrae"].items()]


def _row(level: str, row: Mapping[str, str]) -> Row:
    values = [figure.value(row) for figure in FIGURES]
    told = [sentence for figure in FIGURES if (sentence := figure.sentence(row))]
    told += [note for note in (row.get("density_doubts", ""), row.get("notes", "")) if note]
    return Row(level, (level, *values[:3], _deformity(row), *values[3:]), "\n".join(told))


def _deformity(row: Mapping[str, str]) -> str:
    grade = row.get("genant_grade", "")
    if not grade:
        return ""
    return f"{row['deformity']}, grade {grade}" if int(grade) else "none"


def column_line(details: Mapping[str, Any]) -> str:
    """The curves and the lumbar density in one line; says so where nothing could be measured."""
    scan = details["scan"]
    parts = [
        f"{name} {float(scan[f'{prefix}_deg']):.0f}° ({scan[f'{prefix}_between']})"
        for prefix, name in CURVES
        if scan.get(f"{prefix}_deg")
    ]
    if scan.get("l1_l4_hu"):
        parts.append(f"L1 to L4 {float(scan['l1_l4_hu']):.0f} HU")
    return ", ".join(parts) or "No curve could be measured."
