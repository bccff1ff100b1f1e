"""Samples for spine detection: a window of a body at 4 mm and Gaussians at the vertebrae (VerSe paper, B.2).

Payer's detector sees the same windows at 8 mm.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..detection import payer
from ..detection.anduin import SIGMA, SPACING
from ..networks.blocks import normalise_hu
from ..networks.heatmap import gaussians
from ..networks.intensity import payer_intensity
from .deformation import Deformation
from .loop import Task
from .losses import heatmap_loss
from .subjects import Subject, shares
from .synthesis import noise_field, scan, scanned


class DetectionTask(Task):
    """Draws samples ``(image (1, z, y, x) normalised HU, target (2, z, y, x))`` and scores a network on them."""

    spacing = SPACING
    sigma = SIGMA  # mm
    batch = 2
    reuse = 2

    def __init__(self, subjects: list[Subject]) -> None:
        self.subjects = [s for s in subjects if s.hu is not None or s.whole]
        self.weights = shares(self.subjects, np.ones(len(self.subjects)), {"real": 0.55, "atlas": 0.25, "phantom": 0.2})

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        return self.prepare(*self.window(rng))

    def prepare(self, hu: Tensor, heat: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees and what it should say."""
        return normalise_hu(hu)[None], torch.stack([1 - heat, heat])

    def window(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """HU and heat of the spine, both (z, y, x) at 4 mm."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        if rng.random() < 0.06:
            return nothing(rng, generator)
        subject = self.subjects[rng.choice(len(self.subjects), p=self.weights)]
        shape = subject.shape
        beside = rng.random() < 0.3  # a part of a body that shows no spine
        # A narrow view shows the spine as often as not, or narrowness itself would tell that there is none.
        narrow = beside or rng.random() < 0.3
        largest = (88, 88, 36) if narrow else (88, 88, 88)
        smallest = (12, 20, 12) if narrow else (12, 32, 32)
        size = tuple(
            int(min(rng.integers(low, high), n + 4)) for low, high, n in zip(smallest, largest, shape, strict=True)
        )
        if beside:
            spine = subject.positions[rng.integers(len(subject.positions))]
            away = size[2] / 2 + rng.uniform(8, 16)
            centre = spine + [rng.normal(0, 15), rng.normal(-8, 10), rng.choice([-away, away])]
        elif rng.random() < 0.75:
            centre = subject.positions[rng.integers(len(subject.positions))] + rng.normal(0, 10, 3)
        else:
            centre = rng.uniform(0, shape)
        # A scan shows what lies inside its field of view: keep the window inside the source where there is room.
        half = np.minimum(np.array(size) / 2, shape / 2)
        centre = np.clip(centre, half, shape - half)
        deformation = Deformation(rng, size, centre, rotation=12, scale=0.2, bend=1.2, wavelength=14)
        hu = scanned(subject, deformation.grid(), SPACING, rng, generator)
        return hu, gaussians(deformation.to_sample(subject.positions), size, self.sigma / SPACING)

    @staticmethod
    def loss(network: nn.Module, batch: list[tuple[Tensor, Tensor]]) -> Tensor:
        terms = []
        device = next(network.parameters()).device
        for image, target in batch:
            image = image[None].to(device).contiguous(memory_format=torch.channels_last_3d)
            target = target[None].to(device)
            terms.append(heatmap_loss(network(image), target, 0.05 + target[:, 1]))
        return torch.stack(terms).mean()


class PayerDetectionTask(DetectionTask):
    """Samples ``(image, heat)``, both (1, z, y, x) at 8 mm; the squared error (Payer et al. 2020, sec. 2.1)."""

    sigma = payer.SIGMA

    def prepare(self, hu: Tensor, heat: Tensor) -> tuple[Tensor, Tensor]:
        shrink = round(payer.SPACING / SPACING)
        image, target = (functional.avg_pool3d(v[None], shrink, ceil_mode=True) for v in (hu, heat))
        return payer_intensity(image[0], payer.SPACING)[None], target

    @staticmethod
    def loss(network: nn.Module, batch: list[tuple[Tensor, Tensor]]) -> Tensor:
        device = next(network.parameters()).device
        terms = []
        for image, target in batch:
            heat = network(image[None].to(device).contiguous(memory_format=torch.channels_last_3d))
            terms.append(functional.mse_loss(heat.float(), target[None].to(device)))
        return torch.stack(terms).mean()


def nothing(rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """No body at all: noise, blobs and rods, as in scans of phantoms and of other things."""
    size = tuple(int(n) for n in rng.integers(16, 72, 3))
    hu = rng.normal(0, 20) + torch.randn(size, generator=generator) * rng.uniform(0, 200)
    hu = hu + noise_field(generator, size, rng.uniform(2, 15)) * rng.uniform(0, 300)
    hu = torch.where(noise_field(generator, size, rng.uniform(8, 30)) > rng.uniform(-1, 2), hu, hu - 1000)
    if rng.random() < 0.5:
        middle, radius = [n * rng.uniform(0.2, 0.8) for n in size[1:]], rng.uniform(1, 6)
        y, x = (torch.arange(n, dtype=torch.float32) - m for n, m in zip(size[1:], middle, strict=True))
        hu = torch.where((y[:, None] ** 2 + x**2 < radius**2)[None], torch.tensor(rng.uniform(200, 2500)), hu)
    return scan(hu, SPACING, rng, generator), torch.zeros(size)
