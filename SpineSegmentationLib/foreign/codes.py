"""Which number means which vertebra in label maps of others."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..anatomy import COCCYX, COLUMN, SACRUM, STANDARD, Level
from ..errors import SpineError
from ..io.values import read_json
from .names import level_of_name


@dataclass(frozen=True)
class CodeTable:
    """The numbers of a label map.

    Attributes:
        name: what people call the table.
        levels: the vertebrae, by number.
        others: numbers that are known and mean no vertebra of the product.
    """

    name: str
    levels: Mapping[int, Level]
    others: frozenset[int] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        doubled = [level.name for level in set(self.levels.values()) if [*self.levels.values()].count(level) > 1]
        if doubled:
            raise SpineError(f"the code table {self.name} names {doubled[0]} twice; keep one number for each vertebra")


def _range(*parts: tuple[int, int]) -> frozenset[int]:
    return frozenset(code for first, last in parts for code in range(first, last + 1))


_VERSE = {int(level): level for level in Level}
# SPINEPS (TPTBox, Vertebra_Instance): VerSe's numbers; S2-S6 29-33, ribs 38-53 and 60-65, discs 100+, end-plates 200+.
_SPINEPS_OTHERS = frozenset({SACRUM, COCCYX}) | _range((29, 33), (38, 53), (60, 65), (101, 133), (201, 233))
# TotalSegmentator, task "total": map_to_binary.py, versions 2 and 1; from L5 up to C1.
_TOTAL_2 = dict(zip(range(27, 51), reversed(STANDARD), strict=True))
_TOTAL_1 = dict(zip(range(18, 42), reversed(STANDARD), strict=True))

TABLES: dict[str, CodeTable] = {
    table.name: table
    for table in (
        CodeTable("verse", _VERSE, frozenset({SACRUM, COCCYX})),
        CodeTable("ctspine1k", {code: level for code, level in _VERSE.items() if code <= 25}),
        CodeTable("spineps", _VERSE, _SPINEPS_OTHERS),
        CodeTable("totalsegmentator", _TOTAL_2, _range((1, 26), (51, 117))),
        CodeTable("totalsegmentator-v1", _TOTAL_1, _range((1, 17), (42, 104))),
    )
}
"""The tables by name; where several fit a label map equally well, the first is taken."""


def table_of(name: str) -> CodeTable:
    """A table by its name, or from a file: CSV or TSV (number and name in any two columns), or JSON (a
    ``dataset.json`` of nnU-Net, or an object of names and numbers).

    Raises:
        SpineError: no such table or file, or no vertebra in it.
    """
    if name.lower() in TABLES:
        return TABLES[name.lower()]
    path = Path(name)
    if not path.is_file():
        raise SpineError(f"{name!r} is no code table: give {', '.join(TABLES)} or a CSV file with number and name")
    pairs = _pairs_of_json(path) if path.suffix.lower() == ".json" else _pairs_of_text(path)
    levels: dict[int, Level] = {}
    for code, text in pairs:
        level = level_of_name(text)
        if code in levels and levels[code] != level:
            raise SpineError(f"{path} gives the number {code} twice; keep one line for each number")
        if level is not None:
            levels[code] = level
    if not levels:
        raise SpineError(f"{path} names no vertebra; each line needs a number and a name, such as 27,vertebrae_L5")
    return CodeTable(path.name, levels, frozenset(code for code, _ in pairs) - levels.keys())


def _pairs_of_text(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpineError(f"{path} cannot be read as text: {error}") from error
    delimiter = next((one for one in "\t;" if one in text), ",")
    pairs = []
    for row in csv.reader(text.splitlines(), delimiter=delimiter):
        cells = [cell.strip() for cell in row]
        code = next((int(cell) for cell in cells if cell.isdecimal()), None)
        words = [cell for cell in cells if cell and not cell.isdecimal()]
        if code and words:
            pairs.append((code, next((word for word in words if level_of_name(word)), words[0])))
    return pairs


def _pairs_of_json(path: Path) -> list[tuple[int, str]]:
    value = read_json(path)
    value = value.get("labels", value) if isinstance(value, dict) else {}
    pairs = []
    for key, other in value.items() if isinstance(value, dict) else ():
        number, text = (other, key) if isinstance(other, int) else (key, other)
        if isinstance(text, str) and str(number).isdecimal() and int(number):
            pairs.append((int(number), text))
    return pairs


def choose(heights: Mapping[int, float], names: Mapping[int, str] | None = None) -> tuple[CodeTable, str]:
    """The table that a label map without a stated one was written with, and why it was taken, in words.

    Names that come with the label map decide. Otherwise a table fits when it knows every number and when its
    vertebrae follow each other from the head down where the voxels lie.

    Args:
        heights: mean height (the S axis of LPS, mm) of the voxels of every number but 0.
        names: what the file itself says about its numbers.

    Raises:
        SpineError: no table fits.
    """
    if names and (levels := {code: level for code, text in names.items() if (level := level_of_name(text))}):
        return CodeTable("the names in the file", levels, frozenset(names) - levels.keys()), "named in the file itself"
    fitting = [table for table in TABLES.values() if _fits(table, heights)]
    if not fitting:
        raise SpineError(
            f"the numbers {_listed(heights)} fit no known code table ({', '.join(TABLES)}); give --codes TABLE, or a "
            "CSV file with number and name"
        )
    fitting.sort(key=lambda table: -_told(table, heights))
    chosen = fitting[0]
    read = [chosen.levels[code].name for code in sorted(heights) if code in chosen.levels]
    why = (
        f"numbers read as those of {chosen.name} ({_listed(heights)}: {', '.join(read[:3])}{' ...' * (len(read) > 3)})"
    )
    others = [
        table.name
        for table in fitting[1:]
        if 2 * _told(table, heights) >= _told(chosen, heights)
        and any(table.levels.get(code) != chosen.levels.get(code) for code in heights)
    ]
    return chosen, f"{why}; {' or '.join(others)} would fit, too: give --codes if that is meant" if others else why


def _fits(table: CodeTable, heights: Mapping[int, float]) -> bool:
    if not all(code in table.levels or code in table.others for code in heights):
        return False
    column = [heights[code] for level in COLUMN for code in heights if table.levels.get(code) == level]
    falling = sum(upper > lower for upper, lower in zip(column, column[1:], strict=False))
    return _told(table, heights) > 0 and falling >= 0.8 * (len(column) - 1)


def _told(table: CodeTable, codes: Mapping[int, float]) -> int:
    """How many numbers are vertebrae; a T13 or an L6 alone tells nothing."""
    return sum(code in table.levels and not table.levels[code].is_transitional for code in codes)


def _listed(codes: Mapping[int, float]) -> str:
    ordered = sorted(codes)
    return ", ".join(map(str, ordered[:8])) + (", ..." if len(ordered) > 8 else "")
