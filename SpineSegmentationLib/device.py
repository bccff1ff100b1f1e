"""Where networks run: choosing the device, its fastest safe precision, and what happens when memory runs out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from .errors import SpineError

T = TypeVar("T")


def choose(name: str = "auto") -> torch.device:
    """The device of that name: ``auto`` (CUDA if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        SpineError: not such a name, or a CUDA device that this computer does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise SpineError(f"device {name!r} is unknown; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SpineError(
            f"device {name!r} is not there: {torch.cuda.device_count()} CUDA devices found; use --device cpu"
        )
    return device


def precision(device: torch.device) -> torch.dtype | None:
    """The type to multiply in beside float32: float16 on CUDA, bfloat16 where the processor has it, else None."""
    if device.type == "cuda":
        return torch.float16
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if native is not None and native() else None


def mixed(device: torch.device) -> contextlib.AbstractContextManager:
    """Computes in :func:`precision` what that is safe for."""
    kind = precision(device)
    return torch.autocast(device.type, kind) if kind else contextlib.nullcontext()


class Runner:
    """Runs a network without gradients on a device; falls back to the processor when the GPU's memory is full.

    Attributes:
        device: where the network is now.
        warnings: what a person should know about the fall-back.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network, self.device = network.eval(), device
        self.warnings: list[str] = []
        volume = any(parameter.ndim == 5 for parameter in network.parameters())
        self.layout = torch.channels_last_3d if volume else torch.channels_last
        self._place(device)

    def _place(self, device: torch.device) -> None:
        self.device = device
        # torch's types do not know the argument.
        self.network = self.network.to(device, memory_format=self.layout)  # type: ignore[call-overload]

    def __call__(self, compute: Callable[..., T], *inputs: torch.Tensor) -> T:
        """``compute(network, *inputs on the device)``, inputs in channels-last order."""
        try:
            return self._run(compute, inputs)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            self.warnings.append(f"the memory of {self.device} is full: went on with the processor, which is slower")
            self._place(torch.device("cpu"))
        return self._run(compute, inputs)

    def _run(self, compute: Callable[..., T], inputs: tuple[torch.Tensor, ...]) -> T:
        placed = (value.to(self.device).contiguous(memory_format=self.layout) for value in inputs)
        with torch.inference_mode(), mixed(self.device):
            return compute(self.network, *placed)
