"""Stages that know the truth of a phantom, in the place of networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import SimpleITK as sitk

from SpineSegmentationLib.phantom import Phantom
from SpineSegmentationLib.pipeline import System
from SpineSegmentationLib.resampling import resample
from SpineSegmentationLib.segmentation.mask import VertebraMask
from SpineSegmentationLib.spine import Centroids, Point, SpineBox
from SpineSegmentationLib.weights import Weights

BONE = 400  # HU


class Stage:
    """What all stand-ins have; ``before`` is called with the stage's name each time, and may raise."""

    def __init__(self, name: str, phantom: Phantom, before: Callable[[str], None]) -> None:
        self.name, self.phantom, self.before = name, phantom, before
        self.weights = Weights(f"stand-in-{name}", Path("none"), "0" * 64, "compact")
        self.runner = SimpleNamespace(warnings=[])


class Detector(Stage):
    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        self.before(self.name)
        return self.phantom.box if sitk.GetArrayViewFromImage(ct).max() > BONE else None


class Labeller(Stage):
    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        self.before(self.name)
        return Centroids(tuple(point for point in self.phantom.centroids if box.contains(point.position)[0]))


class Segmenter(Stage):
    def __call__(self, ct: sitk.Image, position: Point) -> VertebraMask:
        self.before(self.name)
        level = min(
            self.phantom.centroids,
            key=lambda point: sum((a - b) ** 2 for a, b in zip(point.position, position, strict=True)),
        ).level
        mask = sitk.Cast(self.phantom.label_map == int(level), sitk.sitkFloat32)
        image = resample(mask, 1.0, fill=0.0)
        return VertebraMask.of(sitk.GetArrayFromImage(image), image)


def system(phantom: Phantom, before: Callable[[str], None] = lambda stage: None) -> System:
    """A system that gives the phantom's truth for every scan with bone in it."""
    return System(
        *(
            lambda device, kind=kind, name=name: kind(name, phantom, before)
            for kind, name in ((Detector, "detection"), (Labeller, "labelling"), (Segmenter, "segmentation"))
        )
    )
