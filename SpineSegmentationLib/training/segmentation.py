"""Samples for segmentation: a 1 mm patch round a vertebra, its Gaussian, its mask (VerSe paper, B.4; Payer et al.).

The sacrum is drawn in the same way, from the centre of S1, as far as the patch shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..anatomy import SACRUM, Level
from ..networks.blocks import normalise_hu
from ..networks.heatmap import gaussians
from ..networks.intensity import payer_intensity
from ..resampling import AIR
from ..segmentation.anduin import CENTRE, SIZE
from ..segmentation.patch import SIGMA, SPACING
from .deformation import Deformation, sample
from .loop import Task
from .losses import mask_loss
from .marked import seen
from .subjects import Subject, shares

WEAK: dict[int, float] = {Level.C1: 3.0, Level.C2: 3.0, Level.T10: 2.0, Level.L5: 2.0}
"""Levels whose masks were worst, and how many times as often as others they are drawn."""

SACRAL = 0.06
"""Share of samples that point at the sacrum, where any subject has it among its labels."""

SHARES = {"real": 0.25, "own": 0.2, "atlas": 0.3, "phantom": 0.25}

CUT = 0.15
"""Share of samples in which the scan ends within the patch."""

WHOLE = 0.7
"""From this part of the steps on a sample is shown whole; until then only windows of it, which are cheaper."""


class SegmentationTask(Task):
    """Draws samples (image, gaussian, mask), each (1, z, y, x), and scores a network on them."""

    masks = True
    spacing = SPACING
    batch = 1
    reuse = 3
    size, window = SIZE, (72, 88, 96)
    intensity: Callable[[Tensor], Tensor] = staticmethod(normalise_hu)
    criterion: Callable[..., Tensor] = staticmethod(mask_loss)

    def __init__(self, subjects: list[Subject]) -> None:
        vertebrae: list[tuple[Subject, int, np.ndarray]] = [
            (s, int(level), position)
            for s in subjects
            if s.labels is not None
            for level, position in zip(s.levels, s.positions, strict=True)
            if (s.labels == level).any()
        ]
        # Who has a sacrum and no mask of it must not teach that there is none.
        sacra = [
            (s, int(SACRUM), s.sacrum)
            for s in subjects
            if s.labels is not None and s.sacrum is not None and (s.labels == SACRUM).any()
        ]
        self.bones = vertebrae + sacra
        # A person with many vertebrae must not outweigh the others.
        people = [s for s, *_ in vertebrae]
        even = np.array([sum(other is one for other in people) ** -0.5 for one in people])
        weak = np.array([WEAK.get(code, 1.0) for _, code, _ in vertebrae])
        self.weights = shares(people, even * weak, SHARES)
        if sacra:
            sacral = shares([s for s, *_ in sacra], np.ones(len(sacra)), SHARES)
            self.weights = np.concatenate([(1 - SACRAL) * self.weights, SACRAL * sacral])

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        subject, code, position = self.bones[rng.choice(len(self.bones), p=self.weights)]
        middle = (np.array(self.size) - 1) / 2
        aim = np.array(CENTRE) + rng.normal(0, 3, 3)  # where in the patch the centroid falls
        deformation = Deformation(
            rng, self.size, position + middle - aim, rotation=15, scale=0.15, bend=2.5, wavelength=40
        )
        # Rotation and scale act round the middle of the patch: shift so that the vertebra stays where it belongs.
        deformation.centre = deformation.centre + (position - _source(deformation, aim))
        grid = deformation.grid()
        hu = seen(subject, grid, SPACING, rng, generator)
        assert subject.labels is not None  # as chosen
        mask = (sample((subject.labels == code).astype(np.uint8), grid, 0) >= 0.5).float()
        hint = deformation.to_sample(position[None]) + rng.normal(0, 2.0, (1, 3))
        if rng.random() < CUT:
            beyond = _beyond_a_border(self.size, hint[0], rng)
            hu[beyond], mask[beyond] = AIR, 0
        return self.intensity(hu)[None], gaussians(hint, self.size, SIGMA / SPACING)[None], mask[None]

    def vary(self, sample: tuple[Tensor, Tensor, Tensor], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """A window of a sample, or all of it when the training is nearly done."""
        return sample if self.progress >= WHOLE else _window(sample, self.window, rng)

    def loss(self, network: nn.Module, batch: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        device = next(network.parameters()).device
        image, gaussian, mask = (torch.stack(part).to(device) for part in zip(*batch, strict=True))
        layout = torch.channels_last_3d
        logits = network(image.contiguous(memory_format=layout), gaussian.contiguous(memory_format=layout))
        return self.criterion(logits.float(), mask)


class PayerSegmentationTask(SegmentationTask):
    """As Anduin's, with Payer's intensities and the sigmoid cross-entropy (Payer et al. 2020, sec. 2.3)."""

    intensity = staticmethod(partial(payer_intensity, spacing=SPACING))
    criterion = staticmethod(functional.binary_cross_entropy_with_logits)
    window = (72, 96, 96)

    def vary(self, sample: tuple[Tensor, Tensor, Tensor], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """A window: its border does not tell where the vertebra is, so any patch will do at work."""
        return _window(sample, self.window, rng)


def _window(sample: tuple[Tensor, ...], window: tuple[int, int, int], rng: np.random.Generator) -> tuple[Tensor, ...]:
    """The same random part of tensors (1, z, y, x), of the size ``window`` (z, y, x)."""
    starts = [int(rng.integers(0, n - w + 1)) for n, w in zip(sample[0].shape[1:], window, strict=True)]
    place = (slice(None), *(slice(start, start + w) for start, w in zip(starts, window, strict=True)))
    return tuple(part[place] for part in sample)


def _beyond_a_border(size: tuple[int, int, int], hint: np.ndarray, rng: np.random.Generator) -> tuple[slice, ...]:
    """The part of a patch (z, y, x) beyond a random plane across an axis, which leaves ``hint`` (z, y, x) inside."""
    axis, after = int(rng.integers(3)), bool(rng.integers(2))
    middle = float(np.clip(hint[axis], 4, size[axis] - 5))
    plane = int(rng.uniform(middle, size[axis]) if after else rng.uniform(0, middle))
    place = [slice(None)] * 3
    place[axis] = slice(plane + 1, None) if after else slice(0, plane)
    return tuple(place)


def _source(deformation: Deformation, point: np.ndarray) -> np.ndarray:
    """The source position of one sample position."""
    index = np.clip(np.rint(point).astype(int), 0, np.array(deformation.size) - 1)
    bend = deformation.bend[:, index[0], index[1], index[2]].numpy()
    return deformation.centre + deformation.matrix @ (point - deformation.middle) + bend
