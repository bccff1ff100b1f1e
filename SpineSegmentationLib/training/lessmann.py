"""Samples and losses for Lessmann's networks (2019, section 3.6; for VerSe'19: VerSe paper, section 3.2).

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
from ..detection.lessmann_patches import LEAST, Lattice
from ..labelling.lessmann_sequence import NAMES
from ..labelling.mccouat_glocker_labels import NUMBER
from ..networks.blocks import normalise_hu
from ..networks.lessmann import IterativeFCN
from ..resampling import AIR
from .deformation import Deformation, sample
from .fields import field_of_view, thick
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
        thoracic: whether the target bears ribs.
    """

    hu: Tensor
    memory: Tensor
    target: Tensor
    weight: Tensor
    number: float
    complete: bool
    thoracic: bool


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
        memory = self._remembered(np.isin(shown, [int(one) for one in passed]), rng)
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
            target is not None and target.region == "thoracic",
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

    @staticmethod
    def _remembered(memory: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The memory as the network itself would have left it: borders a voxel off here and there."""
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


@dataclass(frozen=True)
class Stretch:
    """A deformed and scanned part of a person: HU int16 and codes uint8 (z, y, x).

    Attributes:
        volumes: voxels of every vertebra there, from the head down, should all of it be seen.
        whole: those of them that are there as a whole.
    """

    hu: np.ndarray
    codes: np.ndarray
    volumes: dict[Level, float]
    whole: frozenset[Level]


@dataclass(frozen=True)
class Looks:
    """Patches round neighbouring vertebrae, (N, z, y, x): HU int16 and masks; numbers and completeness (N,)."""

    hu: np.ndarray
    masks: np.ndarray
    numbers: np.ndarray
    complete: np.ndarray


class LessmannRibTask(LessmannTask):
    """Draws runs of neighbouring vertebrae, each with its mask in the middle of a patch, and scores their names.

    A run is scored as the column is named later, by all sequences without gaps; so a patch that shows a landmark
    learns to speak loudly, one in the middle of the chest to keep its voice down.
    """

    batch = 8
    reuse = 5
    TALLEST = 240.0  # mm of the column in a stretch
    LONGEST = 6  # vertebrae of a run
    SEEN = 0.4  # least share of a vertebra that is named

    def draw(self, rng: np.random.Generator) -> Stretch:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        person, level = self.vertebrae[rng.choice(len(self.vertebrae), p=self.weights)]
        subject = person.subject
        middles = {one: np.array([(s.start + s.stop) / 2 for s in place]) for one, place in person.places.items()}
        near = [one for one in person.levels if abs(middles[one] - middles[level])[0] < self.TALLEST / 2 / self.spacing]
        places = np.array([middles[one] for one in near])
        size = tuple(int(v) for v in np.ptp(places, axis=0) + self.size)
        spread = {"bend": 3.0 / self.spacing, "wavelength": 66 / self.spacing}
        deformation = Deformation(rng, size, (places.max(0) + places.min(0)) / 2, rotation=14, scale=0.18, **spread)
        grid = deformation.grid()
        hu = seen(subject, grid, self.spacing, rng, generator)
        assert subject.labels is not None  # marked people have labels
        codes = sample(subject.labels, grid, 0, nearest=True)
        shown = codes.numpy().astype(np.uint8)
        unit = abs(np.linalg.det(deformation.matrix))  # voxels of the source in one of the sample
        volumes, whole = {}, set()
        inner = ndimage.find_objects(shown, max(Level))
        for one in near:
            place = inner[one - 1]
            if place is None or one not in NAMES:
                continue
            volumes[one] = person.volumes[one] / unit
            if person.whole[one] and all(s.start > 0 and s.stop < n for s, n in zip(place, shown.shape, strict=True)):
                volumes[one] = float((shown[place] == one).sum())
                whole.add(one)
        return Stretch(hu.round().clamp(-1024, 3071).to(torch.int16).numpy(), shown, volumes, frozenset(whole))

    def vary(self, stretch: Stretch, rng: np.random.Generator) -> Looks:
        """A run of the stretch as another scan might show it, with masks as the traversal might leave them."""
        levels = list(stretch.volumes)
        count = min(int(rng.integers(1, self.LONGEST + 1)), len(levels))
        start = int(rng.integers(len(levels) - count + 1))
        run = levels[start : start + count]
        places = ndimage.find_objects(stretch.codes, max(Level))
        centres = np.array([[(s.start + s.stop) / 2 for s in places[one - 1]] for one in run]).reshape(-1, 3)
        hu = stretch.hu.astype(np.float32)
        if rng.random() < 0.35:
            hu = thick(hu, rng.uniform(3, 9) / self.spacing)
        low, high = field_of_view(centres, hu.shape, self.spacing, rng)
        inside = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        view, codes = np.full_like(hu, AIR), np.zeros_like(stretch.codes)
        grain = rng.standard_normal(hu[inside].shape, np.float32) * rng.uniform(0, 30)
        view[inside] = hu[inside] * rng.uniform(0.85, 1.2) + rng.uniform(-50, 50) + grain
        codes[inside] = stretch.codes[inside]
        looks = []
        for one in run:
            mask = codes == one
            share = mask.sum() / stretch.volumes[one]
            if share >= self.SEEN and mask.sum() * self.spacing**3 >= LEAST:
                where = np.argwhere(mask)
                middle = (where.min(0) + where.max(0)) / 2 + rng.normal(0, 2 / self.spacing, 3)
                lattice = Lattice(view, np.zeros(3, int), self.spacing, self.size[0])
                shown = lattice.cut(mask, np.rint(middle).astype(int), False)
                seen_mask = self._remembered(shown, rng)
                looks.append(
                    (
                        lattice.cut(view, np.rint(middle).astype(int), AIR),
                        seen_mask if seen_mask.any() else shown,
                        NAMES.index(one) + 1,
                        one in stretch.whole and share >= WHOLE,
                    )
                )
        if not looks:
            return self.vary(stretch, rng)
        hus, masks, numbers, complete = (np.array(part) for part in zip(*looks, strict=True))
        return Looks(hus.astype(np.int16), masks, numbers, complete)

    def loss(self, network: nn.Module, batch: list[Looks]) -> Tensor:
        device = next(network.parameters()).device
        hu = torch.from_numpy(np.concatenate([looks.hu for looks in batch]))[:, None].float()
        masks = torch.from_numpy(np.concatenate([looks.masks for looks in batch]))[:, None].float()
        layout = torch.channels_last_3d
        said = network(*(part.to(device).contiguous(memory_format=layout) for part in (hu, masks)))
        numbers = torch.from_numpy(np.concatenate([looks.numbers for looks in batch])).to(device)
        complete = torch.from_numpy(np.concatenate([looks.complete for looks in batch])).to(device)
        thoracic = torch.tensor([NAMES[number - 1].region == "thoracic" for number in numbers], device=device)
        total = functional.nll_loss(said.levels, numbers - 1)
        total = total + 0.3 * functional.binary_cross_entropy_with_logits(said.thoracic, thoracic.float())
        total = total + 0.3 * functional.binary_cross_entropy_with_logits(said.complete, complete.float())
        first = 0
        for looks in batch:
            mine = said.levels[first : first + len(looks.numbers)]
            total = total + 0.5 * run_error(mine, looks.numbers) / len(batch)
            first += len(looks.numbers)
        return total


def run_error(levels: Tensor, numbers: np.ndarray) -> Tensor:
    """Cross-entropy of a run's right name among all its names, from (N, 25) log probabilities and numbers (N,)."""
    inner = torch.from_numpy(numbers - numbers[0]).to(levels.device)
    starts = torch.arange(levels.shape[1] - int(inner[-1]), device=levels.device)
    rows = torch.arange(len(numbers), device=levels.device)
    scores = levels[rows, starts[:, None] + inner].sum(1)
    return functional.cross_entropy(scores[None], torch.tensor([int(numbers[0]) - 1], device=levels.device))


def tensors(batch: list[Patch], device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalised image, memory, target and weight of a batch, each (N, 1, z, y, x), float32."""
    layout = torch.channels_last_3d
    image = normalise_hu(torch.stack([patch.hu for patch in batch]))
    parts = [torch.stack([getattr(patch, name).float() for patch in batch]) for name in ("memory", "target", "weight")]
    image, memory, target, weight = (
        part[:, None].to(device).contiguous(memory_format=layout) for part in (image, *parts)
    )
    return image, memory, target, weight
