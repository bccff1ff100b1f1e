"""Samples for the SpatialConfiguration-Net: a window round the column, one point per vertebra (Payer et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.blocks import normalise_hu
from ..networks.payer_scn import SpatialConfigurationNet
from .deformation import Deformation
from .loop import Task
from .losses import learned_sigma_loss, level_heatmaps
from .subjects import Subject, shares
from .synthesis import scanned

LARGEST = (304, 192, 192)  # mm z,y,x of a training window
SMALLEST = (56, 88, 88)


@dataclass(frozen=True)
class Window:
    """A volume (z, y, x) in HU and the vertebrae in it: ranks (N,), positions (N, 3) in voxels z,y,x."""

    hu: Tensor
    ranks: np.ndarray
    positions: np.ndarray


class PayerLabellingTask(Task):
    """Draws windows and scores a network on them. Windows are used again with other borders and intensities."""

    spacing = SpatialConfigurationNet.SPACING["compact"]
    batch = 2
    reuse = 4

    def __init__(self, subjects: list[Subject]) -> None:
        self.subjects = [s for s in subjects if len(s.levels) >= 2]
        whole = np.array([4.0 if s.hu is None and s.whole else 1.0 for s in self.subjects])
        self.weights = shares(self.subjects, whole, {"real": 0.5, "atlas": 0.25, "phantom": 0.25})

    def _voxels(self, size: tuple[int, int, int]) -> list[int]:
        return [round(n / self.spacing) for n in size]

    def draw(self, rng: np.random.Generator) -> Window:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        subject = self.subjects[rng.choice(len(self.subjects), p=self.weights)]
        positions, shape, spacing = subject.positions, subject.shape, subject.spacing
        largest, smallest = self._voxels(LARGEST), self._voxels(SMALLEST)
        margin = rng.uniform(8, 48, 2) / spacing  # beyond the outermost vertebrae, as far as the source goes
        top = min(positions[:, 0].max() + margin[0], shape[0] - 1)
        bottom = max(positions[:, 0].min() - margin[1], 0)
        if top - bottom > largest[0]:
            bottom = rng.uniform(bottom, top - largest[0])
            top = bottom + largest[0]
        inside = positions[(positions[:, 0] > bottom) & (positions[:, 0] < top)]
        size = (max(int(top - bottom), smallest[0]), largest[1], largest[2])
        middle = [(inside[:, axis].max() + inside[:, axis].min()) / 2 + rng.normal(0, 16) / spacing for axis in (1, 2)]
        centre = np.array([(top + bottom) / 2, *middle])
        deformation = Deformation(rng, size, centre, rotation=12, scale=0.2, bend=5 / spacing, wavelength=64 / spacing)
        hu = scanned(subject, deformation.grid(), subject.spacing, rng, generator)
        ranks = np.array([level.rank for level in subject.levels])
        return _within(Window(hu, ranks, deformation.to_sample(positions)), (0, 0, 0), size)

    def vary(self, window: Window, rng: np.random.Generator) -> Window:
        """Other borders, another intensity, perhaps mirrored."""
        low, high = [], []
        for number, (full, least) in enumerate(zip(window.hu.shape, self._voxels(SMALLEST), strict=True)):
            whole = rng.random() < 0.3
            length = full if whole else int(rng.integers(min(least, full), full + 1))
            # In the plane the window keeps the column in its middle half.
            start = rng.uniform(0, full - length) if number == 0 else (full - length) * rng.uniform(0.35, 0.65)
            low.append(int(start))
            high.append(int(start) + length)
        part = _within(window, low, high)
        noise = torch.randn(part.hu.shape) * rng.uniform(0, 25)
        hu, points = part.hu * rng.uniform(0.8, 1.25) + rng.uniform(-60, 60) + noise, part.positions
        if rng.random() < 0.5:
            hu, points = hu.flip(2), points * [1, 1, -1] + [0, 0, hu.shape[2] - 1]
        return Window(hu.clamp(-1024, 3071), part.ranks, points)

    def loss(self, network: nn.Module, batch: list[Window]) -> Tensor:
        """Equation 1, and both factors told apart: where any vertebra is, and which level lies there."""
        terms = []
        for window in batch:
            image = normalise_hu(window.hu).to(next(network.parameters()).device)[None, None]
            heatmaps, logits = network(image.contiguous(memory_format=torch.channels_last_3d))
            own = getattr(network, "module", network)
            assert isinstance(own, SpatialConfigurationNet)
            target = level_heatmaps(window.ranks, window.positions, tuple(window.hu.shape), own.sigma, own.SIGMA)
            term = learned_sigma_loss(heatmaps[0], target, own.sigma, own.SIGMA)
            any_level = target.detach().amax(0)
            term = term + (heatmaps[0].float().sum(0) - any_level).square().sum()
            if len(window.ranks):
                levels = target.detach().flatten(1)
                near = any_level.flatten() > 0.3
                share = levels[:, near] / levels[:, near].sum(0)
                evidence = logits[0].float().flatten(1)[:, near].log_softmax(0)
                term = term - 10 * len(window.ranks) * (share * evidence).sum(0).mean()
            terms.append(term / (100 * max(len(window.ranks), 1)))
        return torch.stack(terms).mean()


def _within(window: Window, low: tuple[int, ...] | list[int], high: tuple[int, ...] | list[int]) -> Window:
    """The part of a window between two corners in voxels, with the vertebrae inside."""
    points = window.positions - np.asarray(low)
    keep = np.all((points >= -0.5) & (points <= np.subtract(high, low) - 0.5), axis=1)
    part = window.hu[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return Window(part, window.ranks[keep], points[keep])
