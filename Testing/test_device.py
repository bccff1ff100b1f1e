"""Choosing the device, and going on when its memory is full."""

import pytest
import torch
from torch import nn

from SpineSegmentationLib import device
from SpineSegmentationLib.errors import SpineError


def test_the_processor_is_always_there():
    assert device.choose("cpu").type == "cpu"
    assert device.choose("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["gpu", "tpu", "cuda:x", "", "mps0"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(SpineError, match="use auto, cpu, cuda or cuda:N"):
        device.choose(name)


def test_a_missing_cuda_device_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SpineError, match="0 CUDA devices found; use --device cpu"):
        device.choose("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SpineError, match="cuda:3"):
        device.choose("cuda:3")


def test_a_network_runs_without_gradients_in_the_right_layout():
    runner = device.Runner(nn.Conv3d(2, 1, 1), torch.device("cpu"))
    result = runner(lambda network, image: network(image), torch.zeros(1, 2, 4, 4, 4))
    assert not result.requires_grad
    assert runner.layout is torch.channels_last_3d
    assert device.Runner(nn.Conv2d(1, 1, 1), torch.device("cpu")).layout is torch.channels_last


def test_full_gpu_memory_falls_back_to_the_processor_with_a_warning(monkeypatch):
    runner = device.Runner(nn.Conv3d(1, 1, 1), torch.device("cpu"))
    calls = []

    def compute(network, image):
        calls.append(image.device.type)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network(image)

    runner.device = torch.device("cpu")
    result = runner(compute, torch.zeros(1, 1, 2, 2, 2))
    assert result.shape == (1, 1, 2, 2, 2)
    assert len(calls) == 2
    assert runner.device.type == "cpu"
    assert len(runner.warnings) == 1 and "memory" in runner.warnings[0]
