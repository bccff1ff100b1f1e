"""Anduin's spine detector: a light 3D fully convolutional network with SSCE blocks (VerSe paper, B.2, Fig. B.14)."""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import Decoder, Encoder


class SpineFCN(nn.Module):
    """CT at 4 mm to the logits of background and spine.

    ``forward``: (N, 1, z, y, x) normalised HU to (N, 2, z, y, x), channel 0 background, 1 spine.
    """

    WIDTHS = {"paper": (32, 64, 128), "compact": (12, 24, 48)}

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        self.encoder = Encoder(3, 1, widths)
        self.decoder = Decoder(3, widths[-1], widths[:-1], widths[:-1])
        self.head = nn.Conv3d(widths[0], 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        *skips, bottom = self.encoder(image)
        return self.head(self.decoder(bottom, skips))
