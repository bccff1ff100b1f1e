"""The architectures: shapes at odd sizes, both widths, the blocks' formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from SpineSegmentationLib.anatomy import COLUMN
from SpineSegmentationLib.networks.anduin_btrfly import Btrfly, OrdinalHead
from SpineSegmentationLib.networks.anduin_fcn import SpineFCN
from SpineSegmentationLib.networks.anduin_unet import VertebraUNet
from SpineSegmentationLib.networks.blocks import ChannelExcitation, normalise_hu, unpooled
from SpineSegmentationLib.networks.heatmap import gaussians


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("architecture", [SpineFCN, Btrfly, VertebraUNet])
def test_the_papers_width_is_the_wider_one(architecture):
    assert parameters(architecture("paper")) > 3 * parameters(architecture("compact"))


def test_the_detector_keeps_any_size():
    with torch.inference_mode():
        assert SpineFCN().eval()(torch.zeros(1, 1, 13, 22, 9)).shape == (1, 2, 13, 22, 9)


def test_the_labeller_gives_both_views_at_any_size():
    with torch.inference_mode():
        side, front = Btrfly().eval()(torch.zeros(2, 3, 37, 21), torch.zeros(2, 3, 37, 30))
    assert side.shape == (2, 1 + len(COLUMN), 37, 21)
    assert front.shape == (2, 1 + len(COLUMN), 37, 30)


def test_the_arms_of_the_labeller_exchange_their_evidence():
    network = Btrfly().eval()
    coronal = torch.zeros(1, 3, 32, 16)
    with torch.inference_mode():
        before = network(torch.zeros(1, 3, 32, 16), coronal)[1]
        after = network(torch.randn(1, 3, 32, 16) * 5, coronal)[1]
    assert not torch.equal(before, after)


def test_the_segmenter_listens_to_the_vertebra_of_interest():
    network = VertebraUNet().eval()
    image = torch.randn(1, 1, 16, 24, 24)
    points = [gaussians(np.array([[8.0, 12.0, x]]), (16, 24, 24), 4.0)[None, None] for x in (4.0, 20.0)]
    with torch.inference_mode():
        first, second = (network(image, point) for point in points)
    assert first.shape == image.shape
    assert not torch.allclose(first, second)


def test_channel_excitation_scales_each_channel_by_one_number_of_the_whole_image():
    block = ChannelExcitation(4)
    features = torch.rand(1, 4, 3, 3, 3) + 0.1
    scale = block(features) / features
    expected = block.excite(features.mean((2, 3, 4)))
    torch.testing.assert_close(scale, expected.reshape(1, 4, 1, 1, 1).expand_as(scale))
    trained = block(features)
    with torch.inference_mode():
        assert torch.equal(block(features.clone()), trained)


def test_the_ordinal_head_prefers_levels_near_its_position():
    head = OrdinalHead(1)
    with torch.no_grad():
        head.project.weight.zero_()
        head.project.bias.zero_()
        # position = 26 / 2 * (1 + 0) = 13, sharpness = softplus(0) = ln 2
        logits = head(torch.zeros(1, 1, 1, 1))[0, :, 0, 0]
    levels = logits[1:]
    assert int(levels.argmax()) == 13
    assert float(levels[13] - levels[14]) == pytest.approx(np.log(2), abs=1e-5)
    assert float(levels[13] - levels[10]) == pytest.approx(9 * np.log(2), abs=1e-4)
    assert float(levels.exp().sum()) == pytest.approx(1.0, abs=1e-5)  # background and foreground logits are 0


def test_hounsfield_units_are_clamped_and_scaled():
    values = normalise_hu(torch.tensor([-3000.0, -1000.0, 0.0, 500.0, 9000.0]))
    assert values.tolist() == [-1.0, -1.0, 0.0, 0.5, 2.0]


def test_gaussians_have_height_one_and_fall_to_their_value_at_sigma():
    heat = gaussians(np.array([[2.0, 3.0, 4.0]]), (5, 7, 9), 2.0)
    assert heat[2, 3, 4] == 1
    assert float(heat[2, 3, 6]) == pytest.approx(np.exp(-0.5), abs=1e-6)
    assert float(heat[4, 3, 6]) == pytest.approx(np.exp(-1.0), abs=1e-6)
    assert gaussians(np.zeros((0, 3)), (2, 2, 2), 1.0).sum() == 0


@pytest.mark.parametrize("length", [16, 17, 49, 50])
def test_pooling_and_unpooling_move_nothing(length):
    """A ramp averaged over pairs and brought back is the same ramp, at every size, but for its ends."""
    ramp = torch.arange(length, dtype=torch.float32).reshape(1, 1, -1, 1).expand(1, 1, length, 6)
    pooled = nn.functional.avg_pool2d(ramp, 2, ceil_mode=True)
    back = unpooled(pooled, 2, (length, 6))
    assert back.shape == ramp.shape
    torch.testing.assert_close(back[:, :, 2:-2], ramp[:, :, 2:-2])


def test_gaussian_of_two_points_is_their_maximum():
    both = gaussians(np.array([[2.0], [8.0]]), (11,), 1.0)
    each = torch.maximum(gaussians(np.array([[2.0]]), (11,), 1.0), gaussians(np.array([[8.0]]), (11,), 1.0))
    torch.testing.assert_close(both, each)
