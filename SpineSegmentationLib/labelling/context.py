"""The whole field of view as context: how high in the body each row lies, whatever the ribs say.

Lungs, diaphragm, pelvis and skull tell the height; the spine box never sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import weights
from ..anatomy import COLUMN, STANDARD, Level
from ..device import Runner
from ..headway import counted
from ..networks.context import ContextNet
from ..resampling import resample
from .distances import DISTANCE

SPACING = 4.0  # mm
LUNG, BONE = (-950.0, -500.0), 200.0  # HU


def _heights() -> NDArray[np.float64]:
    """mm below C1, along the column of the mean adult, of every level of ``COLUMN`` and of S1; T13 and L6 between."""
    steps = [DISTANCE[level] for level in STANDARD]
    usual = dict(zip((*STANDARD, None), np.concatenate([[0.0], np.cumsum(steps)]), strict=True))
    usual[Level.T13] = (usual[Level.T12] + usual[Level.L1]) / 2
    usual[Level.L6] = (usual[Level.L5] + usual[None]) / 2
    return np.array([usual[level] for level in (*COLUMN, None)])


HEIGHT = _heights()
"""(27,) what the network was taught to call the height of each level of ``COLUMN``, and of S1."""


def project(hu: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Sagittal (4, z, y) and coronal (4, z, x) views of a volume (z, y, x) in HU at ``SPACING``.

    Maximum and mean in units of 1000 HU, the share of lung, the share of bone.
    """
    hu = np.clip(hu, -1000, 2000).astype(np.float32)
    lung = (hu > LUNG[0]) & (hu < LUNG[1])
    bone = hu > BONE
    views = []
    for axis in (2, 1):
        parts = [hu.max(axis) / 1000, np.minimum(hu, 400).mean(axis) / 1000, 3 * lung.mean(axis), 5 * bone.mean(axis)]
        views.append(np.stack(parts).astype(np.float32))
    return views[0], views[1]


@dataclass(frozen=True)
class Heights:
    """How high in the body the rows of a scan lie, by the answers of several networks.

    Attributes:
        bottom: of the first row, LPS mm along S; the next is ``SPACING`` above.
        answers: (networks, 2, rows), as :class:`ContextNet` gives them.
    """

    bottom: float
    answers: NDArray

    def likelihood(self, positions: NDArray) -> NDArray[np.float64]:
        """(N, 27) log likelihood of every level of ``COLUMN`` and of S1 at positions (N, 3) in LPS mm."""
        rows = (np.asarray(positions, float).reshape(-1, 3)[:, 2] - self.bottom) / SPACING
        found = [
            log_likelihood(*(np.interp(rows, np.arange(len(values)), values) for values in answer))
            for answer in self.answers
        ]
        return np.mean(found, axis=0)


class ContextReader:
    """Reads the height of places in the body from projections of the whole scan."""

    def __init__(self, device: torch.device) -> None:
        committee = weights.load_committee("combined-context", ContextNet, device)
        self.weights = tuple(found for _, found in committee)
        self.runners = tuple(Runner(network, device) for network, _ in committee)

    def __call__(self, ct: sitk.Image) -> Heights:
        """The heights of a scan's rows."""
        image = resample(ct, SPACING)
        views = [torch.from_numpy(view)[None] for view in project(sitk.GetArrayViewFromImage(image))]
        answers = [runner(_asked, *views)[0].cpu().numpy() for runner in counted(self.runners)]
        return Heights(image.GetOrigin()[2], np.array(answers))


def _asked(network: nn.Module, sagittal: Tensor, coronal: Tensor) -> Tensor:
    return network(sagittal, coronal)


def log_likelihood(heights: NDArray, spreads: NDArray) -> NDArray[np.float64]:
    """(N, 27): of each level, by the Laplace distribution round heights (N,) in mm with log scales (N,)."""
    scores = -np.abs(HEIGHT - np.asarray(heights)[:, None]) / np.exp(np.asarray(spreads))[:, None]
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
