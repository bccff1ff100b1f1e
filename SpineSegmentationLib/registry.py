"""Which weights there are, without loading any: needs no PyTorch, so that a panel and ``--help`` can ask."""

from __future__ import annotations

import json
from pathlib import Path

_HERE = Path(__file__).resolve().parent
FOLDERS = (_HERE.parent / "Resources" / "Models", _HERE / "models")
"""In a source checkout and in Slicer; in an installed package."""

REGISTRY = "models.json"


def names() -> frozenset[str]:
    """The names of the registered weights; none without a registry that can be read."""
    for folder in FOLDERS:
        try:
            return frozenset(json.loads((folder / REGISTRY).read_text()))
        except (OSError, ValueError):
            continue
    return frozenset()
