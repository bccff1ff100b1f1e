"""Anduin's segmenter: a U-Net with a vertebra-of-interest arm (VerSe paper, B.4, Fig. B.14)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import Decoder, Encoder


class VertebraUNet(nn.Module):
    """A patch at 1 mm and a Gaussian at the centroid of interest to the logit of "this vertebra".

    ``forward``: image and gaussian (N, 1, z, y, x) to (N, 1, z, y, x). The vertebra-of-interest arm is an encoder
    parallel to the image's, its features joined to the image's at every resolution; a Gaussian holds little, so it
    has a quarter of the width.
    """

    WIDTHS = {"paper": (32, 64, 128, 256), "compact": (8, 24, 48, 64)}

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        arm = tuple(max(w // 4, 4) for w in widths)
        joined = tuple(a + b for a, b in zip(widths, arm, strict=True))
        self.image = Encoder(3, 1, widths)
        self.interest = Encoder(3, 1, arm)
        self.decoder = Decoder(3, joined[-1], joined[:-1], widths[:-1])
        self.head = nn.Conv3d(widths[0], 1, 1)

    def forward(self, image: Tensor, gaussian: Tensor) -> Tensor:
        own, interest = self.image(image), self.interest(gaussian)
        bottom = torch.cat([own.pop(), interest.pop()], 1)
        return self.head(self.decoder(bottom, own, interest))
