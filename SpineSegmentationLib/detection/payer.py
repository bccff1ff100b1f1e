"""Payer's detector: the heat of the spine's centre line at 8 mm (Payer et al. 2020, sec. 2.1)."""

from __future__ import annotations

import SimpleITK as sitk
import torch

from .. import weights
from ..device import Runner
from ..networks.intensity import payer_intensity
from ..networks.payer_unet import SpineUNet
from ..resampling import resample
from ..spine import SpineBox
from .anduin import spine_box

SPACING = 8.0  # mm
SIGMA = 24.0  # mm: 3 voxels


class PayerDetector:
    """Finds the spine box.

    The paper takes the heat's centre of mass and always finds a spine; here the box round the hot voxels, or none.
    The network is convolutional: a scan of any size is seen at once, instead of within 64 x 64 x 128 voxels.
    """

    def __init__(self, device: torch.device) -> None:
        network, found = weights.load("payer-detection", SpineUNet, device)
        self.runner = Runner(network, device)
        self.weights, self.runners = (found,), (self.runner,)

    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        """The box of the spine in LPS mm, within the scan; None when there is no spine."""
        image = resample(ct, SPACING)
        hu = torch.from_numpy(sitk.GetArrayFromImage(image))
        return spine_box(self.heatmap(hu).numpy(), image, SpineBox.of_image(ct), SIGMA)

    def heatmap(self, hu: torch.Tensor) -> torch.Tensor:
        """Heat of the centre line (z, y, x), 1 on the line, for HU at 8 mm (z, y, x)."""
        heat = self.runner(lambda network, image: network(image), payer_intensity(hu, SPACING)[None, None])
        return heat.float()[0, 0].cpu()
