"""Several labellers asked about one box: where they agree the answer is surer, where they differ it says so."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..spine import Centroids, SpineBox
from .anduin import AnduinLabeller
from .scn import ScnLabeller
from .sequence import Candidate, best_sequence

ALONG = 9.0  # mm along the body's axis within which two answers mean one vertebra: half of the least distance
ACROSS = 30.0  # mm across: a projection may put a vertebra into the vessel beside it
CLOSE = 8.0  # mm: answers this close are averaged; of others the first labeller's counts


class ConsensusLabeller:
    """Names and places the vertebrae inside a spine box by the candidates of several labellers together."""

    def __init__(self, device: torch.device) -> None:
        # The one that sees all three dimensions at once comes first: it decides where the others are far from it.
        self.members = (ScnLabeller(device), AnduinLabeller(device))
        self.weights = tuple(weights for member in self.members for weights in member.weights)
        self.runners = tuple(runner for member in self.members for runner in member.runners)

    def __call__(self, ct: sitk.Image, box: SpineBox) -> Centroids:
        """The centroids of the vertebrae in the box (LPS mm), in the column's order, each with a confidence."""
        return best_sequence(meet([member.candidates(ct, box) for member in self.members]))


def meet(answers: list[list[Candidate]]) -> list[Candidate]:
    """One candidate per place from those of several labellers.

    Each candidate of a labeller joins the nearest one of those before it, of which each takes one. The probability is
    the mean over the labellers, 0 where one sees nothing; the levels are the product of what each says, so that doubt
    of one leaves the choice to the other and disagreement leaves no level sure.
    """
    groups: list[list[Candidate]] = []
    for answer in answers:
        pairs = [
            (float(np.linalg.norm(offset)), number, place)
            for place, candidate in enumerate(answer)
            for number, group in enumerate(groups)
            if abs((offset := np.subtract(group[0].position, candidate.position))[2]) <= ALONG
            and np.hypot(*offset[:2]) <= ACROSS
        ]
        taken: dict[int, int] = {}
        for _, number, place in sorted(pairs):
            if number not in taken.values() and place not in taken:
                taken[place] = number
        for place, candidate in enumerate(answer):
            if place in taken:
                groups[taken[place]].append(candidate)
            else:
                groups.append([candidate])
    return [_joined(group, len(answers)) for group in groups]


def _joined(group: list[Candidate], asked: int) -> Candidate:
    first = np.array(group[0].position)
    close = [c for c in group if np.linalg.norm(np.subtract(c.position, first)) <= CLOSE]
    position = np.average([c.position for c in close], axis=0, weights=[c.probability + 1e-6 for c in close])
    levels = np.prod([np.clip(c.levels / c.levels.sum(), 1e-4, None) for c in group], axis=0)
    return Candidate(
        tuple(float(v) for v in position),
        sum(c.probability for c in group) / asked,
        levels / levels.sum(),
    )
