"""What the scanner adds: the reconstruction kernel, the slice profile and noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from .spec import PhantomSpec


def kernel(fwhm: float, sharpness: float, thickness: float, step: float) -> np.ndarray:
    """A sampled kernel (sum 1): a Gaussian, overshooting by ``sharpness``, spread over ``thickness`` mm."""
    sigma = max(fwhm / 2.3548, 1e-3)
    reach = max(int(np.ceil((2.5 * sigma * (1 + sharpness) + thickness / 2) / step)), 1)
    # Integrated over each voxel on a 20 times finer raster
    t = (np.arange((2 * reach + 1) * 20) + 0.5) / 20 * step - (reach + 0.5) * step
    gauss = np.exp(-0.5 * (t / sigma) ** 2) / sigma
    wide = np.exp(-0.5 * (t / (1.8 * sigma)) ** 2) / (1.8 * sigma)
    profile = (1 + sharpness) * gauss - sharpness * wide
    if thickness > step / 20:
        width = max(round(thickness / step * 20), 1)
        profile = np.convolve(profile, np.ones(width) / width, "same")
    taps = profile.reshape(-1, 20).sum(1)
    return (taps / taps.sum()).astype(np.float32)


def scan(hu: np.ndarray, spacing: np.ndarray, spec: PhantomSpec, rng: np.random.Generator) -> np.ndarray:
    """The finished image (z, y, x) int16: blurred, noisy, clipped to the range of a scanner.

    The voxels themselves already blur by their own size; noise goes through the same kernel, so it has its texture.
    """
    thickness = 0.0
    if spec.slice_thickness is not None and spec.slice_thickness > spacing[2]:
        thickness = float(np.sqrt(spec.slice_thickness**2 - spacing[2] ** 2))
    kernels = [
        kernel(0.6 * spec.blur, 0.0, thickness, spacing[2]),
        kernel(spec.blur, spec.sharpness, 0.0, spacing[1]),
        kernel(spec.blur, spec.sharpness, 0.0, spacing[0]),
    ]
    if spec.noise:
        gain = float(np.prod([np.sum(taps.astype(float) ** 2) for taps in kernels])) ** 0.5
        hu = hu + rng.standard_normal(hu.shape, dtype=np.float32) * np.float32(spec.noise / gain)
    for axis, taps in enumerate(kernels):
        if len(taps) > 1 and taps.max() < 0.999:
            hu = correlate1d(hu, taps, axis=axis, mode="nearest")
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
