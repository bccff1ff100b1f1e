"""Weights in a quarter of their size, a sixth once compressed: whole numbers of 6 bits, with a scale a channel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"  # what the scales of a tensor are called beside it
LARGEST = 31
"""Of the whole numbers. They lie in bytes, but compressed, as archives and repositories do, they take 6 bits. With 15
and 127 the masks of the segmenter are the same (docs/results.md)."""


def quantised(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Kernels as int8 and, beside each, the float32 scale of every row (its first axis); all else as float16 or it was.

    A kernel comes back with an error of at most half a scale, 1/62 of its row's largest value.
    """
    packed: dict[str, Tensor] = {}
    for key, value in state.items():
        if not value.is_floating_point():
            packed[key] = value
        elif value.ndim < 2:
            packed[key] = value.half()
        else:
            rows = value.float().flatten(1)
            scale = rows.abs().amax(1) / LARGEST
            steps = rows / torch.where(scale > 0, scale, 1)[:, None]
            packed[key] = steps.round().to(torch.int8).reshape(value.shape)
            packed[key + SCALE] = scale
    return packed


def restored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network in float32 from what :func:`quantised` made, or from one that was not quantised."""
    state: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if (scale := tensors.get(key + SCALE)) is not None:
            state[key] = value.float() * scale.reshape(-1, *[1] * (value.ndim - 1))
        elif not (key.endswith(SCALE) and key.removesuffix(SCALE) in tensors):
            state[key] = value.float()
    return state
