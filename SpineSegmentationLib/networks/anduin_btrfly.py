"""Anduin's labeller: the Btrfly net on sagittal and coronal projections (VerSe paper, B.3; Sekuboyina et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..anatomy import COLUMN
from .blocks import Decoder, Encoder

LEVELS = len(COLUMN)
VIEWS = 3


class OrdinalHead(nn.Module):
    """Logits of background and of every level, of which neighbouring levels share the evidence.

    Each pixel predicts a continuous position v in the column and a sharpness; the logit of level k is
    ``-sharpness * (k - v)^2`` plus a correction of its own. What is learnt at L3 thus helps at L2 and L4, which
    independent channels would have to learn one by one.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, LEVELS + 4, 1)
        self.register_buffer("ranks", torch.arange(LEVELS, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        own, background, foreground, position, sharpness = self.project(features).float().split([LEVELS, 1, 1, 1, 1], 1)
        position = LEVELS / 2 * (1 + position)
        levels = own - nn.functional.softplus(sharpness) * (self.ranks - position).square()
        return torch.cat([background, foreground + levels.log_softmax(1)], 1)


class Btrfly(nn.Module):
    """Projections at 2 mm to the logits of background and the levels, for both views.

    ``forward``: sagittal (N, 3, z, y) and coronal (N, 3, z, x), normalised HU, channels as those of
    :func:`labelling.anduin.project`, to sagittal (N, 1 + LEVELS, z, y) and coronal (N, 1 + LEVELS, z, x), channel 0
    background, then ``COLUMN``.
    The arms meet in their deepest features: both see the same rows z, so the maxima over the in-plane axes of both
    are joined row by row, convolved along the column and handed to both decoders.
    """

    WIDTHS = {"paper": (32, 64, 128, 256, 512), "compact": (16, 32, 48, 64, 96)}

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        self.encoders = nn.ModuleList(Encoder(2, VIEWS, widths) for _ in range(2))
        self.decoders = nn.ModuleList(Decoder(2, 2 * widths[-1], widths[:-1], widths[:-1]) for _ in range(2))
        self.column = nn.Sequential(
            nn.Conv1d(2 * widths[-1], widths[-1], 5, padding=2),
            nn.BatchNorm1d(widths[-1]),
            nn.ReLU(inplace=True),
            nn.Conv1d(widths[-1], widths[-1], 5, padding=2),
            nn.BatchNorm1d(widths[-1]),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.ModuleList(OrdinalHead(widths[0]) for _ in range(2))

    def forward(self, sagittal: Tensor, coronal: Tensor) -> tuple[Tensor, Tensor]:
        features = [encoder(view) for encoder, view in zip(self.encoders, (sagittal, coronal), strict=True)]
        rows = self.column(torch.cat([levels[-1].amax(3) for levels in features], 1))
        logits = []
        for (*skips, bottom), decoder, head in zip(features, self.decoders, self.heads, strict=True):
            joined = torch.cat([bottom, rows.unsqueeze(3).expand(-1, -1, -1, bottom.shape[3])], 1)
            logits.append(head(decoder(joined, skips)))
        return logits[0], logits[1]
