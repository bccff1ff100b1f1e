"""The losses of Anduin (VerSe paper, Appendix B)."""

from __future__ import annotations

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
