"""Asks the evidence network what the surroundings of every candidate say of its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import weights
from ..device import Runner
from ..headway import counted
from ..networks.evidence import PLACES, EvidenceNet
from ..resampling import resample
from ..spine import SpineBox
from .patches import EDGE, SPACING, patches

AT_ONCE = 16  # patches in one batch


class Evidence(NamedTuple):
    """What is seen round N places.

    Attributes:
        levels: (N, PLACES) log probabilities of the levels of ``COLUMN`` and of S1, should it be a vertebra.
        vertebra: (N,) log odds that it is the centre of a body.
        ribs: (N, 2) log odds of a rib at that vertebra on the person's right and left.
        sacrum: (N,) log odds that the next one below is S1.
    """

    levels: NDArray
    vertebra: NDArray
    ribs: NDArray
    sacrum: NDArray

    def rows(self) -> Iterator[Evidence]:
        """That of each place alone, without the first axis."""
        return (Evidence(*row) for row in zip(*self, strict=True))


class EvidenceReader:
    """Reads patches round places in a CT with a committee of networks, each patch and its mirror image."""

    def __init__(self, device: torch.device) -> None:
        committee = weights.load_committee("combined-labelling", EvidenceNet, device)
        self.weights = tuple(found for _, found in committee)
        self.runners = tuple(Runner(network, device) for network, _ in committee)

    def __call__(self, ct: sitk.Image, positions: NDArray) -> Evidence:
        """The evidence at positions (N, 3) in LPS mm: the mean over networks and both mirror images."""
        if not len(positions):
            return Evidence(np.zeros((0, PLACES)), np.zeros(0), np.zeros((0, 2)), np.zeros(0))
        margin = (EDGE // 2 + 2) * SPACING
        field = SpineBox.around(positions, (margin,) * 3, (margin,) * 3).intersection(SpineBox.of_image(ct))
        image = resample(ct, SPACING, field)
        index = [image.TransformPhysicalPointToContinuousIndex([float(v) for v in p])[::-1] for p in positions]
        shown = patches(sitk.GetArrayViewFromImage(image), np.array(index))
        return self.of_patches(shown)

    def of_patches(self, shown: NDArray[np.float32]) -> Evidence:
        """The evidence in patches as :func:`patches.patches` cuts them."""
        batches = [torch.from_numpy(shown[i : i + AT_ONCE]) for i in range(0, len(shown), AT_ONCE)]
        answers: list[list[list[Tensor]]] = [[] for _ in self.runners]
        for own, runner, batch in counted(
            [(o, r, b) for o, r in zip(answers, self.runners, strict=True) for b in batches]
        ):
            own.append(runner(_both_ways, batch))
        each = [[torch.cat(parts).cpu().numpy() for parts in zip(*own, strict=True)] for own in answers]
        return Evidence(*(np.mean(values, axis=0) for values in zip(*each, strict=True)))


def _both_ways(network: nn.Module, batch: Tensor) -> list[Tensor]:
    answers, mirrored = network(batch), network(batch.flip(-1))
    ribs = (answers.ribs + mirrored.ribs.flip(1)) / 2
    rest = [(a + b) / 2 for a, b in ((answers.levels, mirrored.levels), (answers.vertebra, mirrored.vertebra))]
    return [*rest, ribs, (answers.sacrum + mirrored.sacrum) / 2]
