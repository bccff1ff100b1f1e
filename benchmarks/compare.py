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

from SpineSegmentationLib.files import read_json


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


def tables(results: Mapping) -> Iterator[tuple[Columns, list[Mapping]]]:
    """The rows of a measurement and how to show them."""
    if "confidence" in results:
        scans = {**accuracy.SCANS}
        del scans["seconds"]  # says more about what else the computer did
        yield scans, [row for name in results["scans"] for row in [*results["scans"][name], results["means"][name]]]
        yield accuracy.CONFIDENCE, results["confidence"]
        for rows in results["levels"].values():
            yield accuracy.LEVELS, rows
    else:
        yield robustness.VARIATIONS, results["means"]
        yield robustness.EMPTY, results["without_spine"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    before, after = (tables(read_json(path)) for path in (arguments.before, arguments.after))
    for (columns, new), (_, old) in zip(after, before, strict=False):
        print(side_by_side(columns, old, new), end="\n\n")


if __name__ == "__main__":
    main()
