"""Samples and losses for Sekuboyina's networks (2017, sections 2.1 and 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..anatomy import COLUMN
from ..detection.attention import diffused
from ..networks.attention import REGION, SPACINGS, SegmentationNet
from ..networks.blocks import normalise_hu
from ..resampling import AIR
from .deformation import Deformation, sample
from .loop import Task
from .marked import Marked, marked, seen
from .subjects import Subject, shares

SLICE = (256.0, 192.0)  # mm z,y of a sample for the attention net
CODES = [int(level) for level in COLUMN]


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """``1 - 2 sum(p t) / (sum(p^2) + sum(t^2))`` over each sample, the mean (Milletari et al. 2016, as cited in 2.2).

    One is added above and below the line, so that nothing where nothing is counts as right.
    """
    axes = tuple(range(1, probability.ndim))
    overlap = 2 * (probability * target).sum(axes) + 1
    return (1 - overlap / (probability.square().sum(axes) + target.square().sum(axes) + 1)).mean()


@dataclass(frozen=True)
class Sample:
    """HU after diffusion (float16) and which voxels are of the spine (bool), both (z, y, x)."""

    hu: Tensor
    spine: Tensor


class _SpineTask(Task):
    """Draws windows of people whose vertebrae are marked; of any size and place."""

    masks = True
    spacing = SPACINGS["compact"]
    rotation, scale = 2.0, 0.1

    def __init__(self, subjects: list[Subject]) -> None:
        self.people = marked(subjects)
        even = np.array([len(person.levels) ** 0.5 for person in self.people])
        owners = [person.subject for person in self.people]
        self.weights = shares(owners, even, {"real": 0.2, "own": 0.15, "atlas": 0.35, "phantom": 0.3})

    def size(self, rng: np.random.Generator) -> tuple[int, int, int]:
        raise NotImplementedError

    def draw(self, rng: np.random.Generator) -> Sample:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        person = self.people[rng.choice(len(self.people), p=self.weights)]
        subject, size = person.subject, self.size(rng)
        deformation = Deformation(
            rng, size, self.centre(person, size, rng), rotation=self.rotation, scale=self.scale,
            bend=1.5 / self.spacing, wavelength=60 / self.spacing,
        )  # fmt: skip
        grid = deformation.grid()
        hu = seen(subject, grid, self.spacing, rng, generator)
        assert subject.labels is not None  # marked people have labels
        codes = sample(subject.labels, grid, 0, nearest=True)
        hidden = person.hidden(grid[..., 0])
        if rng.random() < 0.3:  # other fields of view
            hidden[: int(rng.integers(0, len(hu) // 2))] = True
            hidden[len(hu) - int(rng.integers(0, len(hu) // 2)) :] = True
        hu[hidden], codes[hidden] = AIR, 0
        spine = torch.from_numpy(np.isin(codes.numpy().astype(int), CODES))
        return Sample(torch.from_numpy(self.prepared(hu.numpy())).half(), spine)

    def centre(self, person: Marked, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Three of four windows show a part of the spine."""
        if rng.random() < 0.25:
            return rng.uniform(0, person.subject.shape)
        place = person.places[person.levels[rng.integers(len(person.levels))]]
        low, high = np.array([[s.start, s.stop - 1] for s in place], float).T
        reach = np.array(size) / 4
        return rng.uniform(low - reach * [1, 1, 0], high + reach * [1, 1, 0])

    def prepared(self, hu: np.ndarray) -> np.ndarray:
        return diffused(hu)


class AttentionTask(_SpineTask):
    """Draws sagittal slices and scores the shares of spine that a network sees in them: the mean squared error."""

    batch = 8
    reuse = 6
    rotation, scale = 20.0, 0.4

    def size(self, rng: np.random.Generator) -> tuple[int, int, int]:
        z, y = (round(length / self.spacing) for length in SLICE)
        return z, y, 1

    def prepared(self, hu: np.ndarray) -> np.ndarray:
        return diffused(hu[:, :, 0])[:, :, None]

    def loss(self, network: nn.Module, batch: list[Sample]) -> Tensor:
        device = next(network.parameters()).device
        image = normalise_hu(torch.stack([one.hu[:, :, 0].float() for one in batch]))[:, None].to(device)
        spine = torch.stack([one.spine[:, :, 0] for one in batch]).float()[:, None].to(device)
        share = functional.avg_pool2d(spine, round(REGION / self.spacing))
        logits = network(image.contiguous(memory_format=torch.channels_last))
        return functional.mse_loss(logits.float().sigmoid(), share)


class SpineMaskTask(_SpineTask):
    """Draws blocks of sagittal slices and scores a network's mask of the spine in them by its Dice."""

    batch = 2
    reuse = 4

    def size(self, rng: np.random.Generator) -> tuple[int, int, int]:
        width = next(name for name, spacing in SPACINGS.items() if spacing == self.spacing)
        return SegmentationNet.BLOCKS[width]

    def loss(self, network: nn.Module, batch: list[Sample]) -> Tensor:
        device = next(network.parameters()).device
        image = normalise_hu(torch.stack([one.hu.float() for one in batch]))[:, None].to(device)
        spine = torch.stack([one.spine for one in batch]).float()[:, None].to(device)
        return dice_loss(network(image.contiguous(memory_format=torch.channels_last_3d)).float().sigmoid(), spine)
