"""The networks of Sekuboyina et al. 2017: where the spine is, slice by slice (2.1), and its mask, block by block (2.2).

Its figures print kernels, dilations and numbers of features that its text leaves out; what is ours is said below.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import batch_normalisation, convolution

SPACINGS = {"paper": 1.0, "compact": 2.0}
"""mm per voxel of each width."""

REGION = 16.0  # mm: side of the square that one value of the attention map is about
APART = 8.0  # mm between the sagittal slices that are looked at


class AttentionNet(nn.Module):
    """A sagittal slice to the share of spine in each of its squares of 16 mm.

    ``forward``: (N, 1, z, y) normalised HU, sizes multiples of ``cell``, to logits (N, 1, z / cell, y / cell).

    Ten convolutions: poolings after the first ones make a cell of 16 mm (four at 1 mm, as printed; three at 2 mm), then
    dilations of ``DILATIONS`` let every cell see 35 cells, as slices of 160 pixels padded to 720 ask for, and the
    last has a kernel of 1.
    """

    # Of the pooled layers, and of all others.
    WIDTHS = {"paper": (16, 32, 64, 128, 128), "compact": (8, 16, 32, 32)}
    DILATIONS = (1, 2, 4, 8, 2)
    LAYERS = 10

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        *pooled, wide = self.WIDTHS[width]
        self.spacing = SPACINGS[width]
        self.cell = 2 ** len(pooled)
        layers: list[nn.Module] = []
        before = 1
        for channels in pooled:
            layers += [convolution(2, before, channels), nn.MaxPool2d(2)]
            before = channels
        plain = self.LAYERS - 1 - len(pooled) - len(self.DILATIONS)
        for dilation in (*[1] * plain, *self.DILATIONS):
            layers += [
                nn.Conv2d(before, wide, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
            before = wide
        self.layers = nn.Sequential(*layers)
        self.head = nn.Conv2d(before, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.layers(image))


def _level(inside: int, outside: int, depth: int) -> nn.Sequential:
    """Two convolutions within the slices, or across them where ``depth`` is 3."""

    def one(before: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv3d(before, outside, (3, 3, depth), padding=(1, 1, depth // 2), bias=False),
            batch_normalisation(3, outside),
            nn.ReLU(inplace=True),
        )

    return nn.Sequential(one(inside), one(outside))


class SegmentationNet(nn.Module):
    """A block of sagittal slices to the logit of "spine".

    ``forward``: (N, 1, z, y, x) normalised HU to (N, 1, z, y, x); z and y multiples of 16, x of 4.

    Five levels of two convolutions: in the plane at the upper two levels, in space below; pooling in the plane at every
    level, across the slices at the lower two, so that blocks of 12 slices end with 3 (Fig. 4). Dropout at the bottom.
    Batch normalisation is ours.
    """

    WIDTHS = {"paper": (32, 64, 128, 256, 512), "compact": (8, 16, 32, 48, 64)}
    DEPTHS = (1, 1, 3, 3, 3)  # of the kernels across the slices
    POOLS = ((2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2))
    BLOCKS = {"paper": (192, 192, 12), "compact": (96, 96, 12)}  # voxels z,y,x
    DROPOUT = 0.5

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        self.spacing, self.block = SPACINGS[width], self.BLOCKS[width]
        self.down = nn.ModuleList(
            _level(before, after, depth)
            for before, after, depth in zip((1, *widths), widths, self.DEPTHS, strict=False)
        )
        self.dropout = nn.Dropout3d(self.DROPOUT)
        self.up = nn.ModuleList(
            _level(below + here, here, depth)
            for below, here, depth in zip(widths[1:], widths, self.DEPTHS, strict=False)
        )
        self.head = nn.Conv3d(widths[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        features, skips = image, []
        for level, pool in zip(self.down, (*self.POOLS, None), strict=True):
            features = level(features)
            if pool is not None:
                skips.append(features)
                features = nn.functional.max_pool3d(features, pool)
        features = self.dropout(features)
        for level, pool, skip in zip(reversed(self.up), reversed(self.POOLS), reversed(skips), strict=True):
            larger = nn.functional.interpolate(features, scale_factor=[float(f) for f in pool], mode="trilinear")
            features = level(torch.cat([larger, skip], 1))
        return self.head(features)
