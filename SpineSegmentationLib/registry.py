"""Which weights there are, without loading any: needs no PyTorch, so that a panel and ``--help`` can ask."""

from __future__ import annotations

import json
from pathlib import Path

_HERE = Path(__file__).resolve().parent
FOLDERS = (_HERE.parent / "Resources" / "Models", _HERE / "models")
"""In a source checkout and in Slicer; in an installed package."""

REGISTRY = "models.json"


def names(further: Path | None = None) -> frozenset[str]:
    """The names of the weights registered here and in the folder ``further``; none without a registry to read."""
    here: frozenset[str] = next((found for folder in FOLDERS if (found := _in(folder))), frozenset())
    return here | (_in(further) if further else frozenset())


def _in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(json.loads((folder / REGISTRY).read_text()))
    except (OSError, ValueError):
        return frozenset()
