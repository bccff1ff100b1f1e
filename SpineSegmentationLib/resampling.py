"""Images on other grids: a part of a scan along the LPS axes at a given spacing, and sheared stacks set upright."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from .spine import SpineBox, rounded

AIR = -1024.0
"""HU of what the scan does not show."""


def resample(
    image: sitk.Image, spacing: float | Sequence[float], box: SpineBox | None = None, fill: float = AIR
) -> sitk.Image:
    """A float32 image along the LPS axes: the part of ``image`` in ``box``, or all of it.

    Its voxel centres are the points inside the box whose coordinates are whole multiples of the spacing (at least
    one per axis), so that crops of one scan share one lattice and agree where they overlap. Linear interpolation;
    axes that become at least twice as coarse are averaged first, over whole voxels, against aliasing (what is left
    over at the far border of the scan, less than one new voxel, is lost).

    Args:
        image: 3D, scalar.
        spacing: mm, one number or one each for the L, P and S axes.
        box: LPS mm; parts outside the scan become ``fill``.
    """
    step = np.broadcast_to(np.asarray(spacing, float), 3)
    box = box or SpineBox.of_image(image)
    first = np.ceil(np.divide(box.lower, step) - 1e-6)
    size = np.maximum(np.floor(np.divide(box.upper, step) + 1e-6) - first + 1, 1).astype(int)
    origin = first * step
    needed = SpineBox(rounded(origin - step), rounded(origin + size * step))
    return sitk.Resample(
        _coarse_part(image, needed, step),
        size.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        step.tolist(),
        np.eye(3).ravel().tolist(),
        fill,
        sitk.sitkFloat32,
    )


def _coarse_part(image: sitk.Image, box: SpineBox, spacing: np.ndarray) -> sitk.Image:
    """The part of the image round the box, averaged over whole blocks of voxels down to nearly the given spacing."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    nearest = np.argmax(np.abs(direction), axis=0)
    factors = np.maximum(np.floor(spacing[nearest] / image.GetSpacing() + 1e-6), 1).astype(int)
    size = np.array(image.GetSize())
    factors = np.minimum(factors, size)
    corners = itertools.product(*zip(box.lower, box.upper, strict=True))
    indices = np.array([image.TransformPhysicalPointToContinuousIndex(corner) for corner in corners])
    # Blocks are counted from the right, front, lower corner of the scan, whatever the box and however the scan is
    # stored, so that every crop and every orientation sees the same averages.
    backwards = direction[nearest, np.arange(3)] < 0
    offset = np.where(backwards, size % factors, 0)
    start = np.clip(np.floor(indices.min(0)) - factors, 0, size - factors).astype(int)
    start = np.maximum(start - (start - offset) % factors, offset)
    stop = np.clip(np.ceil(indices.max(0)) + 2 * factors, start + factors, size).astype(int)
    if np.any(factors > 1):
        return _averaged(image, start, stop, factors)
    return (
        sitk.RegionOfInterest(image, (stop - start).tolist(), start.tolist()) if np.any(stop - start < size) else image
    )


def _averaged(image: sitk.Image, start: np.ndarray, stop: np.ndarray, factors: np.ndarray) -> sitk.Image:
    """The part of the image from index ``start`` to before ``stop`` (x,y,z), averaged over whole blocks of voxels.

    Block by block along z, so that there is never a copy of the part.
    """
    blocks, slab = (stop - start) // factors, [*(stop - start)[:2].tolist(), int(factors[2])]
    coarse = sitk.Image(blocks.tolist(), image.GetPixelID())
    for number in range(blocks[2]):
        part = sitk.RegionOfInterest(image, slab, (start + [0, 0, number * factors[2]]).tolist())
        averaged = sitk.BinShrink(part, factors.tolist())
        if number == 0:
            coarse.SetSpacing(averaged.GetSpacing())
            coarse.SetOrigin(averaged.GetOrigin())
            coarse.SetDirection(averaged.GetDirection())
        coarse[:, :, number : number + 1] = averaged
    return coarse


def same_grid(a: sitk.Image, b: sitk.Image, tolerance: float = 1e-3) -> bool:
    """Whether two images have the same size and their voxels lie at the same places, within ``tolerance`` in mm."""
    if a.GetSize() != b.GetSize():
        return False
    return bool(np.max(np.linalg.norm(_corners(a) - _corners(b), axis=1)) <= tolerance)


def _corners(image: sitk.Image) -> np.ndarray:
    """The places (8, 3) of the corner voxels, LPS mm."""
    indices = itertools.product(*((0, length - 1) for length in image.GetSize()))
    return np.array([image.TransformIndexToPhysicalPoint(index) for index in indices])


def shear(image: sitk.Image) -> float:
    """The largest angle in degrees by which two axes of the image are off from being perpendicular."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    cosines = (direction.T @ direction)[np.triu_indices(3, 1)]
    return float(np.degrees(np.arcsin(np.clip(np.abs(cosines).max(), 0, 1))))


def upright(image: sitk.Image, fill: float = AIR) -> sitk.Image:
    """A sheared stack on a grid with perpendicular axes that covers all of it, in whole numbers; the pixel type stays.

    The planes of the stack stay where they are: only places within a plane are interpolated (linear).
    """
    first, second, third = np.reshape(image.GetDirection(), (3, 3)).T
    normal = np.cross(first, second)
    normal *= np.sign(normal @ third) / np.linalg.norm(normal)
    direction = np.stack([first, np.cross(normal, first), normal], axis=1)
    direction[:, 1] *= np.sign(direction[:, 1] @ second)
    spacing = np.array(image.GetSpacing()) * [1, abs(direction[:, 1] @ second), normal @ third]
    places = _corners(image) @ direction / spacing
    size = np.ceil(np.ptp(places, axis=0) - 1e-4).astype(int) + 1
    origin = direction @ (places.min(0) * spacing)
    moved = sitk.Resample(
        image,
        size.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        spacing.tolist(),
        direction.ravel().tolist(),
        fill,
        sitk.sitkFloat32,
    )
    # ITK would cut the decimals off.
    return sitk.Cast(sitk.Round(moved), image.GetPixelID())
