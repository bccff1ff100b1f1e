"""One answer of a network from six: it is asked about smaller and larger people and both mirror images of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..headway import portion
from ..networks.blocks import INTERPOLATION

SCALES = (0.9, 1.0, 1.1)  # sizes of a person that a network is asked about


def averaged(ask: Callable[..., Sequence[Tensor]], *images: Tensor, across: Sequence[bool]) -> list[Tensor]:
    """The mean answer to images of one person in ``SCALES``, each as it is and mirrored.

    Args:
        ask: images to an answer (N, any, *space) to each, of its size.
        images: (N, C, *space); ``across``: of each, whether its last axis runs across the person.
    """
    kinds = list(itertools.product(SCALES, (False, True)))
    sums = [torch.zeros((), device=image.device) for image in images]
    for number, (scale, mirror) in enumerate(kinds):
        turns = [mirror and side for side in across]
        sizes = [[max(round(scale * n), 1) for n in image.shape[2:]] for image in images]
        shown = [_resized(image, size) for image, size in zip(images, sizes, strict=True)]
        shown = [image.flip(-1) if turn else image for image, turn in zip(shown, turns, strict=True)]
        with portion(number / len(kinds), (number + 1) / len(kinds)):
            answers = ask(*shown)
        for place, (answer, turn) in enumerate(zip(answers, turns, strict=True)):
            back = answer.flip(-1) if turn else answer
            sums[place] = sums[place] + _resized(back, list(images[place].shape[2:]))
    return [total / len(kinds) for total in sums]


def _resized(images: Tensor, size: list[int]) -> Tensor:
    if list(images.shape[2:]) == size:
        return images
    mode = INTERPOLATION[images.ndim - 2]
    return torch.nn.functional.interpolate(images, size=size, mode=mode, align_corners=False)
