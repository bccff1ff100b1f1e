"""Two measurements side by side, as markdown: "before → after" where they differ.

    python benchmarks/compare.py BEFORE AFTER

Both are a ``results.json`` of accuracy.py, or both of robustness.py.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import accuracy
import robustness
from measuring import Columns, cell, markdown

from SpineSegmentationLib.io.values import read_json


def side_by_side(columns: Columns, before: Iterable[Mapping], after: Iterable[Mapping]) -> str:
    """A table with a row for every row of ``after``; rows belong together by their first column."""
    first = next(iter(columns))
    old = {row[first]: row for row in before}
    rows = []
    for row in after:
        texts = {key: cell(row.get(key), style) for key, (_, style) in columns.items()}
        for key, (_, style) in columns.items():
            was = cell(old.get(row[first], {}).get(key), style)
            if was != texts[key]:
                texts[key] = f"{was or '–'} → {texts[key] or '–'}"
        rows.append(texts)
    return markdown(columns, rows)


def tables(results: Mapping) -> Iterator[tuple[str, Columns, list[Mapping]]]:
    """The tables of a measurement: name, how to show the rows, rows."""
    if "confidence" in results:
        scans = {**accuracy.SCANS}
        del scans["seconds"]  # says more about what else the computer did
        yield (
            "Scans",
            scans,
            [row for name in results["scans"] for row in [*results["scans"][name], results["means"][name]]],
        )
        yield "Confidence", accuracy.CONFIDENCE, results["confidence"]
        for name, rows in results["levels"].items():
            yield f"By level, {name}", accuracy.LEVELS, rows
    else:
        yield "Variations", robustness.VARIATIONS, results["means"]
        yield "Without a spine", robustness.EMPTY, results["without_spine"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    before = {name: rows for name, _, rows in tables(read_json(arguments.before))}
    for name, columns, rows in tables(read_json(arguments.after)):
        print(f"{name}\n\n{side_by_side(columns, before.get(name, []), rows)}\n")


if __name__ == "__main__":
    main()
