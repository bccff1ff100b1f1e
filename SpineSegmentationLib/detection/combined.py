"""Two detectors asked about one scan: Payer's says whether there is a spine, Anduin's where it is."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ..spine import SpineBox
from .anduin import SPACING, AnduinDetector
from .payer import PayerDetector

DOUBT = (30.0, 30.0, 60.0)  # mm: the coarser box may be too small by so much
SURROUNDINGS = (50.0, 50.0, 50.0)  # mm round that: what the finer detector sees of a very large scan

LARGE = 4e6
"""Voxels at ``SPACING`` beyond which a scan (head to foot) is not looked at as a whole: each would take 0.2 kB, and the
network learnt from none as large."""


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
        return None if coarse is None else agreed(coarse, self.fine(ct, seen_round(coarse, SpineBox.of_image(ct))))


def seen_round(coarse: SpineBox, scan: SpineBox) -> SpineBox | None:
    """The part of a scan that the fine detector is shown; None for the whole."""
    if np.prod(scan.size / SPACING) <= LARGE:
        return None
    margin = np.add(DOUBT, SURROUNDINGS)
    return SpineBox.around([coarse.lower, coarse.upper], margin, margin).intersection(scan)


def agreed(coarse: SpineBox, fine: SpineBox | None) -> SpineBox:
    """The fine box within the coarse one and ``DOUBT`` around it; the coarse one where they do not meet."""
    around = SpineBox.around([coarse.lower, coarse.upper], DOUBT, DOUBT)
    return (fine and fine.intersection(around)) or coarse
