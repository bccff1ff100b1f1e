"""Two detectors asked about one scan: Payer's says whether there is a spine, Anduin's where it is."""

from __future__ import annotations

import SimpleITK as sitk
import torch

from ..spine import SpineBox
from .anduin import AnduinDetector
from .payer import PayerDetector

DOUBT = (30.0, 30.0, 60.0)  # mm: the coarser box may be too small by so much


class CombinedDetector:
    """Finds the spine box.

    Payer's network has no normalisation over the image and is not deceived by chests without spine, noise or rods, but
    it sees 8 mm voxels; Anduin's box is tighter and surer in narrow views, but may take in what is no spine.
    """

    def __init__(self, device: torch.device) -> None:
        self.coarse, self.fine = PayerDetector(device), AnduinDetector(device)
        self.weights = (*self.coarse.weights, *self.fine.weights)
        self.runners = (*self.coarse.runners, *self.fine.runners)

    def __call__(self, ct: sitk.Image) -> SpineBox | None:
        """Anduin's box in LPS mm, as far as it lies near Payer's; None where Payer's detector sees no spine."""
        coarse = self.coarse(ct)
        return None if coarse is None else agreed(coarse, self.fine(ct))


def agreed(coarse: SpineBox, fine: SpineBox | None) -> SpineBox:
    """The fine box within the coarse one and ``DOUBT`` around it; the coarse one where they do not meet."""
    around = SpineBox.around([coarse.lower, coarse.upper], DOUBT, DOUBT)
    return (fine and fine.intersection(around)) or coarse
