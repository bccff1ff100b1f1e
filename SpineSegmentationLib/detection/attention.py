"""Sekuboyina's attention map: where the spine is, from every eighth millimetre's sagittal slice (2017, section 2.1)."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from torch.nn import functional

from .. import weights
from ..device import Runner
from ..networks.attention import APART, REGION, AttentionNet
from ..networks.blocks import normalise_hu
from ..resampling import AIR, resample
from ..spine import SpineBox
from .anduin import box_round

SMOOTH = 6.0  # mm: standard deviation of the Gaussian; the paper tunes it and the threshold on its validation set
THRESHOLD = 0.12  # share of spine in a region
SHARE = 0.2  # least mass of an island, relative to the largest
CERTAIN = 0.25  # a spine has at least one region with this share
AT_ONCE = 8  # slices
DIFFUSION = {"timeStep": 0.0625, "conductanceParameter": 2.0, "numberOfIterations": 3}


def diffused(hu: np.ndarray) -> np.ndarray:
    """Anisotropic diffusion of a slice or a block in HU (section 3): noise fades, edges stay; voxels count as cubes."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(hu, np.float32))
    step = DIFFUSION["timeStep"] if hu.ndim == 3 else 2 * DIFFUSION["timeStep"]
    smooth = sitk.GradientAnisotropicDiffusion(image, **{**DIFFUSION, "timeStep": step})
    return sitk.GetArrayFromImage(smooth)


class AttentionDetector:
    """Finds the spine box, and the map that keeps the segmenter to the spine."""

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load("attention-detection", AttentionNet, device)
        self.spacing, self.cell = network.spacing, network.cell
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        """The box of the spine in LPS mm, within the scan; None when no region shows any."""
        attention = self.attention(ct)
        found = spine(sitk.GetArrayFromImage(attention))
        return box_round(found, attention, SpineBox.of_image(ct)) if found.any() else None

    def attention(self, ct: sitk.Image) -> sitk.Image:
        """The share of spine, 0..1, smoothed: one voxel for every region of 16 x 16 mm of every slice looked at."""
        fine = resample(ct, self.spacing)
        step = round(APART / self.spacing)
        origin = np.rint(np.array(fine.GetOrigin()) / self.spacing).astype(int)
        # Slices lie at whole multiples of 8 mm, whatever part of a person the scan shows.
        first = int(-origin[0] % step) if -origin[0] % step < fine.GetSize()[0] else 0
        array = sitk.GetArrayFromImage(fine)
        slices = np.arange(first, array.shape[2], step)
        shares = np.stack([self.shares(array[:, :, x]) for x in slices], axis=2)
        # One more all round: a region reaches half its width beyond its middle.
        image = sitk.GetImageFromArray(np.pad(smoothed(shares), 1, mode="edge"))
        image.SetSpacing((APART, REGION, REGION))
        middle = (self.cell - 1) / 2 * self.spacing
        corner = np.array([first * self.spacing, middle, middle]) - image.GetSpacing()
        image.SetOrigin((np.array(fine.GetOrigin()) + corner).tolist())
        return image

    def shares(self, hu: np.ndarray) -> np.ndarray:
        """The share of spine in every region of a sagittal slice (z, y) at ``spacing``."""
        rows, columns = (-n % self.cell for n in hu.shape)
        slice_ = functional.pad(torch.from_numpy(diffused(hu)), (0, columns, 0, rows), value=AIR)
        logits = self.runner(lambda network, image: network(image), normalise_hu(slice_)[None, None])
        return logits.float().sigmoid()[0, 0].cpu().numpy()


def smoothed(shares: np.ndarray) -> np.ndarray:
    """The map (z, y, x) of regions after a Gaussian of ``SMOOTH`` mm."""
    sigma = (SMOOTH / REGION, SMOOTH / REGION, SMOOTH / APART)
    return ndimage.gaussian_filter(shares.astype(np.float32), sigma, mode="nearest")


def spine(attention: np.ndarray) -> np.ndarray:
    """Which regions (z, y, x) are of the spine: above ``THRESHOLD``, in an island with enough of the whole."""
    islands, count = ndimage.label(attention > THRESHOLD, np.ones((3, 3, 3)))
    if count == 0 or attention.max() < CERTAIN:
        return np.zeros(attention.shape, bool)
    mass = ndimage.sum_labels(attention, islands, np.arange(1, count + 1))
    return np.isin(islands, np.flatnonzero(mass >= SHARE * mass.max()) + 1)
