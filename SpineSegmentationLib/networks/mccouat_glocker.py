"""The networks of McCouat and Glocker 2019: where vertebral bodies are (2.1), and which one a pixel is of (2.2)."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import Decoder, Encoder, plain_double_convolution

MIDDLE = 12.5  # number of the middle of the column
SPACING = {"paper": 1.0, "compact": 2.0}
"""mm per voxel of each width; the compact networks are to train on a processor and to answer within a minute there."""


class DenseDetectionUNet(nn.Module):
    """CT to the logits of background and vertebral body.

    ``forward``: (N, 1, z, y, x) normalised HU to (N, 2, z, y, x); any size. Four poolings, batch normalisation.
    """

    WIDTHS = {"paper": (16, 32, 64, 128, 256), "compact": (8, 16, 24, 32, 48)}
    SPACING = SPACING

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        self.spacing = self.SPACING[width]
        self.encoder = Encoder(3, 1, widths, plain_double_convolution)
        self.decoder = Decoder(3, widths[-1], widths[:-1], widths[:-1], plain_double_convolution)
        self.head = nn.Conv3d(widths[0], 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        *skips, bottom = self.encoder(image)
        return self.head(self.decoder(bottom, skips))


def wide_convolution(inside: int, outside: int) -> nn.Sequential:
    """2D convolution with a kernel of 20 rows and 5 columns that keeps the size, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.ZeroPad2d((2, 2, 10, 9)),
        nn.Conv2d(inside, outside, (20, 5), bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class DenseIdentificationUNet(nn.Module):
    """Eight neighbouring sagittal slices to the continuous number of the vertebra at every pixel of the fourth.

    ``forward``: (N, SLICES, z, y) normalised HU, slices from right to left, to (N, 1, z, y), 1 at C1 to 24 at L5 (see
    ``labelling.mccouat_glocker_labels.NUMBER``); the sizes are multiples of ``MULTIPLE``. At the lowest level
    kernels of 20 rows see 320 rows of the image at once. The head counts from the middle of the column, where
    learning begins.
    """

    WIDTHS = {"paper": (16, 32, 64, 128, 256), "compact": (16, 32, 48, 64, 64)}
    SPACING = SPACING
    SLICES = 8
    CENTRE = 3  # the fourth slice
    MULTIPLE = 16

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        *upper, lowest = self.WIDTHS[width]
        widths = tuple(upper)
        self.spacing = self.SPACING[width]
        self.encoder = Encoder(2, self.SLICES, widths, plain_double_convolution)
        self.floor = nn.Sequential(wide_convolution(widths[-1], lowest), wide_convolution(lowest, lowest))
        self.decoder = Decoder(2, lowest, widths, widths, plain_double_convolution)
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, slab: Tensor) -> Tensor:
        skips = self.encoder(slab)
        bottom = self.floor(self.encoder.pool(skips[-1]))
        return MIDDLE * (1 + self.head(self.decoder(bottom, skips)).float())
