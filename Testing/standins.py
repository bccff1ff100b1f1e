"""Stand-ins for the three networks: fast functions of the CT and of positions, nothing else. With a small spine CT."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.resampling import resample
from SpineSegmentationLib.segmentation.mask import VertebraMask
from SpineSegmentationLib.spine import Centroid, Centroids, SpineBox
from SpineSegmentationLib.weights import Weights

CALLS: Counter[str] = Counter()
"""How often each stage ran."""

DELAY = {"detection": 0.0, "labelling": 0.0, "segmentation": 0.0}
"""Seconds that each stage takes."""


def spine_ct(count: int = 5, spacing=(1.3, 1.1, 1.7), direction=None) -> sitk.Image:
    """Bright blocks of 12 x 12 x 9 mm, 12 mm apart, one below the other in soft tissue; air in front."""
    size = np.ceil(np.array([36, 34, 12 * count + 8]) / spacing).astype(int)
    image = sitk.Image(size.tolist(), sitk.sitkInt16)
    image.SetSpacing(spacing)
    image.SetDirection(np.eye(3).ravel() if direction is None else np.ravel(direction))
    image.SetOrigin((-18.0, 20.0, -400.0))
    z, y, x = np.indices(size[::-1])
    hu = np.random.default_rng(1).integers(-20, 20, size[::-1])
    for number in range(count):
        centre = (10 + 12 * number, 16 + number % 3, 18 - number % 2)
        away = [np.abs(i * s - c) for i, s, c in zip((z, y, x), spacing[::-1], centre, strict=True)]
        hu[(away[0] < 4.5) & (away[1] < 6) & (away[2] < 6)] = 400 + 20 * number
    hu[:, :2] = -1000
    result = sitk.GetImageFromArray(hu.astype(np.int16))
    result.CopyInformation(image)
    return result


class _Stage:
    name = ""

    def __init__(self, device: torch.device) -> None:
        self.weights = (Weights(f"standin-{self.name}", Path("none"), self.name, "none"),)
        self.runners = (SimpleNamespace(warnings=[]),)

    def begin(self) -> None:
        CALLS[self.name] += 1
        time.sleep(DELAY[self.name])


class Detector(_Stage):
    name = "detection"

    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        self.begin()
        centres = _blocks(ct, SpineBox.of_image(ct))
        return SpineBox.around(centres, (8, 8, 8), (8, 8, 8)) if len(centres) else None


class Labeller(_Stage):
    name = "labelling"

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        self.begin()
        centres = _blocks(ct, box)
        levels = COLUMN[COLUMN.index(Level.T11) :]
        levels = [level for level in levels if level is not Level.T13]
        return Centroids(
            tuple(
                Centroid(level, centre, 0.9 - 0.1 * number)
                for number, (level, centre) in enumerate(zip(levels, centres, strict=False))
            )
        )


class SacralLabeller(Labeller):
    """Takes the lowest block for the sacrum."""

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        *points, last = super().__call__(ct, box)
        levels = tuple(point.level for point in points)
        return Centroids(tuple(points), Numbering(Certainty.CERTAIN, (Reading(levels, 1.0),), (), last.position))


class Segmenter(_Stage):
    name = "segmentation"

    def context(self, position, column):
        return ()

    def __call__(self, ct: sitk.Image, position, column) -> VertebraMask:
        self.begin()
        first = np.floor(np.asarray(position) + 0.5) - 11
        image = resample(ct, 1.0, SpineBox(first, first + 22))
        hu = sitk.GetArrayFromImage(image)
        hint = np.asarray(position) - first
        away = np.linalg.norm(np.moveaxis(np.indices(hu.shape)[::-1], 0, -1) - hint, axis=-1)
        # Coarse steps, so that neighbours draw; soft tissue nearby, so that they meet.
        probability = np.clip((hu + 300) / 500, 0, 1) * np.clip(1.4 - away / 12, 0, 1)
        return VertebraMask.of(np.round(probability, 1), image)


def _blocks(ct: sitk.Image, box: SpineBox) -> np.ndarray:
    """Centres of the bright blocks in a box, LPS mm, from the head down."""
    image = resample(ct, 2.0, box)
    blocks, count = ndimage.label(sitk.GetArrayFromImage(image) > 250)
    centres = [c[::-1] for c in ndimage.center_of_mass(blocks > 0, blocks, range(1, count + 1))]
    points = [image.TransformContinuousIndexToPhysicalPoint(c) for c in centres]
    return np.array(sorted(points, key=lambda point: -point[2])).reshape(-1, 3)


def install() -> None:
    """Makes the system ``standin`` and its stages known."""
    pipeline.DETECTORS["standin"], pipeline.LABELLERS["standin"] = Detector, Labeller
    pipeline.SEGMENTERS["standin"] = Segmenter
    pipeline.SYSTEMS["standin"] = pipeline.System("standin", "standin", "standin")
    pipeline.LABELLERS["sacral"] = SacralLabeller
    pipeline.SYSTEMS["sacral"] = pipeline.System("standin", "sacral", "standin")
