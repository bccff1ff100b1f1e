"""Colours of vertebrae that may be neighbours are told apart, whatever a person's colour vision."""

import itertools

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import SACRUM, Level, may_follow

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])


def lab(rgb, vision: str) -> np.ndarray:
    """CIE L*a*b* (D65) of an sRGB colour as it is seen."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_neighbours_differ(vision):
    pairs = [pair for pair in itertools.permutations(Level, 2) if may_follow(*pair)]
    assert len(pairs) == 27
    pairs += [(Level.L5, SACRUM), (Level.L6, SACRUM)]
    for upper, lower in pairs:
        # A difference of 2.3 is just seen; those of the colours before this were as small as 5 (T5 to T8).
        difference = np.linalg.norm(lab(upper.color, vision) - lab(lower.color, vision))
        assert difference > 20, (upper.name, lower.name, difference)


def test_known_values():
    assert lab((1.0, 1.0, 1.0), "normal") == pytest.approx([100, 0, 0], abs=0.02)
    assert lab((1.0, 0.0, 0.0), "normal") == pytest.approx([53.24, 80.09, 67.2], abs=0.05)
