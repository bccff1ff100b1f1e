"""Building blocks that all networks share. Tensors are (batch, channel, *space), space z,y,x or two of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
INTERPOLATION = {2: "bilinear", 3: "trilinear"}
HU_RANGE = (-1000.0, 2000.0)


def normalise_hu(hu: Tensor) -> Tensor:
    """Hounsfield units clamped to [-1000, 2000] and divided by 1000: what all but Payer's U-Nets see."""
    return hu.float().clamp(*HU_RANGE) / 1000.0


def soft_and_bone(hu: Tensor) -> Tensor:
    """HU (N, 1, ...) in two windows, soft tissue with fat and lung, and bone: (N, 2, ...), about -1..1."""
    return torch.cat([(hu.clamp(-1000, 400) + 300) / 700, (hu.clamp(100, 1300) - 700) / 600], 1)


def strided_convolution(inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    """3D convolution, batch normalisation, ReLU."""
    return [
        nn.Conv3d(inside, outside, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(outside),
        nn.ReLU(inplace=True),
    ]


def normalisation(dims: int, channels: int) -> nn.Module:
    """Batch statistics in 2D, where batches are large; statistics of the one patch in 3D, where they are not."""
    return nn.BatchNorm2d(channels) if dims == 2 else nn.InstanceNorm3d(channels, affine=True)


def batch_normalisation(dims: int, channels: int) -> nn.Module:
    """Batch statistics in 2D and 3D: what a voxel becomes does not depend on how far the image reaches."""
    return nn.BatchNorm2d(channels) if dims == 2 else nn.BatchNorm3d(channels)


class ChannelExcitation(nn.Module):
    """Spatial squeeze and channel excite (SSCE, Roy et al. 2018): weighs channels by what the whole image holds.

    The spatial mean of every channel passes two fully connected layers and a sigmoid and scales its channel; in place
    where no gradients are asked for.
    """

    def __init__(self, channels: int, reduction: int = 2) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.excite = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        scale = self.excite(features.flatten(2).mean(2))
        scale = scale.reshape(*scale.shape, *[1] * (features.ndim - 2))
        return features * scale if torch.is_grad_enabled() else features.mul_(scale)


def convolution(
    dims: int,
    inside: int,
    outside: int,
    kernel: int = 3,
    normalise: Callable[[int, int], nn.Module] = normalisation,
) -> nn.Sequential:
    """Convolution that keeps the size, normalisation, ReLU."""
    return nn.Sequential(
        CONV[dims](inside, outside, kernel, padding=kernel // 2, bias=False),
        normalise(dims, outside),
        nn.ReLU(inplace=True),
    )


def double_convolution(dims: int, inside: int, outside: int) -> nn.Sequential:
    """Two convolutions and an SSCE block."""
    return nn.Sequential(
        convolution(dims, inside, outside), convolution(dims, outside, outside), ChannelExcitation(outside)
    )


def plain_double_convolution(dims: int, inside: int, outside: int) -> nn.Sequential:
    """Two convolutions with batch normalisation and nothing that looks at the whole image."""
    return nn.Sequential(
        convolution(dims, inside, outside, normalise=batch_normalisation),
        convolution(dims, outside, outside, normalise=batch_normalisation),
    )


Block = Callable[[int, int, int], nn.Module]
"""What a level of an encoder or decoder does: dims, channels inside, channels outside to a module."""


def layers(block: nn.Module) -> Iterator[nn.Module]:
    """What a block of sequences does, one after the other.

    Called as a whole, it would keep its input till its end; called layer by layer, only what the next layer needs is
    in memory.
    """
    if not isinstance(block, nn.Sequential):
        yield block
        return
    for part in block:
        yield from layers(part)


def unpooled(features: Tensor, factors: int | tuple[int, ...], size: torch.Size | tuple[int, ...]) -> Tensor:
    """Linear up-sampling (N, C, *space) by whole factors, cut to ``size``: where pooling with ceil mode came from.

    Interpolating straight to the size would stretch features of a size that is no multiple of the factor: at every
    level the far end of the image would move by up to half a voxel.
    """
    dims = features.ndim - 2
    factors = (factors,) * dims if isinstance(factors, int) else factors
    larger = nn.functional.interpolate(
        features, scale_factor=[float(f) for f in factors], mode=INTERPOLATION[dims], align_corners=False
    )
    place = (slice(None), slice(None), *(slice(n) for n in size))
    return larger[place]


def joined(features: Tensor, *skips: list[Tensor]) -> Tensor:
    """``features`` up-sampled by two, and behind them the channels of the last of each of ``skips``, which go.

    In the type and the memory format of the features, or the next convolution would copy all of it; the skips first,
    so that they are gone when the larger features are made.
    """
    last = torch.channels_last if features.ndim == 4 else torch.channels_last_3d
    order = last if features.is_contiguous(memory_format=last) else torch.contiguous_format
    own, size = features.shape[1], skips[0][-1].shape[2:]
    shape = (len(features), own + sum(each[-1].shape[1] for each in skips), *size)
    both = torch.empty(shape, dtype=features.dtype, device=features.device, memory_format=order)
    begin = own
    for each in skips:
        end = begin + each[-1].shape[1]
        both[:, begin:end] = each.pop()
        begin = end
    both[:, :own] = unpooled(features, 2, size)
    return both


class Encoder(nn.Module):
    """Double convolutions with max pooling between them; returns the features of every level, finest first."""

    def __init__(self, dims: int, inside: int, widths: tuple[int, ...], block: Block = double_convolution) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            block(dims, before, width) for before, width in zip((inside, *widths), widths, strict=False)
        )
        self.pool = POOL[dims](2, ceil_mode=True)

    def forward(self, image: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for level in self.levels:
            current = self.pool(features[-1]) if features else image
            for layer in layers(level):
                current = layer(current)
            features.append(current)
        return features


class Decoder(nn.Module):
    """From the coarsest features to the finest: linear up-sampling, joined with the skip, double convolution.

    Args:
        dims: 2 or 3.
        bottom: channels of the coarsest features.
        skips: channels of the encoder's features that join at each level, finest first.
        widths: channels of the result at each of these levels, finest first.
        block: what follows each joining.
    """

    def __init__(
        self,
        dims: int,
        bottom: int,
        skips: tuple[int, ...],
        widths: tuple[int, ...],
        block: Block = double_convolution,
    ) -> None:
        super().__init__()
        befores = (*widths[1:], bottom)
        self.reduce = nn.ModuleList(CONV[dims](before, width, 1) for before, width in zip(befores, widths, strict=True))
        self.convolve = nn.ModuleList(
            block(dims, width + skip, width) for width, skip in zip(widths, skips, strict=True)
        )

    def forward(self, bottom: Tensor, *skips: list[Tensor]) -> Tensor:
        """``skips`` of one encoder or more are emptied, so that none stays in memory once it was joined."""
        features = bottom
        for reduce, convolve in zip(reversed(self.reduce), reversed(self.convolve), strict=True):
            features = reduce(features)
            features = joined(features, *skips)
            for layer in layers(convolve):
                features = layer(features)
        return features
