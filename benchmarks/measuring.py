"""What the scripts that measure accuracy share: the stages to measure, and how their numbers are written."""

import argparse
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from SpineSegmentationLib.io.values import write_json
from SpineSegmentationLib.pipeline import STAGES, Pipeline
from SpineSegmentationLib.systems import DEFAULT, ROLES


def add_stages(parser: argparse.ArgumentParser) -> None:
    """Options that choose what is measured: a system, and stages in place of its own."""
    parser.add_argument("--system", default=DEFAULT)
    for role in ROLES:
        parser.add_argument(f"--{role}", metavar="NAME", help="in place of the system's own")
    parser.add_argument("--device", default="auto")


def pipeline_of(arguments: argparse.Namespace, weights: Path | None = None) -> Pipeline:
    """The pipeline that the options of :func:`add_stages` describe, with the weights of a folder before the shipped."""
    stages = {role: getattr(arguments, role) for role in ROLES}
    return Pipeline(arguments.system, arguments.device, weights=weights, **stages)


def measured(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """What was measured: the names of the stages, and their weights by name and checksum."""
    used = (weights for name in STAGES for weights in pipeline.stage(name).weights)
    return {"stages": asdict(pipeline.stages), "weights": {weights.name: weights.sha256 for weights in used}}


Columns = Mapping[str, tuple[str, str]]
"""For every key of a row its heading and its format."""


def cell(value: object, style: str) -> str:
    """A value as text; nothing for None and what is not a number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else format(value, style)


def markdown(columns: Columns, rows: Iterable[Mapping[str, object]]) -> str:
    """A table; what a row does not have is left empty."""
    lines = ["| " + " | ".join(heading for heading, _ in columns.values()) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(cell(row.get(key), style) for key, (_, style) in columns.items()) + " |")
    return "\n".join(lines)


def write_results(values: dict, path: Path) -> None:
    """As JSON, null for what is not a number."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    write_json(path, plain(values))
