"""Payer's networks: intensities, sizes, widths, gradients."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.networks.intensity import payer_intensity
from SpineSegmentationLib.networks.payer_unet import Convolution, PayerUNet, PointedUNet, SpineUNet


def test_intensities_are_divided_by_2048_and_clamped():
    for hu, value in ((1024.0, 0.5), (-512.0, -0.25), (3000.0, 1.0), (-3000.0, -1.0)):
        np.testing.assert_allclose(payer_intensity(torch.full((4, 4, 4), hu), 8.0), value)


def test_intensities_are_smoothed_by_three_quarters_of_a_millimetre():
    impulse = torch.zeros(11, 11, 11)
    impulse[5, 5, 5] = 1024
    result = payer_intensity(impulse, 1.0)
    assert float(result[5, 5, 6] / result[5, 5, 5]) == pytest.approx(np.exp(-0.5 / 0.75**2), abs=1e-5)
    assert float(result.sum()) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 9, 17), (16, 12, 5)])
def test_the_networks_keep_any_size(size):
    image = torch.zeros(1, 1, *size)
    with torch.inference_mode():
        assert SpineUNet()(image).shape == image.shape
        assert PointedUNet()(image, image).shape == image.shape


def test_the_papers_width_has_64_filters_at_every_level():
    network = PayerUNet(1, 1, SpineUNet.WIDTHS["paper"])
    assert {m.out_channels for m in network.modules() if isinstance(m, Convolution)} == {64}
    assert len(network.contract) == 5


@pytest.mark.parametrize(("size", "kernel"), [((2, 5, 4), 3), ((5, 3, 9), 7)])
def test_gradients_of_thin_volumes_are_right_in_bfloat16(size, kernel):
    torch.manual_seed(0)
    convolution = Convolution(16, 16, kernel)
    image = torch.randn(1, 16, *size)
    gradients = []
    for mixed in (False, True):
        convolution.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            convolution(image).float().square().sum().backward()
        gradients.append(convolution.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.05, atol=0.05 * float(gradients[0].abs().max()))
