"""The training losses against values computed by hand."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.training.losses import heatmap_loss, mask_loss, median_frequency_weights


def test_heatmap_loss_of_two_pixels_by_hand():
    # Pixel 1: target (1, 0), prediction softmax(0, 0) = (1/2, 1/2): squared error 1/2, cross-entropy ln 2.
    # Pixel 2: target (1/4, 3/4), prediction softmax(0, ln 3) = (1/4, 3/4): squared error 0, its entropy remains.
    logits = torch.tensor([[[0.0, 0.0], [0.0, np.log(3.0)]]])
    target = torch.tensor([[[1.0, 0.25], [0.0, 0.75]]])
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert float(heatmap_loss(logits, target)) == pytest.approx((0.5 + np.log(2) + entropy) / 2, abs=1e-6)


def test_heatmap_loss_leaves_out_pixels_without_weight():
    logits, target = torch.randn(1, 3, 4), torch.softmax(torch.randn(1, 3, 4), 1)
    weight = torch.tensor([[1.0, 0.0, 2.0, 0.0]])
    other = target.clone()
    other[:, :, 1] = torch.tensor([1.0, 0.0, 0.0])
    assert float(heatmap_loss(logits, target, weight)) == pytest.approx(float(heatmap_loss(logits, other, weight)))


def test_median_frequency_weights_by_hand():
    # median of (1, 2, 8) is 2: 2/1, 2/2, 2/8; the unseen class gets the largest weight allowed
    weights = median_frequency_weights(torch.tensor([1, 2, 8, 0]))
    assert weights.tolist() == [2.0, 1.0, 0.25, 4.0]


def test_mask_loss_by_hand():
    # Four voxels, probability 1/2 everywhere, two of them inside:
    # cross-entropy ln 2; soft Dice (2 * 1 + 1) / (2 + 2 + 1) = 3/5.
    logits = torch.zeros(1, 1, 1, 2, 2)
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 2, 2)
    assert float(mask_loss(logits, target)) == pytest.approx(np.log(2) + 2 / 5, abs=1e-6)


def test_mask_loss_of_a_perfect_mask_is_nearly_nothing():
    target = (torch.rand(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    assert float(mask_loss((target * 2 - 1) * 30, target)) < 1e-4
