"""Samples and losses for the rib network of Lessmann's system (VerSe paper, section 3.2), which tells names, too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from ..anatomy import COLUMN, Level
from ..detection.lessmann_patches import LEAST, Lattice
from ..labelling.lessmann_sequence import NAMES
from ..networks.lessmann import RibNetwork
from ..resampling import AIR
from .deformation import Deformation, sample
from .fields import field_of_view, thick
from .lessmann import WHOLE, remembered
from .loop import Task
from .marked import marked, seen
from .subjects import Subject, shares

SOURCES = {"real": 0.06, "own": 0.54, "atlas": 0.15, "phantom": 0.25}
TALLEST = 240.0  # mm of the column in a stretch
LONGEST = 6  # vertebrae of a run
SEEN = 0.4  # least share of a vertebra that is named
OTHER = 255  # code of a bone that is no vertebra
OTHERS = 0.25  # share of the samples that show one
BONE = (120.0, 250.0)  # HU from which on it is bone
REACH = (10.0, 28.0)  # mm from its middle to its ends
TRIES = 300  # places that are looked at for one


@dataclass(frozen=True)
class Stretch:
    """A deformed and scanned part of a person: HU int16 and codes uint8 (z, y, x).

    Attributes:
        volumes: voxels of every vertebra there, from the head down, should all of it be seen; none where the part shows
            another bone, whose code is ``OTHER``.
        whole: those of them that are there as a whole.
    """

    hu: np.ndarray
    codes: np.ndarray
    volumes: dict[int, float]
    whole: frozenset[int]


@dataclass(frozen=True)
class Looks:
    """Patches round neighbouring vertebrae, (N, z, y, x): HU int16 and masks; numbers, completeness (N,).

    A patch round another bone is alone, with a number of 0.
    """

    hu: np.ndarray
    masks: np.ndarray
    numbers: np.ndarray
    complete: np.ndarray


class LessmannRibTask(Task):
    """Draws runs of neighbouring vertebrae, each with its mask in the middle of a patch, and scores their names.

    Now and then another bone takes their place, as the traversal meets sterna, hips and skulls.

    A run is scored as the column is named later, by all sequences without gaps; so a patch that shows a landmark
    learns to speak loudly, one in the middle of the chest to keep its voice down.
    """

    masks = True
    spacing = RibNetwork.SPACINGS["compact"]
    batch = 8
    reuse = 5

    def __init__(self, subjects: list[Subject]) -> None:
        people = marked(subjects)
        self.vertebrae = [(person, level) for person in people for level in person.levels if level in NAMES]
        # Few real scans show the lumbar end: a level counts more the fewer of them show it.
        owners = [person.subject for person, _ in self.vertebrae]
        real = [subject.source in ("real", "own") for subject in owners]
        seldom = Counter(level for (_, level), one in zip(self.vertebrae, real, strict=True) if one)
        weights = [
            len(person.levels) ** -0.5 * (seldom[level] ** -0.5 if one else 1.0)
            for (person, level), one in zip(self.vertebrae, real, strict=True)
        ]
        self.weights = shares(owners, np.array(weights), SOURCES)
        self.people = [one for one in people if one.subject.hu is not None and one.subject.source in ("real", "own")]

    @property
    def edge(self) -> int:
        """Voxels of a patch along every axis: 128 mm."""
        width = next(name for name, spacing in RibNetwork.SPACINGS.items() if spacing == self.spacing)
        return RibNetwork.PATCHES[width]

    def draw(self, rng: np.random.Generator) -> Stretch:
        if self.people and rng.random() < OTHERS:
            for _ in range(8):
                if found := self.another_bone(rng):
                    return found
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        person, level = self.vertebrae[rng.choice(len(self.vertebrae), p=self.weights)]
        subject = person.subject
        middles = {one: np.array([(s.start + s.stop) / 2 for s in place]) for one, place in person.places.items()}
        near = [one for one in person.levels if abs(middles[one] - middles[level])[0] < TALLEST / 2 / self.spacing]
        places = np.array([middles[one] for one in near])
        size = tuple(int(v) for v in np.ptp(places, axis=0) + self.edge)
        spread = {"bend": 3.0 / self.spacing, "wavelength": 66 / self.spacing}
        deformation = Deformation(rng, size, (places.max(0) + places.min(0)) / 2, rotation=14, scale=0.18, **spread)
        grid = deformation.grid()
        hu = seen(subject, grid, self.spacing, rng, generator)
        assert subject.labels is not None  # marked people have labels
        codes = sample(subject.labels, grid, 0, nearest=True)
        shown = codes.numpy().astype(np.uint8)
        unit = abs(np.linalg.det(deformation.matrix))  # voxels of the source in one of the sample
        volumes: dict[int, float] = {}
        whole: set[int] = set()
        inner = ndimage.find_objects(shown, max(Level))
        for one in near:
            place = inner[one - 1]
            if place is None or one not in NAMES:
                continue
            volumes[one] = person.volumes[one] / unit
            if person.whole[one] and all(s.start > 0 and s.stop < n for s, n in zip(place, shown.shape, strict=True)):
                volumes[one] = float((shown[place] == one).sum())
                whole.add(one)
        if not any((shown == one).sum() >= self.least(volumes[one]) for one in volumes):
            return self.draw(rng)
        return Stretch(hu.round().clamp(-1024, 3071).to(torch.int16).numpy(), shown, volumes, frozenset(whole))

    def another_bone(self, rng: np.random.Generator) -> Stretch | None:
        """A piece of bone away from a real person's vertebrae, such as a network may take for one; None by bad luck."""
        person = self.people[rng.integers(len(self.people))]
        subject = person.subject
        assert subject.hu is not None and subject.labels is not None
        rows = np.arange(max(person.low, 0), min(person.high, len(subject.hu)))
        places = np.stack([rng.choice(rows, TRIES), *(rng.integers(n, size=TRIES) for n in subject.hu.shape[1:])], 1)
        bright = subject.hu[tuple(places.T)] > rng.uniform(*BONE)
        if not bright.any():
            return None
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        spread = {"bend": 3.0 / self.spacing, "wavelength": 66 / self.spacing}
        size = (self.edge + round(20 / self.spacing),) * 3
        grid = Deformation(rng, size, places[bright.argmax()].astype(float), rotation=14, scale=0.18, **spread).grid()
        hu = seen(subject, grid, self.spacing, rng, generator).numpy()
        codes = sample(subject.labels, grid, 0, nearest=True).numpy()
        away = np.linalg.norm((np.indices(size).T - np.array(size) / 2) / rng.uniform(*REACH, 3), axis=3).T
        beside = ndimage.binary_dilation(np.isin(codes, COLUMN), iterations=round(8 / self.spacing))
        pieces, count = ndimage.label((hu > rng.uniform(*BONE)) & (away * self.spacing < 1) & ~beside)
        largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1 if count else pieces > 0
        if largest.sum() * self.spacing**3 < LEAST:
            return None
        shown = ndimage.binary_closing(largest, iterations=2)
        return Stretch(hu.round().clip(-1024, 3071).astype(np.int16), shown * np.uint8(OTHER), {}, frozenset())

    def vary(self, stretch: Stretch, rng: np.random.Generator) -> Looks:
        """A run of the stretch as another scan might show it, with masks as the traversal might leave them."""
        levels = list(stretch.volumes) or [OTHER]
        count = min(int(rng.integers(1, LONGEST + 1)), len(levels))
        start = int(rng.integers(len(levels) - count + 1))
        run = levels[start : start + count]
        places = ndimage.find_objects(stretch.codes, OTHER)
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
        lattice = Lattice(view, np.zeros(3, int), self.spacing, self.edge)
        shown = {one: codes == one for one in run}
        run = [one for one in run if shown[one].sum() >= self.least(stretch.volumes.get(one, 0.0))]
        hus, masks, complete = [], [], []
        for one in run:
            where = np.argwhere(shown[one])
            middle = (where.min(0) + where.max(0)) / 2 + rng.normal(0, 2 / self.spacing, 3)
            centre = np.rint(middle).astype(int)
            mask = lattice.cut(shown[one], centre, False)
            rough = remembered(mask, rng)
            hus.append(lattice.cut(view, centre, AIR).astype(np.int16))
            masks.append(rough if rough.any() else mask)
            complete.append(one in stretch.whole and len(where) >= WHOLE * stretch.volumes[one])
        if not run:
            return self.vary(stretch, rng)
        numbers = np.array([0 if one == OTHER else NAMES.index(one) + 1 for one in run])
        return Looks(np.array(hus), np.array(masks), numbers, np.array(complete))

    def least(self, volume: float) -> float:
        """Voxels of a vertebra of so many that a patch shows at least if it is to be named."""
        return max(SEEN * volume, LEAST / self.spacing**3)

    def loss(self, network: nn.Module, batch: list[Looks]) -> Tensor:
        device = next(network.parameters()).device
        hu = torch.from_numpy(np.concatenate([looks.hu for looks in batch]))[:, None].float()
        masks = torch.from_numpy(np.concatenate([looks.masks for looks in batch]))[:, None].float()
        layout = torch.channels_last_3d
        said = network(*(part.to(device).contiguous(memory_format=layout) for part in (hu, masks)))
        numbers = torch.from_numpy(np.concatenate([looks.numbers for looks in batch])).to(device)
        complete = torch.from_numpy(np.concatenate([looks.complete for looks in batch])).to(device)
        thoracic = torch.tensor([number > 0 and NAMES[number - 1].region == "thoracic" for number in numbers]).to(
            device
        )
        shown = numbers > 0
        total = torch.zeros((), device=device)
        for kind in (shown, ~shown):  # other bones are few, and count as much
            if kind.any():
                truth = shown[kind]
                total = total + 0.3 * functional.binary_cross_entropy_with_logits(said.vertebra[kind], truth.float())
        if shown.any():
            total = total + functional.nll_loss(said.levels[shown], numbers[shown] - 1)
            for logits, truth in ((said.thoracic, thoracic), (said.complete, complete)):
                total = total + 0.3 * functional.binary_cross_entropy_with_logits(logits[shown], truth[shown].float())
        first = 0
        for looks in batch:
            mine = said.levels[first : first + len(looks.numbers)]
            if looks.numbers[0]:
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
