"""The training of Payer's networks: samples, targets, losses."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from SpineSegmentationLib.anatomy import COLUMN
from SpineSegmentationLib.training.detection import PayerDetectionTask
from SpineSegmentationLib.training.losses import learned_sigma_loss, level_heatmaps
from SpineSegmentationLib.training.segmentation import PayerSegmentationTask


def test_detection_samples_are_means_over_8_mm():
    task = PayerDetectionTask.__new__(PayerDetectionTask)
    hu, heat = torch.zeros(4, 6, 5), torch.zeros(4, 6, 5)
    hu[0:2, 0:2, 0:2] = torch.arange(8.0).reshape(2, 2, 2) * 128
    heat[2, 2, 4] = 1.0
    image, target = task.prepare(hu, heat)
    assert image.shape == target.shape == (1, 2, 3, 3)
    assert float(image[0, 0, 0, 0]) == pytest.approx(3.5 * 128 / 2048)
    assert float(target[0, 1, 1, 2]) == pytest.approx(1 / 4)  # half of the last column lies outside


def test_detection_is_scored_by_the_squared_error():
    network = torch.nn.Conv3d(1, 1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(0.0)
    image, target = torch.full((1, 2, 2, 2), 0.5), torch.full((1, 2, 2, 2), 0.25)
    assert PayerDetectionTask.loss(network, [(image, target)]).item() == pytest.approx(0.75**2)


def test_segmentation_is_scored_by_the_sigmoid_cross_entropy():
    # Logit ln 3 is the probability 3/4: -ln(3/4) inside, -ln(1/4) outside.
    logits = torch.full((1, 1, 1, 1, 2), float(np.log(3)))
    mask = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 1, 2)
    expected = -(np.log(3 / 4) + np.log(1 / 4)) / 2
    assert float(PayerSegmentationTask.criterion(logits, mask)) == pytest.approx(expected, abs=1e-6)


def test_windows_of_segmentation_show_the_same_place_in_image_gaussian_and_mask():
    task = PayerSegmentationTask.__new__(PayerSegmentationTask)
    whole = torch.arange(float(np.prod(task.size))).reshape(1, *task.size)
    parts = task.vary((whole, whole + 1, whole + 2), np.random.default_rng(3))
    assert all(part.shape == (1, *task.window) for part in parts)
    assert (parts[1] - parts[0] == 1).all() and (parts[2] - parts[0] == 2).all()


def test_target_heatmaps_by_hand():
    # Twice the width of the unit: an eighth of the height; one sigma away exp(-1/2) of it.
    sigma = torch.full((len(COLUMN),), 2.0)
    heat = level_heatmaps(np.array([4]), np.array([[3.0, 3.0, 3.0]]), (7, 7, 7), sigma, 1.0)
    assert float(heat[4, 3, 3, 3]) == pytest.approx(1 / 8)
    assert float(heat[4, 3, 5, 3]) == pytest.approx(np.exp(-0.5) / 8)
    assert float(heat.sum()) == pytest.approx(float(heat[4].sum()))


def test_the_loss_with_learned_sigma_by_hand():
    # Two levels of two voxels: squared error 0.04 + 0.25; the paper's heatmaps are higher by the factor
    # 1000 / ((2 pi)^1.5 2^3), so alpha |sigma|^2 = 100 * (4 + 9) is divided by its square.
    heatmaps = torch.tensor([[0.2, 0.0], [0.5, 1.0]]).reshape(2, 1, 1, 2)
    target = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).reshape(2, 1, 1, 2)
    sigma = torch.tensor([2.0, 3.0], requires_grad=True)
    loss = learned_sigma_loss(heatmaps, target, sigma, 2.0)
    factor = 1000 / ((2 * np.pi) ** 1.5 * 8)
    assert loss.item() == pytest.approx(0.29 + 1300 / factor**2, rel=1e-5)
    loss.backward()
    np.testing.assert_allclose(sigma.grad, 200 * np.array([2.0, 3.0]) / factor**2, rtol=1e-5)


def test_sigma_settles_where_error_and_penalty_meet():
    """A network that predicts no vertebra makes the targets wider (and lower); the penalty keeps them from growing."""
    sigma = torch.full((len(COLUMN),), 2.0, requires_grad=True)
    target = level_heatmaps(np.array([0]), np.array([[8.0, 8.0, 8.0]]), (17, 17, 17), sigma, 2.0)
    functional.mse_loss(torch.zeros_like(target), target, reduction="sum").backward()
    assert sigma.grad[0] < 0 and (sigma.grad[1:] == 0).all()
