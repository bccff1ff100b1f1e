"""How high in the body every row of a scan lies: a small network on projections of the whole field of view."""

from __future__ import annotations

import torch
from torch import Tensor, nn

VIEWS = 4
"""Channels of a projection: see :func:`labelling.context.project`."""


class ContextNet(nn.Module):
    """Sagittal (N, VIEWS, z, y) and coronal (N, VIEWS, z, x) projections to the height of every row.

    ``forward`` gives (N, 2, z): height in mm below C1 along the column of the mean adult, and the logarithm of its
    standard deviation in mm.
    """

    WIDTHS = {"paper": (32, 48, 64, 96), "compact": (16, 24, 32, 48)}
    MIDDLE, REACH = 320.0, 200.0  # mm: what the head's zero means, and its unit

    def __init__(self, width: str = "compact") -> None:
        super().__init__()
        widths = self.WIDTHS[width]
        self.arms = nn.ModuleList(self._arm(widths) for _ in range(2))
        inside, hidden = 4 * widths[-1], 2 * widths[-1]
        layers: list[nn.Module] = []
        for dilation in (1, 2, 4, 8, 12):
            layers += [
                nn.Conv1d(inside, hidden, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm1d(hidden),
                nn.ReLU(inplace=True),
            ]
            inside = hidden
        self.rows = nn.Sequential(nn.Dropout(0.2), *layers, nn.Dropout(0.2), nn.Conv1d(hidden, 2, 1))

    @staticmethod
    def _arm(widths: tuple[int, ...]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inside, outside in zip((VIEWS, *widths), widths, strict=False):
            layers += [
                nn.Conv2d(inside, outside, 3, stride=(1, 2), padding=1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(inplace=True),
            ]
        return nn.Sequential(*layers)

    def forward(self, sagittal: Tensor, coronal: Tensor) -> Tensor:
        rows = []
        for arm, view in zip(self.arms, (sagittal, coronal), strict=True):
            features = arm(view)
            rows += [features.mean(3), features.amax(3)]
        height, spread = self.rows(torch.cat(rows, 1)).float().unbind(1)
        return torch.stack([self.MIDDLE + self.REACH * height, 3.0 + spread], 1)
