"""Quantised weights: how far they are from what they were, by law and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import nn

from SpineSegmentationLib.quantising import quantised, restored

VALUES = st.floats(-1e3, 1e3, width=32, allow_subnormal=False)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=5, max_side=4), elements=VALUES))
def test_no_value_is_off_by_more_than_half_a_scale(kernel):
    value = torch.from_numpy(kernel)
    back = restored(quantised({"weight": value}))["weight"]
    largest = value.flatten(1).abs().amax(1)
    off = (back - value).flatten(1).abs().amax(1)
    assert (off <= largest / 62 * (1 + 1e-4) + 1e-30).all()


def test_by_hand():
    packed = quantised({"weight": torch.tensor([[31.0, -15.6], [0.0, 0.0], [1.0, 0.5]])})
    assert packed["weight"].tolist() == [[31, -16], [0, 0], [31, 16]]
    assert packed["weight.scale"].tolist() == pytest.approx([1, 0, 1 / 31])
    assert restored(packed)["weight"].tolist()[2] == pytest.approx([1, 16 / 31])


def test_weights_quantised_again_stay_what_they_are():
    once = quantised({"weight": torch.randn(5, 7, 3)})
    again = quantised(restored(once))
    assert torch.equal(again["weight"], once["weight"])


def test_biases_and_counts_stay_and_a_quarter_is_left():
    network = nn.Sequential(nn.Conv3d(32, 32, 3), nn.BatchNorm3d(32))
    packed = quantised(network.state_dict())
    assert packed["0.bias"].dtype == torch.float16
    assert packed["1.num_batches_tracked"].dtype == torch.int64
    before = sum(value.nbytes for value in network.state_dict().values())
    assert sum(value.nbytes for value in packed.values()) < 0.27 * before
    network.load_state_dict(restored(packed))


def test_what_was_not_quantised_comes_back_as_it_is():
    state = {"a.scale": torch.tensor([1.5]), "a.weight": torch.tensor([[0.25, 3.0]], dtype=torch.float16)}
    found = {key: value.tolist() for key, value in restored(state).items()}
    assert found == {"a.scale": [1.5], "a.weight": [[0.25, 3.0]]}
