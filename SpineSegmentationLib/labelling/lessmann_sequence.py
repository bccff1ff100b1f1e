"""From numbers, or likely names, to the likeliest sequence without gaps (Lessmann et al. 2019, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..anatomy import STANDARD, Level
from ..detection.lessmann_patches import Answer
from ..numbering import Reading

NAMES = (*STANDARD, Level.L6)  # numbers 1 to 25: the paper's 24, and a sixth lumbar vertebra
RIB_VOTES = 3.0  # votes of the first thoracic and of the first cervical vertebra (VerSe paper, section 3.2)


def probabilities(number: float) -> np.ndarray:
    """How likely a predicted number makes each of ``NAMES``, (25,): 22.8 is L4 (23) by 0.8 and L3 (22) by 0.2."""
    return np.maximum(1 - np.abs(np.arange(1, len(NAMES) + 1) - np.clip(number, 1, len(NAMES))), 0)


def votes(thoracic: Sequence[bool], count: int) -> np.ndarray:
    """The weight of each vertebra's vote, (count,), from the head down.

    Args:
        thoracic: whether each bears ribs, from the head down; empty when nobody asked.
    """
    weights = np.ones(count)
    if any(thoracic):
        # Met on the way up: the lowest that bears ribs, and the one above the uppermost that does.
        weights[max(i for i, one in enumerate(thoracic) if one)] = RIB_VOTES
        above = list(thoracic).index(True) - 1
        if above >= 0:
            weights[above] = RIB_VOTES
    return weights


def names_of(answer: Answer) -> np.ndarray:
    """How likely each of ``NAMES`` is, (25,): by the rib network, or else by the number that the first one gave."""
    return probabilities(answer.label) if answer.names is None else answer.names


def expected(chances: np.ndarray) -> np.ndarray:
    """The mean number (N,), 1 for C1, of vertebrae with the probabilities (N, 25)."""
    return chances @ np.arange(1, len(NAMES) + 1)


def readings(
    chances: np.ndarray, thoracic: Sequence[bool] = (), places: Sequence[int] | None = None
) -> tuple[Reading, ...]:
    """The likeliest two ways to name vertebrae that follow each other, with their share of the likelihood, 0..1.

    The likelihood of a sequence is the mean probability of its names. Where no sequence is likely at all those
    nearest to the mean numbers are taken, with a share of 0.

    Args:
        chances: (N, 25) probabilities of the names of each, from the head down; at most 25.
        thoracic: as in :func:`votes`.
        places: how many names each lies below the first; one after the other unless given, or if they are too many.
    """
    count = len(chances)
    if count == 0:
        return ()
    inner = np.arange(count) if places is None or places[-1] >= len(NAMES) else np.array(places)
    starts = np.arange(len(NAMES) - int(inner[-1]))
    weights = votes(thoracic, count)
    means = np.array([np.average(chances[np.arange(count), start + inner], weights=weights) for start in starts])
    away = np.array([np.abs(start + 1 + inner - expected(chances)).sum() for start in starts])
    order = np.lexsort((away, -means))[:2]
    shares = means / means.sum() if means.sum() > 0 else means
    return tuple(Reading(tuple(NAMES[start + n] for n in inner), float(shares[start])) for start in order)
