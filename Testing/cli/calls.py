"""Calls of ``segment``, and what they leave."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import standins

from SpineSegmentationLib import cli

TWICE = (1, 5)
"""The segmenter's calls for the first of two scans of three vertebrae: at first, and once more at the end."""

ENDINGS = (
    "_seg-vert_msk.nii.gz",
    "_seg-subreg_ctd.json",
    "_seg-vert_snp.png",
    "_measurements.csv",
    "_measures.json",
    "_run.json",
)


def segment(*arguments, to: Path) -> int:
    return cli.main(["segment", *map(str, arguments), "--output", str(to)])


PROGRAM = """
import standins; standins.install(); standins.DELAY['detection'] = 0.05
from SpineSegmentationLib import cli, pipeline
from SpineSegmentationLib.systems import DEFAULT
pipeline.SYSTEMS[DEFAULT] = pipeline.SYSTEMS['standin']
cli.run()
"""


def started(*words: object, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
    """The command line with the system of stand-ins, as a process that knows nothing but this environment."""
    path = f"{Path(standins.__file__).parent}:{Path(__file__).parents[2]}"
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        env={"PYTHONPATH": path, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def outputs_of(folder: Path, name: str) -> list[str]:
    """The endings of a scan's outputs; nothing else may have been left in the folder."""
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    return [ending for ending in ENDINGS if (folder / f"{name}{ending}").exists()]


def failing(monkeypatch, called: list[str], error: BaseException, *at_calls: int) -> None:
    """From now on the segmenter's calls of those numbers end with the error."""

    def begin(stage) -> None:
        called.append(stage.name)
        if stage.name == "segmentation" and called.count("segmentation") in at_calls:
            raise error

    monkeypatch.setattr(standins._Stage, "begin", begin)
