"""What one vertebra says of its own name: a small 3D network on a patch round the body, several answers at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..anatomy import S1
from .blocks import soft_and_bone, strided_convolution

PLACES = S1 + 1
"""Answers to "which level": those of ``COLUMN``, then S1."""


class Answers(NamedTuple):
    """What the network says of every patch.

    Attributes:
        levels: (N, PLACES) log probabilities, should the patch show a vertebra in its middle.
        vertebra: (N,) logit that there is a body's centre in its middle.
        ribs: (N, 2) logits of a rib at that vertebra, on the side of the first and of the last voxels along x.
        sacrum: (N,) logit that the next one below is S1.
    """

    levels: Tensor
    vertebra: Tensor
    ribs: Tensor
    sacrum: Tensor


class EvidenceNet(nn.Module):
    """``forward``: HU (N, 1, 48, 48, 48) at 3 mm, the centroid in the middle, to :class:`Answers`.

    The level is answered as a place on the column's scale and a sharpness, with a correction for every level, so that
    neighbouring levels learn from each other.
    """

    WIDTHS = {"paper": (32, 64, 128, 256), "compact": (16, 32, 64, 128)}

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        layers: list[nn.Module] = []
        for number, (inside, outside) in enumerate(zip((2, *widths), widths, strict=False)):
            layers += strided_convolution(inside, outside, 2)
            if number in (1, 2):
                layers += strided_convolution(outside, outside)
        self.features = nn.Sequential(*layers, nn.Conv3d(widths[-1], 48, 1), nn.ReLU(inplace=True))
        self.join = nn.Sequential(nn.Dropout(0.2), nn.Linear(48 * 3**3, 96), nn.ReLU(inplace=True))
        self.head = nn.Linear(96, PLACES + 6)
        self.register_buffer("places", torch.arange(PLACES, dtype=torch.float32))

    def forward(self, hu: Tensor) -> Answers:
        features = self.features(soft_and_bone(hu))
        own, place, sharpness, rest = self.head(self.join(features.flatten(1))).float().split([PLACES, 1, 1, 4], 1)
        middle = PLACES / 2 * (1 + place)
        levels = own - nn.functional.softplus(sharpness) * (self.places - middle).square()
        return Answers(levels.log_softmax(1), rest[:, 0], rest[:, 1:3], rest[:, 3])
