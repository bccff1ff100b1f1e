"""Samples for the dense detection and identification networks (McCouat and Glocker 2019, sections 2.1 and 2.2).

A sample is a window of a subject and its dense labels, made from the centroids where they lie in the deformed window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..detection.mccouat_glocker import PATCH
from ..labelling.mccouat_glocker_labels import NUMBER, UNKNOWN, densify
from ..networks.blocks import normalise_hu
from ..networks.mccouat_glocker import SPACING, DenseIdentificationUNet
from .deformation import Deformation
from .detection import nothing
from .loop import Task
from .subjects import Subject, shares
from .synthesis import scanned

BACKGROUND_WEIGHT, VERTEBRA_WEIGHT = 0.1, 0.9  # equation 1

SLICES, CENTRE, MULTIPLE = (getattr(DenseIdentificationUNet, name) for name in ("SLICES", "CENTRE", "MULTIPLE"))
LARGEST = (320, 80)  # rows and columns of an identification sample
SMALLEST = (24, 40)
SPARE = 8  # columns of a window beyond those of a sample, on each side


def detection_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Equation 1 as a loss: ``-(0.1 P(0) log Q(0) + 0.9 P(1) log Q(1))``, the mean over the voxels that are known.

    Args:
        logits: (N, 2, z, y, x) of Q.
        labels: (N, z, y, x) uint8 dense labels, of which P is 1 for any vertebra.
    """
    weight = torch.tensor([BACKGROUND_WEIGHT, VERTEBRA_WEIGHT], device=logits.device)
    target = (labels > 0).long().masked_fill(labels == UNKNOWN, -1)
    total = functional.cross_entropy(logits.float(), target, weight, ignore_index=-1, reduction="sum")
    return total / (target >= 0).sum().clamp(min=1)


def identification_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Equation 2: ``|y - x|`` where x is not 0, nothing elsewhere; the mean over the pixels where x is not 0.

    Args:
        prediction: y, (N, 1, z, y).
        target: x, (N, z, y), the number of each pixel's vertebra, 0 for background.
    """
    vertebra = target != 0
    error = (prediction[:, 0].float() - target).abs() * vertebra
    return error.sum() / vertebra.sum().clamp(min=1)


@dataclass(frozen=True)
class Window:
    """A volume in HU and its dense labels, both (z, y, x): int16 and uint8, for they are kept for reuse."""

    hu: Tensor
    labels: Tensor


class _DenseTask(Task):
    """Chooses subjects and cuts windows. Subjects of another spacing than the task's are interpolated."""

    spacing = SPACING["compact"]

    def __init__(self, subjects: list[Subject]) -> None:
        self.subjects = [s for s in subjects if len(s.levels) >= 2]
        whole = np.array([4.0 if s.hu is None and s.whole else 1.0 for s in self.subjects])
        self.weights = shares(self.subjects, whole, {"real": 0.5, "atlas": 0.28, "phantom": 0.22})

    def choose(self, rng: np.random.Generator) -> Subject:
        return self.subjects[rng.choice(len(self.subjects), p=self.weights)]

    def window(
        self, subject: Subject, size: tuple[int, int, int], centre: np.ndarray, rng: np.random.Generator
    ) -> Window:
        """A deformed window at ``spacing`` round ``centre`` (voxels z,y,x of the subject), as a scanner may see it."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        spacing = self.spacing
        deformation = Deformation(
            rng, size, centre, rotation=10, scale=0.18, bend=4.0 / spacing, wavelength=64 / spacing
        )
        deformation.matrix *= spacing / subject.spacing
        deformation.bend *= spacing / subject.spacing
        hu = scanned(subject, deformation.grid(), spacing, rng, generator)
        labels = densify(subject.levels, deformation.to_sample(subject.positions), size, spacing)
        return Window(hu.round().to(torch.int16), torch.from_numpy(labels))


def _another_intensity(hu: Tensor, rng: np.random.Generator) -> Tensor:
    noise = torch.randn(hu.shape) * rng.uniform(0, 25)
    return (hu.float() * rng.uniform(0.8, 1.25) + rng.uniform(-60, 60) + noise).clamp(-1024, 3071)


class McCouatGlockerDetectionTask(_DenseTask):
    """Draws patches, four of five of which show a vertebra, and scores a network on them. Used again mirrored."""

    batch = 2
    reuse = 4
    size = PATCH

    def draw(self, rng: np.random.Generator) -> Window:
        if rng.random() < 0.05:
            hu, _ = nothing(rng, torch.Generator().manual_seed(int(rng.integers(2**62))))
            hu = functional.interpolate(hu[None, None], size=self.size, mode="trilinear")[0, 0]
            return Window(hu.round().to(torch.int16), torch.zeros(self.size, dtype=torch.uint8))
        subject = self.choose(rng)
        if rng.random() < 0.8:
            reach = 0.4 * np.array(self.size) * self.spacing / subject.spacing
            centre = subject.positions[rng.integers(len(subject.positions))] + rng.uniform(-reach, reach)
        else:
            centre = rng.uniform(0, subject.shape)
        return self.window(subject, self.size, centre, rng)

    def vary(self, window: Window, rng: np.random.Generator) -> Window:
        hu, labels = _another_intensity(window.hu, rng), window.labels
        return Window(hu.flip(2), labels.flip(2)) if rng.random() < 0.5 else Window(hu, labels)

    @staticmethod
    def loss(network: nn.Module, batch: list[Window]) -> Tensor:
        device = next(network.parameters()).device
        image = normalise_hu(torch.stack([window.hu for window in batch]))[:, None].to(device)
        labels = torch.stack([window.labels for window in batch]).to(device)
        return detection_loss(network(image.contiguous(memory_format=torch.channels_last_3d)), labels)


class McCouatGlockerLabellingTask(_DenseTask):
    """Draws windows round the column and scores a network on slabs of them: any sagittal slab, any field of view."""

    batch = 12
    reuse = 24

    def draw(self, rng: np.random.Generator) -> Window:
        subject = self.choose(rng)
        positions, shape = subject.positions, subject.shape
        scale = self.spacing / subject.spacing  # voxels of the subject per voxel of the window
        margin = rng.uniform(12, 44, 2) / subject.spacing  # beyond the outermost vertebrae, as far as the source goes
        top = min(positions[:, 0].max() + margin[0], shape[0] - 1)
        bottom = max(positions[:, 0].min() - margin[1], 0)
        if top - bottom > LARGEST[0] * scale:
            bottom = rng.uniform(bottom, top - LARGEST[0] * scale)
            top = bottom + LARGEST[0] * scale
        inside = positions[(positions[:, 0] > bottom) & (positions[:, 0] < top)]
        middle = (inside[:, 1:].max(0) + inside[:, 1:].min(0)) / 2
        width = int(np.ptp(inside[:, 2]) / scale + 40 / self.spacing) + SLICES
        size = (max(int((top - bottom) / scale), SMALLEST[0]), LARGEST[1] + 2 * SPARE, width)
        # The processes behind the bodies are part of what a slab shows.
        centre = np.array([(top + bottom) / 2, middle[0] + rng.uniform(-8, 12) / subject.spacing, middle[1]])
        return self.window(subject, size, centre, rng)

    def vary(self, window: Window, rng: np.random.Generator) -> Window:
        """A slab of ``SLICES`` sagittal slices (slice, z, y) and the labels (z, y) of its ``CENTRE``-th."""
        vertebra = (window.labels > 0) & (window.labels != UNKNOWN)
        last = window.hu.shape[2] - SLICES
        shown = vertebra.flatten(0, 1).any(0)[CENTRE : CENTRE + last + 1].nonzero()[:, 0].numpy()
        first = int(rng.choice(shown)) if len(shown) else last // 2
        low, high = self._rows(vertebra[:, :, first + CENTRE].any(1).numpy(), rng)
        columns = int(rng.integers(SMALLEST[1], LARGEST[1] + 1))
        spare = window.hu.shape[1] - columns
        left = int(spare * rng.uniform(0.3, 0.7))
        rows, across = slice(low, high), slice(left, left + columns)
        slab = window.hu[rows, across, first : first + SLICES].permute(2, 0, 1)
        return Window(_another_intensity(slab, rng), window.labels[rows, across, first + CENTRE])

    @staticmethod
    def _rows(shown: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
        """First and last row of a random field of view with at least one row that shows a vertebra."""
        rows = len(shown)
        if rng.random() < 0.3 or not shown.any():
            return 0, rows
        length = int(rng.integers(min(SMALLEST[0], rows), rows + 1))
        seen = int(rng.choice(np.flatnonzero(shown)))
        low = int(rng.integers(max(seen - length + 1, 0), min(seen, rows - length) + 1))
        return low, low + length

    @staticmethod
    def loss(network: nn.Module, batch: list[Window]) -> Tensor:
        device = next(network.parameters()).device
        size = [max(window.labels.shape[axis] for window in batch) for axis in (0, 1)]
        rows, columns = (-(-n // MULTIPLE) * MULTIPLE for n in size)
        slabs = torch.full((len(batch), SLICES, rows, columns), -1000.0)
        labels = torch.zeros(len(batch), rows, columns, dtype=torch.uint8)
        for slab, target, window in zip(slabs, labels, batch, strict=True):
            height, width = window.labels.shape
            slab[:, :height, :width] = window.hu
            target[:height, :width] = window.labels
        image = normalise_hu(slabs).to(device).contiguous(memory_format=torch.channels_last)
        numbers = torch.from_numpy(NUMBER).float()[labels.masked_fill(labels == UNKNOWN, 0).long()]
        return identification_loss(network(image), numbers.to(device))
