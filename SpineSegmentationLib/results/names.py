"""What the output files of several scans are called: on the command line and in scripts in Slicer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import SpineError
from ..io.ct import scan_name


def output_names(scans: Sequence[Path]) -> list[str]:
    """A name for the output files of each scan; where scans have the same name, their folders are put in front.

    Raises:
        SpineError: two scans cannot be told apart.
    """
    parts = [(*scan.resolve().parent.parts[1:], scan_name(scan)) for scan in scans]
    names = [path[-1] for path in parts]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        # File systems may not tell upper from lower case.
        plain = [name.casefold() for name in names]
        if len(set(plain)) == len(plain):
            return names
        names = [
            "_".join(path[-depth:]) if plain.count(one) > 1 else name
            for path, name, one in zip(parts, names, plain, strict=True)
        ]
    plain = [name.casefold() for name in names]
    for number, name in enumerate(plain):
        if name in plain[:number]:
            raise SpineError(f"{scans[plain.index(name)]} and {scans[number]} would have the same output files")
    return names
