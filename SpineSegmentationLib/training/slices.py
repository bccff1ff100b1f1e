"""Slices: what a stack of them shows of a volume, at any angle."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

AXIAL = 0.7  # share of stacks across z; of the others three in four lie across x, as sagittal ones do
TILTED, TILT = 0.4, 20.0  # share of stacks that are tilted, and by how many degrees at most
OBLIQUE = 0.1  # share of stacks across any direction
THICKEST = 8.0  # mm


def sliced(hu: Tensor, normal: np.ndarray, thickness: float, distance: float, phase: float = 0.5) -> Tensor:
    """What a stack of slices shows of a volume: the mean over each slice, linear between their middles.

    Args:
        hu: (z, y, x).
        normal: (3,) z,y,x, of length 1: across the slices.
        thickness: of a slice, in voxels; ``distance``: of the middles of two neighbours, in voxels.
        phase: 0..1, where between two slices the middle of the volume lies.
    """
    basis = _basis(normal)
    half = np.abs(basis) @ (np.array(hu.shape) - 1) / 2
    count = np.ceil(2 * half).astype(int) + 1
    first = np.array([np.floor(-half[0] / distance + phase) - phase, *-(count[1:] - 1) / 2])
    count[0] = int(np.ceil(half[0] / distance + phase) - phase - first[0] + 0.5) + 1
    step = np.array([distance, 1.0, 1.0])
    within = max(int(np.ceil(thickness)), 1)  # places per slice at which the volume is looked at
    across = (np.arange(count[0])[:, None] + first[0]) * distance
    across = across + ((np.arange(within) + 0.5) / within - 0.5) * thickness
    places = _positions([across.ravel(), *(np.arange(n) + f for n, f in zip(count[1:], first[1:], strict=True))])
    seen = _look(hu, places @ torch.from_numpy(basis).float() + _middle(hu))
    stack = seen.reshape(count[0], within, *count[1:]).mean(1)
    voxels = _positions([np.arange(n) - (n - 1) / 2 for n in hu.shape])
    index = voxels @ torch.from_numpy(basis.T / step).float() - torch.from_numpy(first).float()
    return _look(stack, index)


def random_slices(hu: Tensor, spacing: float, rng: np.random.Generator) -> Tensor:
    """A volume (z, y, x) as a stack of slices of 1 to 8 mm shows it: touching, overlapping, or with gaps."""
    thickness = THICKEST ** rng.random()
    distance = thickness * rng.choice([1.0, rng.uniform(0.5, 1), rng.uniform(1, 1.3)], p=[0.6, 0.3, 0.1])
    if distance <= spacing and thickness <= spacing:
        return hu
    normal = rng.normal(size=3)
    if rng.random() >= OBLIQUE:
        tilt = np.deg2rad(rng.uniform(-TILT, TILT, 3)) * (rng.random() < TILTED)
        axis = rng.choice(3, p=[AXIAL, (1 - AXIAL) / 4, (1 - AXIAL) * 3 / 4])
        normal = np.where(np.arange(3) == axis, 1.0, np.tan(tilt))
    return sliced(hu, normal / np.linalg.norm(normal), thickness / spacing, distance / spacing, rng.random())


def _basis(normal: np.ndarray) -> np.ndarray:
    """Orthonormal rows, the first of them the normal; along the axes when the normal is."""
    axes = np.eye(3)[[axis for axis in range(3) if axis != int(np.abs(normal).argmax())]]
    second = axes[0] - normal * (axes[0] @ normal)
    second /= np.linalg.norm(second)
    third = axes[1] - normal * (axes[1] @ normal) - second * (axes[1] @ second)
    return np.stack([normal, second, third / np.linalg.norm(third)])


def _positions(axes: list[np.ndarray]) -> Tensor:
    """The points (z, y, x, 3) of a grid, float32."""
    return torch.stack(torch.meshgrid(*(torch.from_numpy(axis).float() for axis in axes), indexing="ij"), -1)


def _middle(volume: Tensor) -> Tensor:
    return (torch.tensor(volume.shape, dtype=torch.float32) - 1) / 2


def _look(volume: Tensor, places: Tensor) -> Tensor:
    """Values of a volume at places (z, y, x, 3; voxels z,y,x), linear; beyond its border those of the border."""
    extent = torch.tensor(volume.shape, dtype=torch.float32)
    normal = (places + 0.5) / extent * 2 - 1
    return functional.grid_sample(
        volume[None, None], normal.flip(-1)[None], mode="bilinear", padding_mode="border", align_corners=False
    )[0, 0]
