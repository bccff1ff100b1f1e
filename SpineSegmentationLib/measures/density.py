"""Hounsfield units of the trabecular bone of a vertebral body, and what published thresholds say of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..errors import SpineError
from .body import Body
from .quality import thickness_along
from .quantity import Quantity, missing

CENTRE, HALF_AXES = -0.12, (0.34, 0.26)
"""The ellipsoid's centre along the depth of the body, and its half axes in widths and depths: its back end stays in
front of the basivertebral vein's exit, its sides some 4 mm away from the cortex."""

MARGIN = 3.0
"""mm from the end-plates, to which half the length of a voxel is added."""

FEWEST = 40
"""Voxels below which a mean tells little."""

METAL, CEMENT = 2500.0, 900.0
"""HU above which there is metal, and above which the inside of a body holds cement or very dense bone."""


@dataclass(frozen=True)
class Calibration:
    """HU to mg/cm3 of hydroxyapatite by a phantom scanned along or on the same scanner: ``slope * HU + intercept``."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and np.isfinite(self.intercept) and self.slope > 0):
            raise SpineError("a calibration needs a positive slope and an intercept, in mg/cm3 per HU and mg/cm3")


@dataclass(frozen=True)
class Density:
    """HU of the trabecular ellipsoid.

    Attributes:
        mean: with the standard error of the mean.
        sd: between the voxels.
        percentiles: the 10th, 50th and 90th.
        voxels: how many voxels of the CT.
        metal, cement, contrast: whether the values are likely false because of these.
    """

    mean: Quantity
    sd: float = np.nan
    percentiles: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    voxels: int = 0
    metal: bool = False
    cement: bool = False
    contrast: bool = False

    def calibrated(self, calibration: Calibration) -> Quantity:
        """mg/cm3."""
        if not self.mean:
            return self.mean
        value = calibration.slope * self.mean.value + calibration.intercept
        return Quantity(value, calibration.slope * self.mean.uncertainty)


@dataclass(frozen=True, eq=False)
class _Part:
    """A part of a CT: its values (z, y, x) and the places of its voxels in a body's frame, (z, y, x, 3) mm."""

    values: np.ndarray
    places: np.ndarray
    voxel: float


def density_of(ct: sitk.Image, label_map: sitk.Image, code: int, body: Body) -> Density:
    """The density of a body, in an ellipsoid in the front of its middle.

    Args:
        ct: HU, on any grid.
        label_map: codes; voxels outside the vertebra's do not count.
    """
    width, depth = body.width, body.depth
    part = _part(ct, body, np.array([-0.6 * width, -depth / 2 - 45, -0.7 * body.height - 4]),
                 np.array([0.6 * width, 2 * depth, 0.7 * body.height + 4]))  # fmt: skip
    if part is None:
        return Density(missing("the body lies outside the CT"))
    x, y, z = np.moveaxis(part.places, -1, 0)
    thickness = thickness_along(ct, body.frame.up)
    upper = body.frame.origin if body.upper is None else body.upper.middle
    middle_height = float((upper - body.lower.middle) @ body.frame.up) * (2 if body.upper is None else 1)
    centre = 0.0 if body.upper is None else float(body.frame.local((upper + body.lower.middle) / 2)[2])
    half = middle_height / 2 - MARGIN - thickness / 2
    inner = np.abs(z - centre) <= max(middle_height / 2 - MARGIN, 0)
    inner &= (np.abs(x) < width / 2 - 4) & (np.abs(y) < depth / 2 - 4)
    # Rods behind the arch throw their streaks on the body, too.
    metal = np.count_nonzero((part.values > METAL) & (np.abs(y) < 2 * depth)) * part.voxel > 20
    cement = not metal and np.count_nonzero(inner & (part.values > CEMENT)) * part.voxel > 100
    density = partial(Density, metal=bool(metal), cement=bool(cement), contrast=_contrast(part, body))
    if half < 2:
        return density(missing("the body is too flat for its slices to hold trabecular bone alone"))
    ring = (x / (HALF_AXES[0] * width)) ** 2 + ((y - CENTRE * depth) / (HALF_AXES[1] * depth)) ** 2
    inside = ring + ((z - centre) / half) ** 2 <= 1
    inside[inside] = _codes_at(label_map, body.frame.lps(part.places[inside])) == code
    values = part.values[inside]
    if len(values) < FEWEST:
        return density(missing(f"only {len(values)} voxels hold trabecular bone alone"))
    sd = float(values.std(ddof=1))
    low, median, high = (float(value) for value in np.percentile(values, (10, 50, 90)))
    mean = Quantity(float(values.mean()), sd / np.sqrt(len(values)))
    return density(mean, sd, (low, median, high), len(values))


def _part(ct: sitk.Image, body: Body, lower: np.ndarray, upper: np.ndarray) -> _Part | None:
    """The voxels of a CT in a box of the body's frame, and some round it."""
    corners = body.frame.lps(np.array(list(itertools.product(*zip(lower, upper, strict=True)))))
    matrix = np.reshape(ct.GetDirection(), (3, 3)) * ct.GetSpacing()
    index = (corners - ct.GetOrigin()) @ np.linalg.inv(matrix).T
    first = np.clip(np.floor(index.min(0)), 0, ct.GetSize()).astype(int)
    last = np.clip(np.ceil(index.max(0)) + 1, 0, ct.GetSize()).astype(int)
    if np.any(last <= first):
        return None
    values = sitk.GetArrayViewFromImage(ct)[tuple(slice(a, b) for a, b in zip(first[::-1], last[::-1], strict=True))]
    axes = body.frame.axes.T @ matrix
    start = body.frame.local(np.array(ct.GetOrigin()) + matrix @ first)
    counts = (np.arange(n) for n in values.shape)
    k, j, i = np.meshgrid(*counts, indexing="ij", sparse=True)
    places = start + i[..., None] * axes[:, 0] + j[..., None] * axes[:, 1] + k[..., None] * axes[:, 2]
    return _Part(values, places, float(np.prod(ct.GetSpacing())))


def _contrast(part: _Part, body: Body) -> bool:
    """Whether a large vessel in front of the body is full of contrast: 2 ml and more of 130 to 600 HU there, 5 mm and
    more away from the body. Unenhanced blood has 30 to 50 HU; oral contrast in bowel deceives this, too."""
    x, y, z = np.moveaxis(part.places, -1, 0)
    front = (y < -body.depth / 2 - 5) & (np.abs(z) < body.height / 2) & (np.abs(x) < 40)
    bright = front & (part.values > 130) & (part.values < 600)
    # Single bright voxels are noise, calcified walls are thin: only what has bright neighbours counts.
    core = ndimage.binary_erosion(bright, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool))
    return bool(np.count_nonzero(core) * part.voxel > 2000)


def _codes_at(label_map: sitk.Image, points: np.ndarray) -> np.ndarray:
    """The codes of the voxels nearest to points (n, 3) in LPS mm; 0 outside."""
    matrix = np.linalg.inv(np.reshape(label_map.GetDirection(), (3, 3)) * label_map.GetSpacing())
    index = np.rint((points - label_map.GetOrigin()) @ matrix.T).astype(int)
    inside = np.all((index >= 0) & (index < label_map.GetSize()), axis=1)
    codes = np.zeros(len(points), np.uint8)
    i, j, k = index[inside].T
    codes[inside] = sitk.GetArrayViewFromImage(label_map)[k, j, i]
    return codes


def statement_on_l1(hu: float) -> str:
    """What Pickhardt et al. 2013 (Ann Intern Med 158:588-595) say of a mean HU of L1: thresholds, no diagnosis.

    They compared L1 in 1867 adults on CT at 120 kV with dual X-ray absorptiometry: 90 % of those with osteoporosis lay
    at or below 160 HU, 135 HU balanced sensitivity and specificity, and at 110 HU the specificity was 90 %.
    """
    if hu <= 110:
        return f"L1 {hu:.0f} HU: at or below 110 HU (specificity for osteoporosis about 90 %)"
    if hu <= 135:
        return f"L1 {hu:.0f} HU: between 110 and 135 HU (135 HU balances sensitivity and specificity for osteoporosis)"
    if hu <= 160:
        return f"L1 {hu:.0f} HU: between 135 and 160 HU (sensitivity for osteoporosis about 90 % at 160 HU)"
    return f"L1 {hu:.0f} HU: above 160 HU (osteoporosis rare)"


def statement_on_bmd(density: float) -> str:
    """What the American College of Radiology's practice parameter for quantitative CT says of trabecular bone:
    below 80 corresponds to osteoporosis, 80 to 120 to osteopenia (ACR-SPR-SSR, Musculoskeletal QCT)."""
    if density < 80:
        means = "below 80, the range of osteoporosis"
    elif density <= 120:
        means = "80 to 120, the range of osteopenia"
    else:
        means = "above 120, the normal range"
    return f"{density:.0f} mg/cm3: {means} in the ACR's practice parameter for quantitative CT"
