"""Makes the pictures of tutorial.md: the real panel and the real weights, on the sample phantom.

Needs slicer-core and PySide6-Essentials, no Slicer: ``python docs/make_pictures.py [NAME...]``; all without a name.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("Testing", "Testing/panel", "SpineSegmentation"))]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# ruff: noqa: E402  the folders had to be found first
import panel_standins
import scenes
import slicer

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pictures.snapshot import snapshot, write_picture

panel_standins.install(pytest.MonkeyPatch())
from SpineSegmentation import SpineSegmentationWidget


class Tutorial:
    """The panel on the phantom, and pictures of both."""

    def __init__(self) -> None:
        spec = PhantomSpec(seed=7, first=Level.T10, last=Level.L5, field=(160.0, 160.0))
        self.ct = make_phantom(spec, (1.0, 1.0, 1.5)).ct
        scenes.add_volume(slicer.mrmlScene, self.ct, "SpinePhantom")
        self.window = panel_standins.Parent()
        self.panel = SpineSegmentationWidget(self.window)
        self.panel.setup()
        self.window.resize(460, 920)
        self.window.show()

    def do(self, action: Callable[[], object]) -> None:
        """Does something and waits until it is computed."""
        action()
        panel = self.panel
        while panel.logic.busy or panel.logic.hasEdits(panel.result):
            slicer.app.processEvents()
            time.sleep(0.01)

    def measured(self) -> None:
        """Waits until the vertebrae were measured, which happens by itself."""
        while self.panel.logic.measures(self.panel.result) is None:
            slicer.app.processEvents()
            time.sleep(0.01)

    def picture(self) -> np.ndarray:
        """The present result, from the side and from the front."""
        with tempfile.TemporaryDirectory() as folder:
            mask, centroids = self.panel.logic.exportVerSe(self.panel.result, folder)
            return snapshot(self.ct, sitk.ReadImage(str(mask)), read_centroids(centroids, self.ct))

    def place(self, level: str, by: tuple[float, float, float]) -> None:
        """Moves a centroid from where it is by RAS mm."""
        [ras] = [v.ras for v in self.panel.logic.vertebrae(self.panel.result) if v.level == level]
        self.panel.logic.moveCentroid(self.panel.result, level, tuple(np.add(ras, by)))


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures in a row, the smaller ones centred."""
    height = max(picture.shape[0] for picture in pictures)
    rows = [(height - picture.shape[0]) // 2 for picture in pictures]
    return np.concatenate(
        [
            np.pad(picture, ((top, height - picture.shape[0] - top), (0, 0), (0, 0)))
            for picture, top in zip(pictures, rows, strict=True)
        ],
        axis=1,
    )


def grab(widget, name: str) -> None:
    """A widget as it looks, in few colours: a small file."""
    file = IMAGES / f"{name}.png"
    widget.grab().save(str(file))
    few = Image.open(file).convert("RGB").quantize(200, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def main(names: list[str]) -> None:
    wanted = set(names) or {"panel", "measures", "applied", "shift", "drag"}
    tutorial = Tutorial()
    ui = tutorial.panel.ui
    IMAGES.mkdir(exist_ok=True)
    tutorial.do(ui.applyButton.click)
    tutorial.measured()
    ui.exportDirectoryButton.setText("choose a folder")
    if "panel" in wanted:
        tutorial.window.resize(460, tutorial.window.minimumSizeHint().height())
        slicer.app.processEvents()
        grab(tutorial.window, "panel")
    if "measures" in wanted:
        tutorial.window.resize(620, 1100)
        ui.measuresCollapsibleButton.setProperty("collapsed", False)
        slicer.app.processEvents()
        grab(ui.measuresCollapsibleButton, "measures")
    right = tutorial.picture()
    if "applied" in wanted:
        write_picture(right, IMAGES / "applied.png")
    if "shift" in wanted:
        tutorial.do(ui.shiftDownButton.click)
        write_picture(side_by_side(tutorial.picture(), right), IMAGES / "shift.png")
        tutorial.do(ui.undoButton.click)
    if "drag" in wanted:
        level = tutorial.panel.table.levels[-2]
        tutorial.do(lambda: tutorial.place(level, (0.0, 14.0, 14.0)))
        write_picture(side_by_side(tutorial.picture(), right), IMAGES / "drag.png")
    tutorial.panel.cleanup()


if __name__ == "__main__":
    main(sys.argv[1:])
