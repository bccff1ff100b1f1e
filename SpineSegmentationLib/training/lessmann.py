"""Samples and losses for Lessmann's network (2019, section 3.6; for VerSe'19: VerSe paper, section 3.2).

A sample is a patch, the memory of the vertebrae that the traversal has passed, and the next one with its number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from ..anatomy import COLUMN, Level
from ..detection.lessmann import DIRECTION
from ..detection.lessmann_patches import LEAST
from ..labelling.mccouat_glocker_labels import NUMBER
from ..networks.blocks import normalise_hu
from ..networks.lessmann import IterativeFCN
from ..resampling import AIR
from .deformation import Deformation, sample
from .loop import Task
from .marked import Marked, marked, seen
from .subjects import Subject, shares

GAMMA, SIGMA = 8.0, 6.0  # of the weights near a surface; SIGMA in mm
LEAST_LAMBDA = 0.1
WHOLE = 0.98  # share of a vertebra that a patch shows if it is called complete
ANYWHERE = 0.25  # share of the patches that are taken from anywhere, all bone in memory
START = 0.25  # share of the others with an empty memory, as when the traversal begins
UNIT = 1000.0  # voxels: the segmentation error is counted in thousands, so that the smaller terms are heard
COMPLETE = 10.0  # weight of the completeness' error, which is small beside the others and would not be heard
MASKS = 2  # of the patches in a batch: the heads need many more patches than the mask, which costs most of the work


def false_positive_weight(progress: float) -> float:
    """lambda after a share 0..1 of all iterations: from 0.1 to 1 along a sigmoid round the middle (section 3.6)."""
    theta = (progress - 0.5) / 0.1
    return LEAST_LAMBDA + (1 - LEAST_LAMBDA) / (1 + float(np.exp(-theta)))


def surface_weights(target: np.ndarray, spacing: float) -> np.ndarray:
    """omega (float32, z, y, x): ``8 exp(-d^2 / 6^2) + 1``, d in mm to the target's surface; 1 without a target.

    d is measured from voxel centres to the border voxels of the mask.
    """
    if not target.any():
        return np.ones(target.shape, np.float32)
    surface = target & ~ndimage.binary_erosion(target, border_value=1)
    distance = ndimage.distance_transform_edt(~surface, spacing)
    return (GAMMA * np.exp(-(distance**2) / SIGMA**2) + 1).astype(np.float32)


def segmentation_error(probability: Tensor, target: Tensor, weight: Tensor, false_positives: float) -> Tensor:
    """``lambda FP_soft + FN_soft`` summed over all voxels (section 3.6); tensors of one shape."""
    wrong = false_positives * (weight * (1 - target) * probability).sum()
    return wrong + (weight * target * (1 - probability)).sum()


def labelling_error(prediction: Tensor, number: Tensor) -> Tensor:
    """``|p - t| + (p - t)^2``, the mean: the l1 norm of 2019 and the l2 norm added for VerSe'19.

    Patches without a vertebra (number 0) do not count, other than in the paper, where they learn 0: nobody asks for the
    label of nothing, and one of them would weigh as much as a hundred labels that are off by one.
    """
    shown = number > 0
    difference = (prediction - number) * shown
    return (difference.abs() + difference.square()).sum() / shown.sum().clamp(min=1)


@dataclass(frozen=True)
class Patch:
    """One sample; tensors (z, y, x).

    Attributes:
        hu: int16; ``memory``, ``target``: bool; ``weight``: float16.
        number: of the target, 0 without; ``complete``: whether the patch shows all of it.
    """

    hu: Tensor
    memory: Tensor
    target: Tensor
    weight: Tensor
    number: float
    complete: bool


class LessmannTask(Task):
    """Draws patches and scores the network on them; the losses of VerSe'19, with the cross-entropy of the mask."""

    masks = True
    spacing = IterativeFCN.SPACINGS["compact"]
    batch = 8
    reuse = 8

    def __init__(self, subjects: list[Subject]) -> None:
        people = marked(subjects)
        self.vertebrae = [(person, level) for person in people for level in person.levels]
        # A person with many vertebrae must not outweigh the others.
        even = np.array([len(person.levels) ** -0.5 for person, _ in self.vertebrae])
        owners = [person.subject for person, _ in self.vertebrae]
        self.weights = shares(owners, even, {"real": 0.15, "own": 0.4, "atlas": 0.2, "phantom": 0.25})

    @property
    def size(self) -> tuple[int, int, int]:
        """128 mm along every axis."""
        width = next(name for name, spacing in IterativeFCN.SPACINGS.items() if spacing == self.spacing)
        return (IterativeFCN.PATCHES[width],) * 3

    def draw(self, rng: np.random.Generator) -> Patch:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        person, level = self.vertebrae[rng.choice(len(self.vertebrae), p=self.weights)]
        subject, place = person.subject, person.places[level]
        anywhere = rng.random() < ANYWHERE
        low, high = np.array([[s.start, s.stop - 1] for s in place], float).T
        if anywhere:
            centre = rng.uniform(0, subject.shape)
        elif rng.random() < 0.5:
            centre = rng.uniform(low, high)
        else:  # as after convergence
            centre = (low + high) / 2 + rng.normal(0, 5 / self.spacing, 3)
        spread = {"bend": 3.0 / self.spacing, "wavelength": 50 / self.spacing}
        deformation = Deformation(rng, self.size, centre, rotation=12, scale=0.15, **spread)
        grid = deformation.grid()
        hu = seen(subject, grid, self.spacing, rng, generator)
        assert subject.labels is not None  # marked people have labels
        codes = sample(subject.labels, grid, 0, nearest=True)
        self._crop(hu, codes, grid[..., 0], person, rng)
        shown = codes.numpy().astype(np.uint8)
        unit = abs(np.linalg.det(deformation.matrix))  # voxels of the source in one of the sample
        order = [one for one in COLUMN if one in person.levels][::-DIRECTION]
        passed = list(order) if anywhere else [] if rng.random() < START else order[: order.index(level)]
        counts = np.bincount(shown.ravel(), minlength=max(Level) + 1)
        least = LEAST / self.spacing**3  # a smaller piece would not be followed; it must not be in the way of others
        target = next((one for one in order if one not in passed and counts[one] >= least), None)
        memory = remembered(np.isin(shown, [int(one) for one in passed]), rng)
        mask = np.zeros(shown.shape, bool) if target is None else shown == target
        number, complete = 0.0, False
        if target is not None:
            number = float(NUMBER[target.rank + 1])
            complete = person.whole[target] and counts[target] * unit >= WHOLE * person.volumes[target]
        weight = surface_weights(mask, self.spacing)
        return Patch(
            hu.round().to(torch.int16),
            torch.from_numpy(memory & ~mask),
            torch.from_numpy(mask),
            torch.from_numpy(weight).half(),
            number,
            bool(complete),
        )

    def _crop(self, hu: Tensor, codes: Tensor, height: Tensor, person: Marked, rng: np.random.Generator) -> None:
        """Shows what was marked alone, and often less of it: random crops along z (section 3.6)."""
        rows = len(hu)
        low, high = 0, rows
        if rng.random() < 0.35:
            low = int(rng.integers(0, 2 * rows // 3))
        if rng.random() < 0.2:
            high = int(rng.integers(rows // 3, rows)) + 1
        hidden = person.hidden(height)
        hidden[:low], hidden[max(high, low + 1) :] = True, True
        hu[hidden], codes[hidden] = AIR, 0

    def loss(self, network: nn.Module, batch: list[Patch]) -> Tensor:
        device = next(network.parameters()).device
        image, memory, target, weight = tensors(batch, device)
        logits, label, complete = network(image, memory, MASKS)
        target, weight = target[:MASKS], weight[:MASKS]
        probability = logits.float().sigmoid()
        error = segmentation_error(probability, target, weight, false_positive_weight(self.progress)) / len(target)
        numbers = torch.tensor([patch.number for patch in batch], device=device)
        whole = torch.tensor([float(patch.complete) for patch in batch], device=device)
        return (
            error / UNIT
            + functional.binary_cross_entropy_with_logits(logits.float(), target)
            + labelling_error(label.float(), numbers)
            + COMPLETE * functional.binary_cross_entropy_with_logits(complete.float(), whole)
        )


def remembered(memory: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A memory, or a mask, as the network itself would have left it: borders a voxel off here and there."""
    chance = rng.random()
    if chance < 0.25:
        return ndimage.binary_erosion(memory)
    if chance < 0.4:
        return ndimage.binary_dilation(memory)
    if chance < 0.7:
        rough = ndimage.gaussian_filter(memory.astype(np.float32), 1.0)
        rough += rng.normal(0, 0.15, memory.shape) * (rough > 0.1)
        return rough > rng.uniform(0.35, 0.65)
    return memory


def tensors(batch: list[Patch], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalised image, memory, target and weight of a batch, each (N, 1, z, y, x), float32."""
    layout = torch.channels_last_3d
    image = normalise_hu(torch.stack([patch.hu for patch in batch]))
    parts = [torch.stack([getattr(patch, name).float() for patch in batch]) for name in ("memory", "target", "weight")]
    image, memory, target, weight = (
        part[:, None].to(device).contiguous(memory_format=layout) for part in (image, *parts)
    )
    return image, memory, target, weight
