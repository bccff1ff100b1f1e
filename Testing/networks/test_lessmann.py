"""Lessmann's networks: sizes, heads, both widths from one definition."""

import pytest
import torch

from SpineSegmentationLib.networks.lessmann import IterativeFCN, RibNetwork


def test_a_patch_gives_a_mask_a_number_and_completeness():
    network = IterativeFCN("compact").eval()
    image, memory = torch.randn(2, 1, 64, 64, 64), torch.zeros(2, 1, 64, 64, 64)
    with torch.inference_mode():
        logits, label, complete = network(image, memory)
        again, *_ = network(image, memory + 1)
    assert logits.shape == image.shape
    assert label.shape == complete.shape == (2,)
    assert (label >= 0).all()
    assert not torch.equal(logits, again)  # the memory is seen


@pytest.mark.parametrize(("architecture", "heads"), [(IterativeFCN, 3), (RibNetwork, 1)])
def test_the_paper_width_fits_128_voxels(architecture, heads):
    with torch.device("meta"):
        network = architecture("paper")
        patch = torch.zeros(1, 1, 128, 128, 128)
        answers = network(patch, patch)
    assert (network.spacing, network.patch) == (1.0, 128)
    if heads == 3:
        assert answers[0].shape == patch.shape
        assert {m.out_channels for m in network.encoder.modules() if hasattr(m, "out_channels")} == {84}
        assert {m.out_channels for m in network.label.modules() if hasattr(m, "out_channels")} == {48}
    else:
        assert answers.levels.shape == (1, 25)
        assert answers.thoracic.shape == answers.complete.shape == (1,)


def test_the_rib_networks_names_are_probabilities_and_the_mask_is_seen():
    network = RibNetwork("compact").eval()
    hu, mask = torch.randn(2, 1, 64, 64, 64) * 300, torch.zeros(2, 1, 64, 64, 64)
    with torch.inference_mode():
        first, second = network(hu, mask), network(hu, mask + 1)
    torch.testing.assert_close(first.levels.exp().sum(1), torch.ones(2))
    assert not torch.equal(first.levels, second.levels)


def test_the_compact_networks_are_small():
    count = sum(p.numel() for kind in (IterativeFCN, RibNetwork) for p in kind("compact").parameters())
    assert count < 1e6  # bytes as 8-bit numbers
