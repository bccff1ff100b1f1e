"""Samples for segmentation: a 1 mm patch round a vertebra, its Gaussian, its mask (VerSe paper, B.4; Payer et al.)."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.blocks import normalise_hu
from ..networks.heatmap import gaussians
from ..networks.intensity import payer_intensity
from ..segmentation.anduin import CENTRE, SIZE
from ..segmentation.patch import SIGMA, SPACING
from .deformation import Deformation, sample
from .losses import mask_loss
from .marked import seen
from .subjects import Subject, shares


class SegmentationTask:
    """Draws samples (image, gaussian, mask), each (1, z, y, x), and scores a network on them."""

    masks = True
    spacing = SPACING
    batch = 1
    reuse = 3
    size = SIZE
    intensity = staticmethod(normalise_hu)
    criterion = staticmethod(mask_loss)

    def __init__(self, subjects: list[Subject]) -> None:
        self.vertebrae = [
            (s, level, position)
            for s in subjects
            if s.labels is not None
            for level, position in zip(s.levels, s.positions, strict=True)
            if (s.labels == level).any()
        ]
        # A person with many vertebrae must not outweigh the others.
        people = [s for s, *_ in self.vertebrae]
        even = np.array([sum(other is one for other in people) ** -0.5 for one in people])
        self.weights = shares(people, even, {"real": 0.4, "atlas": 0.3, "phantom": 0.3})

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        subject, level, position = self.vertebrae[rng.choice(len(self.vertebrae), p=self.weights)]
        middle = (np.array(self.size) - 1) / 2
        aim = np.array(CENTRE) + rng.normal(0, 3, 3)  # where in the patch the centroid falls
        deformation = Deformation(
            rng, self.size, position + middle - aim, rotation=15, scale=0.15, bend=2.5, wavelength=40
        )
        # Rotation and scale act round the middle of the patch: shift so that the vertebra stays where it belongs.
        deformation.centre = deformation.centre + (position - _source(deformation, aim))
        grid = deformation.grid()
        hu = seen(subject, grid, SPACING, rng, generator)
        mask = (sample((subject.labels == level).astype(np.uint8), grid, 0) >= 0.5).float()
        hint = deformation.to_sample(position[None]) + rng.normal(0, 2.0, (1, 3))
        return self.intensity(hu)[None], gaussians(hint, self.size, SIGMA / SPACING)[None], mask[None]

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
    seen = (72, 96, 96)

    def vary(self, sample: tuple[Tensor, Tensor, Tensor], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """A smaller window: cheaper, and its border does not tell where the vertebra is, so any patch will do."""
        starts = [int(rng.integers(0, n - w + 1)) for n, w in zip(self.size, self.seen, strict=True)]
        window = (slice(None), *(slice(start, start + w) for start, w in zip(starts, self.seen, strict=True)))
        return tuple(part[window] for part in sample)


def _source(deformation: Deformation, point: np.ndarray) -> np.ndarray:
    """The source position of one sample position."""
    index = np.clip(np.rint(point).astype(int), 0, np.array(deformation.size) - 1)
    bend = deformation.bend[:, index[0], index[1], index[2]].numpy()
    return deformation.centre + deformation.matrix @ (point - deformation.middle) + bend
