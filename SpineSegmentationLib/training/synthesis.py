"""From tissue labels to CT: random plausible tissues, bone structure, scanner (domain randomisation as in SynthSeg).

Everything happens in Hounsfield units on tensors (z, y, x) of one sample; nothing is copied from a real scan.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..anatomy import COLUMN, SACRUM
from ..networks.intensity import smooth
from .deformation import sample
from .slices import random_slices
from .subjects import Subject

DISC, UNKNOWN = 30, 255
VERTEBRA_CODES = tuple(int(level) for level in COLUMN)
BONE_CODES = (*VERTEBRA_CODES, SACRUM, 27, *range(31, 55), 56, 57, 58, 59, 60, 61, 62, 63)

SLICED = 0.65  # share of scans whose slices are told apart from their voxels

# Mean and spread (HU) of a tissue in a person: contrast agents, fasting, age and disease move them.
TISSUE = {
    0: (-1000, 5),
    DISC: (80, 25),
    55: (110, 60),
    70: (-80, 30),
    71: (50, 18),
    72: (-830, 60),
    73: (-980, 15),
    74: (80, 45),
    75: (130, 100),
    76: (75, 30),
    77: (80, 35),
    78: (90, 60),
    79: (10, 60),
    80: (25, 15),
    81: (45, 25),
    UNKNOWN: (30, 45),
}


def noise_field(generator: torch.Generator, size: tuple[int, ...], cell: float) -> Tensor:
    """Smooth noise of about unit variance whose structures are ``cell`` voxels wide."""
    coarse = [max(int(np.ceil(s / cell)), 2) for s in size]
    field = torch.randn(1, 1, *coarse, generator=generator)
    return functional.interpolate(field, size=tuple(size), mode="trilinear", align_corners=False)[0, 0] * 1.6


def synthesise(
    labels: Tensor, whole: bool, spacing: float, rng: np.random.Generator, generator: torch.Generator
) -> Tensor:
    """A CT (HU, float32) of a label volume (z, y, x; integer codes), before the scanner is applied.

    Args:
        labels: tissue codes; with ``whole`` False a 0 is unknown and becomes mixed soft tissue.
        whole: whether 0 is air.
        spacing: mm per voxel.
        rng: draws the numbers that describe the person; ``generator`` draws the fields.
    """
    codes = labels.long()
    if not whole:
        codes = torch.where(codes == 0, UNKNOWN, codes)
    table = torch.zeros(256)
    contrast = rng.random() < 0.5
    for code, (mean, spread) in TISSUE.items():
        if code in (74, 75, 78) and not contrast:
            mean, spread = 45, 12
        table[code] = rng.normal(mean, spread)
    trabecular = rng.uniform(30, 330)
    cortical = trabecular + rng.uniform(150, 700)
    for code in BONE_CODES:
        table[code] = trabecular * rng.uniform(0.8, 1.2)
    for code in VERTEBRA_CODES:
        table[code] = trabecular + rng.normal(0, 25)
        if rng.random() < 0.03:
            table[code] += rng.uniform(100, 500)  # sclerosis or cement
    hu = table[codes]
    if not whole:
        soft = noise_field(generator, labels.shape, rng.uniform(8, 30) / spacing)
        hu = torch.where(codes == UNKNOWN, hu + soft * rng.uniform(10, 90), hu)
        if rng.random() < 0.35:  # lung beside the column
            air = noise_field(generator, labels.shape, rng.uniform(40, 80) / spacing) > rng.uniform(0.6, 1.5)
            hu = torch.where((codes == UNKNOWN) & air, torch.tensor(rng.uniform(-900, -700)), hu)
    hu = hu + noise_field(generator, labels.shape, 12 / spacing) * rng.uniform(0, 15)

    is_bone = torch.zeros(256, dtype=torch.bool)
    is_bone[list(BONE_CODES)] = True
    bone = is_bone[codes]
    inside = codes.float() * bone
    # Bone seen from its own surface: a neighbouring bone of another code counts as outside, so joints stay visible.
    depth = smooth(bone.float(), (rng.uniform(0.7, 1.5) / spacing,) * 3)
    edge = functional.max_pool3d(inside[None, None], 3, 1, 1)[0, 0] != inside
    shell = torch.clamp((0.95 - depth) / 0.45, 0, 1)
    shell = torch.maximum(shell, edge.float() * rng.uniform(0.3, 1.0) * min(1.0, 1.5 / spacing))
    structure = noise_field(generator, labels.shape, max(rng.uniform(1, 3) / spacing, 1)) * rng.uniform(5, 70)
    hu = torch.where(bone, hu + structure + shell * (cortical - trabecular), hu)
    gap = edge & ~bone
    return torch.where(gap & (hu > -300), torch.minimum(hu, torch.tensor(rng.uniform(0, 120))), hu)


def scan(
    hu: Tensor, spacing: float, rng: np.random.Generator, generator: torch.Generator, *, strength: float = 1.0
) -> Tensor:
    """The scanner: kernel, slice profile, noise texture, metal, restricted field of view, calibration. HU in and out.

    ``strength`` below 1 is for real scans, which have a blur and a noise of their own.
    """
    blur = rng.uniform(0.0, 1.1) * strength / spacing
    hu = smooth(hu, (blur, blur, blur))
    if rng.random() < SLICED * strength:
        hu = random_slices(hu, spacing, rng)
    if rng.random() < 0.06:
        hu = _metal(hu, spacing, rng)
    level = abs(rng.normal(0, 25)) * strength
    grain = torch.randn(hu.shape, generator=generator)
    if rng.random() < 0.5:
        grain = smooth(grain, (0.0, 0.6, 0.6)) * 1.8
    hu = hu * rng.uniform(0.93, 1.07) + rng.uniform(-15, 15) + grain * level
    return hu.clamp(-1024, 3071)


def scanned(
    subject: Subject, grid: Tensor, spacing: float, rng: np.random.Generator, generator: torch.Generator
) -> Tensor:
    """What a scanner may show of a subject at source positions (z, y, x, 3): HU (z, y, x).

    Args:
        spacing: of the result in mm; the grid says where its voxels lie in the subject.
    """
    if subject.hu is not None and not subject.whole:
        return scan(sample(subject.hu, grid, -1024), spacing, rng, generator, strength=0.5)
    assert subject.labels is not None  # it is a label atlas, or a whole person
    labels = sample(subject.labels, grid, 0, nearest=True)
    hu = synthesise(labels, subject.whole, spacing, rng, generator)
    if subject.hu is not None:  # the bones of a real scan in synthetic surroundings
        bones = sample(subject.hu, grid, 0)
        hu = torch.where(bones.abs() > 1, bones, hu)
    return scan(hu, spacing, rng, generator)


def _metal(hu: Tensor, spacing: float, rng: np.random.Generator) -> Tensor:
    """A few bright rods with dark and bright streaks in the axial plane."""
    z, y, x = (torch.arange(n, dtype=torch.float32) for n in hu.shape)
    hu = hu.clone()
    for _ in range(rng.integers(1, 5)):
        c = [rng.uniform(0.2, 0.8) * n for n in hu.shape]
        half, radius = rng.uniform(5, 25) / spacing, rng.uniform(2, 4) / spacing
        along = ((z - c[0]).abs() < half).float()[:, None, None]
        away = ((y - c[1]).square()[:, None] + (x - c[2]).square()[None, :]).sqrt()
        angle = torch.atan2((y - c[1])[:, None], (x - c[2])[None, :])
        streak = torch.cos(angle * int(rng.integers(2, 9)) + rng.uniform(0, 6)) * torch.exp(-away * spacing / 25)
        hu += along * (streak * rng.uniform(100, 500))[None]
        hu = torch.where((along > 0) & (away < radius)[None], torch.tensor(3000.0), hu)
    return hu
