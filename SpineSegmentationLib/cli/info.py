"""``info``."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import __version__, registry
from ..anatomy import COLUMN
from ..systems import DEFAULT, SYSTEMS, UNTRAINED
from .console import OK, Console, aligned

ABOUT = "what is installed: systems, weights, labels with their colours and codes, versions"

PACKAGES = ("numpy", "scipy", "SimpleITK", "torch", "safetensors", "pydicom", "highdicom", "vtk")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace, console: Console) -> int:
    value = described()
    console.record(value)
    rows = [["system", "detector", "labeller", "segmenter"]]
    rows += [[name, *(system[role] for role in rows[0][1:])] for name, system in value["systems"].items()]
    console.result(aligned(rows))
    console.result(f"default: {DEFAULT}")
    console.result("weights: " + ", ".join(value["weights"]))
    console.result("labels: " + ", ".join(f"{one['name']} = {one['code']}" for one in value["labels"]))
    console.result("code tables: " + ", ".join(value["code_tables"]))
    console.result(", ".join(f"{name} {number}" for name, number in value["versions"].items() if number))
    return OK


def described() -> dict[str, Any]:
    """What is installed, for programs."""
    from ..foreign.codes import TABLES
    from ..io.values import read_json

    place = next((place for place in registry.FOLDERS if (place / registry.REGISTRY).is_file()), None)
    weights = read_json(place / registry.REGISTRY) if place is not None else {}
    return {
        "versions": {"SpineSegmentationLib": __version__} | {name: _version(name) for name in PACKAGES},
        "default": DEFAULT,
        "systems": {
            name: {"detector": one.detector, "labeller": one.labeller, "segmenter": one.segmenter}
            for name, one in SYSTEMS.items()
        },
        "untrained": list(UNTRAINED),
        "weights": {name: {"sha256": one["sha256"], "width": one["width"]} for name, one in weights.items()},
        "labels": [
            {
                "name": level.name,
                "code": int(level),
                "snomed": level.snomed,
                "color": [round(255 * value) for value in level.color],
            }
            for level in COLUMN
        ],
        "code_tables": {
            name: {str(code): level.name for code, level in table.levels.items()} for name, table in TABLES.items()
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
