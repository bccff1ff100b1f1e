"""Calls of ``segment``, and what they leave."""

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
