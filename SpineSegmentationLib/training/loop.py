"""One training loop for every network: fresh samples from a worker process, a replay buffer, AdamW, averaged weights.

A run lives in one folder: ``checkpoint.pt`` (resumable), ``log.csv``, ``loss.png`` and at the end the weights.
"""

from __future__ import annotations

import copy
import csv
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..device import mixed
from .subjects import Subject


class Task(Protocol):
    """What is learnt: draws samples and scores a network on them."""

    masks: bool = False  # only subjects with masks are of use
    spacing: float
    batch: int
    reuse: float

    progress: float = 0.0  # share of all steps done, kept up to date by the loop

    def __init__(self, subjects: list[Subject]) -> None: ...

    def draw(self, rng: np.random.Generator) -> Any: ...

    def loss(self, network: nn.Module, batch: list[Any]) -> Tensor: ...


class _Fresh(IterableDataset):
    """An endless stream of samples, different in every worker and after every resume."""

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.seed = task, seed

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self.task.draw(rng)


def _batches(task: Task, fresh: Iterator[Any], rng: np.random.Generator, capacity: int) -> Iterator[list[Any]]:
    """Batches from a buffer into which fresh samples flow; each is used ``task.reuse`` times on average."""
    vary = getattr(task, "vary", None)
    buffer: list[Any] = []
    due = 0.0
    while True:
        due += task.batch / task.reuse
        while due >= 1 or len(buffer) < min(capacity, 4 * task.batch):
            sample = next(fresh)
            if len(buffer) < capacity:
                buffer.append(sample)
            else:
                buffer[rng.integers(capacity)] = sample
            due = max(due - 1, 0)
        chosen = [buffer[i] for i in rng.choice(len(buffer), task.batch, replace=False)]
        yield [vary(sample, rng) for sample in chosen] if vary else chosen


def train(
    network: nn.Module,
    task: Task,
    folder: Path,
    *,
    steps: int,
    seed: int = 0,
    learning_rate: float = 2e-3,
    device: torch.device | None = None,
    workers: int = 1,
    capacity: int = 64,
    report: Callable[[str], None] = lambda line: None,
) -> nn.Module:
    """Trains ``steps`` steps, or the rest of them when ``folder`` holds a checkpoint, and returns averaged weights.

    The learning rate rises over the first tenth and falls along a cosine; the gradient's norm is kept below 1; the
    result is an exponential average of the weights (0.998 per step). Computed as at work (:func:`device.mixed`). Under
    ``torchrun`` every process trains on its own samples and GPU and gradients are averaged. Interrupting loses at
    most the steps since the last checkpoint (every two minutes).

    Args:
        folder: of this run; made if it is not there.
        capacity: samples kept for reuse.
        report: told the loss every 50 steps.
    """
    device = device or torch.device("cpu")
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    layout = torch.channels_last_3d if any(p.ndim == 5 for p in network.parameters()) else torch.channels_last
    # torch's types do not know the argument.
    network = network.to(device, memory_format=layout).train()  # type: ignore[call-overload]
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share_of_rate(step / steps))
    start = 0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        start = state["step"]
        schedule.last_epoch = start
        report(f"resumed at step {start} of {steps}")
    model: nn.Module = network
    if world > 1:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        model = nn.parallel.DistributedDataParallel(network)
    scaler = torch.amp.GradScaler(enabled=device.type == "cuda")
    stream = DataLoader(_Fresh(task, hash((seed, rank, start)) % 2**32), batch_size=None, num_workers=workers)
    rng = np.random.default_rng([seed, rank, start])
    batches = _batches(task, iter(stream), rng, capacity)

    def save(step: int) -> None:
        if rank == 0:
            state = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
            }
            torch.save(state, folder / "checkpoint.tmp")
            os.replace(folder / "checkpoint.tmp", checkpoint)

    began = saved = time.monotonic()
    recent: list[float] = []
    for step in range(start, steps):
        batch = next(batches)
        task.progress = step / steps
        with mixed(device):
            loss = task.loss(model, batch)
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        scaler.step(optimiser)
        scaler.update()
        schedule.step()
        recent.append(loss.item())
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)
        if rank == 0 and ((step + 1) % 50 == 0 or step + 1 == steps):
            mean_loss = float(np.mean(recent))
            recent.clear()
            with open(folder / "log.csv", "a", newline="") as file:
                csv.writer(file).writerow([step + 1, f"{mean_loss:.5f}", f"{time.monotonic() - began:.0f}"])
            report(f"step {step + 1} of {steps}: loss {mean_loss:.4f}, {time.monotonic() - began:.0f} s")
        if time.monotonic() - saved > 120:
            save(step + 1)
            saved = time.monotonic()
    save(steps)
    if rank == 0:
        plot_loss(folder)
    if world > 1:
        torch.distributed.destroy_process_group()
    return average.eval()


def _share_of_rate(progress: float) -> float:
    """Share of the full learning rate at a share 0..1 of all steps."""
    if progress < 0.1:
        return 0.04 + 0.96 * progress / 0.1
    return 0.5 + 0.5 * float(np.cos(np.pi * min((progress - 0.1) / 0.9, 1.0)))


def plot_loss(folder: Path) -> None:
    """Writes ``loss.png`` from ``log.csv``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = np.loadtxt(folder / "log.csv", delimiter=",", ndmin=2)
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    axes.plot(rows[:, 0], rows[:, 1])
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=folder.name)
    figure.savefig(folder / "loss.png", dpi=110)
    pyplot.close(figure)
