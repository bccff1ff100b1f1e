"""The networks of McCouat and Glocker: widths, sizes, fields of view."""

import pytest
import torch

from SpineSegmentationLib.networks.mccouat_glocker import DenseDetectionUNet, DenseIdentificationUNet


@pytest.mark.parametrize("architecture", [DenseDetectionUNet, DenseIdentificationUNet])
def test_the_papers_width_is_the_wider_one(architecture):
    paper, compact = (sum(p.numel() for p in architecture(width).parameters()) for width in ("paper", "compact"))
    assert paper > 5 * compact


def test_the_networks_keep_the_size():
    torch.manual_seed(0)
    with torch.inference_mode():
        assert DenseDetectionUNet().eval()(torch.zeros(1, 1, 21, 18, 17)).shape == (1, 2, 21, 18, 17)
        numbers = DenseIdentificationUNet().eval()(torch.zeros(2, 8, 48, 32))
    assert numbers.shape == (2, 1, 48, 32)
    assert 5 < float(numbers.mean()) < 20  # begins in the middle of the column


def test_one_slab_sees_320_rows_at_once():
    torch.manual_seed(0)
    network = DenseIdentificationUNet().eval()
    slab = torch.zeros(1, 8, 320, 16)
    other = slab.clone()
    other[:, :, 300:] = 1e6  # an untrained network passes little on
    with torch.inference_mode():
        change = (network(other) - network(slab)).abs()[0, 0, 60].max()
    assert float(change) > 0
