"""The networks of Lessmann et al. 2019 (Fig. 1) and of their system for VerSe'19 (VerSe paper, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import (
    CONV,
    Decoder,
    Encoder,
    batch_normalisation,
    convolution,
    plain_double_convolution,
    soft_and_bone,
    strided_convolution,
    unpooled,
)

NUMBERS = 25  # C1 to L5, and a sixth lumbar vertebra
MIDDLE = 12.5  # number of the middle of the column, where the label's regression begins


class Compression(nn.Module):
    """The compression path continued to a single value (sections 3.4 and 3.5), without normalisation.

    At the end it sees one voxel: statistics of so few values would wipe out what they say.

    ``forward``: the coarsest features (N, inside, z, y, x) to (N,), in float32: the volumes become smaller than the
    kernels, which bfloat16 gradients on processors do not survive (see :class:`payer_unet.Convolution`).
    """

    def __init__(self, inside: int, channels: int, steps: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            CONV[3](inside if n == 0 else channels, channels, 3, padding=1) for n in range(steps)
        )
        self.dense = nn.Linear(channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast("cuda" if features.is_cuda else "cpu", enabled=False):
            features = features.float()
            for step in self.steps:
                features = functional.max_pool3d(functional.relu(step(features)), 2, ceil_mode=True)
            return self.dense(features.flatten(2).amax(2))[:, 0]


class IterativeFCN(nn.Module):
    """A patch and the memory of what was segmented in it to the next vertebra, its label and its completeness.

    ``forward``: image (N, 1, z, y, x) normalised HU and memory (N, 1, z, y, x) of 0 and 1 to logits (N, 1, z, y, x) of
    "this vertebra", labels (N,) of at least 0, and logits (N,) of "completely visible". The sizes are ``PATCH``.

    All layers have the same number of channels. The compact network begins with a convolution of stride 2 and ends
    with its transpose and a look at the image (``stem`` 2), so that all but two layers work on an eighth of the voxels.
    The label's ReLU is left out while it learns: once below 0, no gradient would bring it back. ``masks`` (while it
    learns, too): only the first so many patches get logits of a mask.
    """

    WIDTHS = {"paper": (84, 48, 1), "compact": (32, 32, 2)}  # channels, those of the heads, stem
    SPACINGS = {"paper": 1.0, "compact": 2.0}  # mm
    PATCHES = {"paper": 128, "compact": 64}  # voxels along every axis: 128 mm
    LEVELS = 5
    LAST = 8  # channels where a stem ends

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        channels, heads, stem = self.WIDTHS[width]
        self.spacing, self.patch, self.stem = self.SPACINGS[width], self.PATCHES[width], stem
        self.enter = CONV[3](2, channels, stem, stem) if stem > 1 else nn.Identity()
        widths = (channels,) * (self.LEVELS + 1 - stem)
        self.encoder = Encoder(3, channels if stem > 1 else 2, widths, plain_double_convolution)
        self.decoder = Decoder(3, channels, widths[:-1], widths[:-1], plain_double_convolution)
        self.leave = nn.Conv3d(channels, self.LAST, 1) if stem > 1 else nn.Identity()
        last = convolution(3, self.LAST + 2, self.LAST, normalise=batch_normalisation)
        self.refine = last if stem > 1 else nn.Identity()
        self.head = nn.Conv3d(self.LAST if stem > 1 else channels, 1, 1)
        self.label = Compression(channels, heads, 2)
        self.completeness = Compression(channels, heads, 2)

    def forward(self, image: Tensor, memory: Tensor, masks: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        both = torch.cat([image, memory], 1)
        *skips, bottom = self.encoder(self.enter(both))
        features = self.decoder(bottom[:masks], [skip[:masks] for skip in skips])
        if self.stem > 1:
            finer = unpooled(self.leave(features), self.stem, both.shape[2:])
            features = self.refine(torch.cat([finer, both[:masks]], 1))
        number = MIDDLE * (1 + self.label(bottom))
        return self.head(features), number if self.training else functional.relu(number), self.completeness(bottom)


class Name(NamedTuple):
    """What the rib network says of every patch.

    Attributes:
        levels: (N, ``NUMBERS``) log probabilities, of C1 to L6.
        thoracic, complete, vertebra: (N,) logits; the last one is low where the mask is of another bone.
    """

    levels: Tensor
    thoracic: Tensor
    complete: Tensor
    vertebra: Tensor


class RibNetwork(nn.Module):
    """A patch and the mask of the vertebra in it to whether it is thoracic (VerSe paper, section 3.2), and which it is.

    ``forward``: HU (N, 1, z, y, x) and mask (N, 1, z, y, x) of 0 and 1 to :class:`Name`. The paper asks for the ribs
    alone; the level and completeness, which the iterative network tells from a single value in the middle of its
    coarsest features, are ours, and so is whether it is a vertebra at all.
    """

    WIDTHS = {"paper": (32, 64, 128, 128), "compact": (12, 24, 40, 56)}
    SPACINGS, PATCHES = IterativeFCN.SPACINGS, IterativeFCN.PATCHES
    JOINED = 16  # channels that are joined over all places
    EDGE = 4  # places along every axis there

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        self.spacing, self.patch = self.SPACINGS[width], self.PATCHES[width]
        layers: list[nn.Module] = []
        for number, (inside, outside) in enumerate(zip((3, *widths), widths, strict=False)):
            layers += strided_convolution(inside, outside, 2)
            if number in (1, 2):
                layers += strided_convolution(outside, outside)
        self.features = nn.Sequential(*layers, nn.Conv3d(widths[-1], self.JOINED, 1), nn.ReLU(inplace=True))
        self.join = nn.Sequential(nn.Dropout(0.2), nn.Linear(self.JOINED * self.EDGE**3, 64), nn.ReLU(inplace=True))
        self.head = nn.Linear(64, NUMBERS + 5)
        self.register_buffer("numbers", torch.arange(1, NUMBERS + 1, dtype=torch.float32))

    def forward(self, hu: Tensor, mask: Tensor) -> Name:
        features = self.features(torch.cat([soft_and_bone(hu), mask], 1))
        features = functional.adaptive_avg_pool3d(features, self.EDGE)
        own, place, sharpness, rest = self.head(self.join(features.flatten(1))).float().split([NUMBERS, 1, 1, 3], 1)
        middle = MIDDLE * (1 + place)
        levels = own - functional.softplus(sharpness) * (self.numbers - middle).square()
        return Name(levels.log_softmax(1), *rest.unbind(1))
