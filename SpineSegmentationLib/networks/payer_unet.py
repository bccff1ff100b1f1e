"""The U-Net of Payer et al. 2020, sec. 2.1: average pooling, linear up-sampling, no normalisation, one width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import layers, unpooled

LEAK = 0.1  # slope of the leaky ReLU below zero


class Convolution(nn.Conv3d):
    """A convolution that keeps the size, in float32 where the volume is smaller than the kernel along an axis.

    There, oneDNN takes the weights' gradient in bfloat16 from memory it never wrote (PyTorch 2.13): huge numbers, or
    none at all. So small a volume costs nothing in float32.
    """

    def __init__(self, inside: int, outside: int, kernel: int) -> None:
        super().__init__(inside, outside, kernel, padding=kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        if min(features.shape[2:]) >= self.kernel_size[0]:
            return super().forward(features)
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


def _silence(convolution: nn.Conv3d) -> None:
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)


def leaky_convolution(inside: int, outside: int, kernel: int = 3) -> nn.Sequential:
    """3D convolution that keeps the size, He initialisation, leaky ReLU."""
    convolution = Convolution(inside, outside, kernel)
    nn.init.kaiming_normal_(convolution.weight, LEAK)
    _silence(convolution)
    return nn.Sequential(convolution, nn.LeakyReLU(LEAK, inplace=True))


def quiet_convolution(inside: int, outside: int) -> nn.Conv3d:
    """1x1x1 convolution that starts near zero: the last layer of a heatmap, which is zero nearly everywhere."""
    convolution = nn.Conv3d(inside, outside, 1)
    nn.init.normal_(convolution.weight, std=0.01)
    _silence(convolution)
    return convolution


class PayerUNet(nn.Module):
    """Features of every voxel from five levels of the same number of channels.

    ``forward``: (N, inside, z, y, x), or several images with as many channels together, to (N, outside, z, y, x); any
    size.

    Args:
        inside, outside: channels of image and result.
        channels: of every convolution.
    """

    LEVELS = 5
    WIDTHS = {"paper": 64, "compact": 16}

    def __init__(self, inside: int, outside: int, channels: int) -> None:
        super().__init__()

        def two(before: int) -> nn.Sequential:
            return nn.Sequential(leaky_convolution(before, channels), leaky_convolution(channels, channels))

        self.contract = nn.ModuleList(two(inside if level == 0 else channels) for level in range(self.LEVELS))
        self.expand = nn.ModuleList(two(2 * channels) for _ in range(self.LEVELS - 1))
        self.head = quiet_convolution(channels, outside)

    def forward(self, *images: Tensor) -> Tensor:
        skips, halves = [self.contract[0](torch.cat(images, 1))], []
        for level in self.contract[1:]:
            halves.append(tuple(min(2, n) for n in skips[-1].shape[2:]))
            skips.append(level(functional.avg_pool3d(skips[-1], halves[-1], ceil_mode=True)))
        features = skips.pop()
        for level in reversed(self.expand):
            features = torch.cat([unpooled(features, halves.pop(), skips[-1].shape[2:]), skips.pop()], 1)
            for layer in layers(level):
                features = layer(features)
        return self.head(features)


class SpineUNet(PayerUNet):
    """CT at 8 mm to the heat of the spine's centre line, 1 on the line (sec. 2.1).

    ``forward``: (N, 1, z, y, x) to (N, 1, z, y, x).
    """

    def __init__(self, width: str = "compact") -> None:
        super().__init__(1, 1, self.WIDTHS[width])


class PointedUNet(PayerUNet):
    """A patch at 1 mm and a Gaussian at the centroid of interest to the logit of "this vertebra" (sec. 2.3).

    ``forward``: image and gaussian (N, 1, z, y, x) to (N, 1, z, y, x).
    """

    def __init__(self, width: str = "compact") -> None:
        super().__init__(2, 1, self.WIDTHS[width])
