"""The SpatialConfiguration-Net of Payer et al. 2020, sec. 2.2: what a place looks like times where it lies."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..anatomy import COLUMN
from .blocks import unpooled
from .payer_unet import PayerUNet, leaky_convolution, quiet_convolution

LEVELS = len(COLUMN)


class SpatialConfigurationNet(nn.Module):
    """CT to one heatmap per level: local appearance times spatial configuration.

    ``forward``: (N, 1, z, y, x) to a pair, both (N, LEVELS, z, y, x): the heatmaps, 1 at a centroid, and the logits of
    the levels from the spatial configuration alone, which training looks at.

    The local part is a U-Net of five levels; the spatial part sees its heatmaps at a quarter of the resolution through
    four 7x7x7 convolutions. Two things differ from the paper, because a few dozen scans are no 80: the local part
    gives each level a heatmap of its own plus one that all levels share, and the spatial part ends in a distribution
    over the levels round a continuous position in the column, so that neighbouring levels share their evidence.

    Attributes:
        sigma: (LEVELS,) voxels, the learned widths of the target heatmaps (equation 1).
    """

    WIDTHS = {"paper": 64, "compact": 16}
    SPACING = {"paper": 2.0, "compact": 4.0}  # mm; the coarser one is eight times faster to train on a processor
    SIGMA = 2.0  # voxels, to begin with
    SHRINK = 4

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        channels = self.WIDTHS[width]
        self.spacing = self.SPACING[width]
        self.local = PayerUNet(1, LEVELS + 1, channels)
        assert self.local.head.bias is not None
        nn.init.constant_(self.local.head.bias[:1], 0.01)
        self.spatial = nn.Sequential(
            leaky_convolution(LEVELS + 1, channels, 7),
            leaky_convolution(channels, channels, 7),
            leaky_convolution(channels, channels, 7),
            leaky_convolution(channels, channels, 7),
            quiet_convolution(channels, LEVELS + 2),
        )
        self.sigma = nn.Parameter(torch.full((LEVELS,), self.SIGMA))
        self.register_buffer("ranks", torch.arange(LEVELS, dtype=torch.float32).reshape(1, -1, 1, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        shared, own = self.local(image).split([1, LEVELS], 1)
        local = shared + own
        coarse = functional.avg_pool3d(torch.cat([shared, local], 1), self.SHRINK, ceil_mode=True)
        # In float32: bfloat16 convolutions on processors break memory when the kernel is larger than the image.
        with torch.autocast(image.device.type, enabled=False):
            correction, position, sharpness = self.spatial(coarse.float()).split([LEVELS, 1, 1], 1)
        position = LEVELS / 2 * (1 + position)
        logits = correction - functional.softplus(sharpness) * (self.ranks - position).square()
        logits = unpooled(logits, self.SHRINK, image.shape[2:])
        return local * logits.softmax(1), logits
