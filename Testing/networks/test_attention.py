"""Sekuboyina's networks: sizes at both widths."""

import pytest
import torch
from torch import nn

from SpineSegmentationLib.networks.attention import REGION, AttentionNet, SegmentationNet


@pytest.mark.parametrize(("width", "pools"), [("paper", 4), ("compact", 3)])
def test_the_attention_net_has_ten_convolutions_and_regions_of_16_mm(width, pools):
    network = AttentionNet(width).eval()
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 10
    assert sum(isinstance(m, nn.MaxPool2d) for m in network.modules()) == pools
    assert network.cell * network.spacing == REGION
    with torch.inference_mode():
        assert network(torch.randn(2, 1, 10 * network.cell, 6 * network.cell)).shape == (2, 1, 10, 6)


def test_a_cell_sees_35_cells():
    network = AttentionNet("compact").eval()
    torch.manual_seed(0)
    image = torch.randn(1, 1, 41 * 8, 8, requires_grad=True)
    network(image)[0, 0, 20, 0].backward()
    rows = torch.nonzero(image.grad.abs().sum((0, 1, 3)))[:, 0]
    cells = (rows.max() - rows.min() + 1) / 8
    assert 35 <= cells <= 40  # and what the poolings' own convolutions add


@pytest.mark.parametrize("width", ["paper", "compact"])
def test_a_block_gives_a_mask_of_its_size(width):
    with torch.device("meta"):
        network = SegmentationNet(width)
        block = torch.zeros(1, 1, *network.block)
        assert network(block).shape == block.shape
        bottom = block
        for level, pool in zip(network.down, (*network.POOLS, None), strict=True):
            bottom = level(bottom)
            bottom = nn.functional.max_pool3d(bottom, pool) if pool else bottom
    assert bottom.shape[4] == 3 and min(bottom.shape[2:4]) >= 4  # Fig. 4: x, y >= 4 and z >= 3


def test_the_compact_networks_are_small():
    count = sum(p.numel() for kind in (AttentionNet, SegmentationNet) for p in kind("compact").parameters())
    assert count * 2 < 1.5e6  # bytes in float16
