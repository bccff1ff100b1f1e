"""The losses of Anduin (VerSe paper, Appendix B), and the targets and loss of Payer's labeller (2020, equation 1)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def heatmap_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Squared error plus cross-entropy between a distribution over channels and its prediction (B.1, B.2).

    ``mean_p w_p (|y_p - softmax(z_p)|^2 + H(y_p, softmax(z_p)))``. The paper applies the softmax to the target too;
    here the target (Gaussians and 1 - Gaussians) already sums to one over the channels, and a further softmax would
    flatten it.

    Args:
        logits: (N, C, *space).
        target: (N, C, *space), non-negative, summing to one over C.
        weight: (N, *space), how much each pixel counts; 0 leaves it out.
    """
    log_probability = logits.float().log_softmax(1)
    error = (target - log_probability.exp()).square().sum(1) - (target * log_probability).sum(1)
    if weight is None:
        return error.mean()
    return (error * weight).sum() / weight.sum().clamp(min=1e-6)


def median_frequency_weights(counts: Tensor) -> Tensor:
    """Median of the class counts over the count of each class, kept in 0.25..4; classes never seen get 4 (B.2)."""
    counts = counts.float()
    median = counts[counts > 0].median() if bool((counts > 0).any()) else torch.tensor(1.0)
    return (median / counts.clamp(min=1e-6)).clamp(0.25, 4.0)


def mask_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy (B.4) plus one minus the soft Dice, which keeps thin processes from being given up.

    Args:
        logits, target: (N, 1, z, y, x); target in 0..1.
    """
    logits = logits.float()
    probability = logits.sigmoid()
    axes = tuple(range(1, logits.ndim))
    overlap = 2 * (probability * target).sum(axes) + 1
    dice = overlap / (probability.sum(axes) + target.sum(axes) + 1)
    return functional.binary_cross_entropy_with_logits(logits, target) + (1 - dice).mean()


SIGMA_PENALTY = 100.0  # alpha of equation 1 of Payer et al. 2020
GAUSSIAN_MASS = 1000.0  # the integral of a target heatmap there (gamma of Payer et al. 2019)


def level_heatmaps(ranks: np.ndarray, points: np.ndarray, size: tuple[int, ...], sigma: Tensor, unit: float) -> Tensor:
    """Target heatmaps (levels, z, y, x): Gaussians of the same integral, of height 1 where sigma is ``unit``.

    Args:
        ranks: (N,) of the vertebrae in the sample; ``points``: (N, 3) their positions in voxels z,y,x.
        sigma: (levels,) in voxels; the result can be differentiated by it.
        unit: voxels.
    """
    heat = torch.zeros(len(sigma), *size, device=sigma.device)
    axes = [torch.arange(n, dtype=torch.float32, device=sigma.device) for n in size]
    for rank, point in zip(ranks, points, strict=True):
        width = sigma[int(rank)]
        z, y, x = (
            torch.exp(-0.5 * ((axis - float(centre)) / width).square())
            for axis, centre in zip(axes, point, strict=True)
        )
        heat = heat.index_put((torch.tensor(int(rank)),), (unit / width) ** 3 * z[:, None, None] * y[:, None] * x)
    return heat


def learned_sigma_loss(heatmaps: Tensor, target: Tensor, sigma: Tensor, unit: float) -> Tensor:
    """Equation 1 of Payer et al. 2020 for one sample: ``sum |h^ - h(sigma)|^2 + alpha |sigma|^2``.

    The paper's heatmaps have the integral ``GAUSSIAN_MASS``; ours the height 1 at sigma = ``unit``, which divides the
    whole equation by the square of ``GAUSSIAN_MASS / ((2 pi)^1.5 unit^3)``.

    Args:
        heatmaps, target: (levels, z, y, x), the target from :func:`level_heatmaps` with the same sigma and unit.
        sigma: (levels,) voxels.
    """
    height = GAUSSIAN_MASS / ((2 * np.pi) ** 1.5 * unit**3)
    return (heatmaps.float() - target).square().sum() + SIGMA_PENALTY / height**2 * sigma.square().sum()
