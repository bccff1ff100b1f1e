"""Blocks of bone with exact edges, as masks and CTs, for the measures."""

import numpy as np
import SimpleITK as sitk

from SpineSegmentationLib.anatomy import Level

WIDTH, DEPTH, HEIGHT = 40.0, 30.0, 24.0
MIDDLE = (10.0, -20.0, 300.0)


def grid(spacing, size, direction=None, middle=MIDDLE) -> sitk.Image:
    """An image whose middle lies at a place in LPS mm."""
    axes = np.eye(3) if direction is None else direction
    image = sitk.Image(list(size), sitk.sitkUInt8)
    image.SetSpacing(spacing)
    image.SetDirection(axes.ravel().tolist())
    image.SetOrigin((np.array(middle) - axes @ (np.array(spacing) * (np.array(size) - 1) / 2)).tolist())
    return image


def places(image: sitk.Image) -> np.ndarray:
    """LPS mm of every voxel, (z, y, x, 3)."""
    index = np.indices(image.GetSize()[::-1])[::-1]
    steps = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return np.moveaxis(np.tensordot(steps, index, 1), 0, -1) + image.GetOrigin()


def filled(image: sitk.Image, values: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(values)
    result.CopyInformation(image)
    return result


def solid(image: sitk.Image, middle=MIDDLE, turn=None, arch=True, front=HEIGHT, back=HEIGHT, dent=0.0) -> np.ndarray:
    """Boolean (z, y, x): a body WIDTH x DEPTH whose height runs from ``front`` to ``back``, its end-plates dented by
    ``dent`` mm in the middle, and an arch: two pedicles of 8 x 10 mm, and a plate behind a canal of 14 mm."""
    x, y, z = np.moveaxis((places(image) - middle) @ (np.eye(3) if turn is None else turn), -1, 0)
    u, v = x / (WIDTH / 2), y / (DEPTH / 2)
    half = (front + back) / 4 + (back - front) / 4 * v - dent * np.maximum(1 - u * u - v * v, 0)
    mask = (np.abs(u) <= 1 + 1e-9) & (np.abs(v) <= 1 + 1e-9) & (np.abs(z) <= half + 1e-9)
    if arch:
        mask |= (np.abs(np.abs(x) - 15) <= 4) & (y > 0) & (y < 31) & (np.abs(z - 4) <= 5)
        mask |= (np.abs(x) <= 18) & (y >= 29) & (y <= 36) & (np.abs(z) <= 9)
    return mask


def block(image: sitk.Image, middle=MIDDLE, turn=None, arch=False) -> tuple[sitk.Image, sitk.Image]:
    """Mask (L3) and CT of a block WIDTH x DEPTH x HEIGHT: 1000 HU in its outer 3 mm, 150 HU within, -50 HU around."""
    local = (places(image) - middle) @ (np.eye(3) if turn is None else turn)
    beside = np.abs(local) - np.array([WIDTH, DEPTH, HEIGHT]) / 2
    body = (beside <= 1e-9).all(-1)
    ct = np.where(body, np.where((beside <= -3).all(-1), 150, 1000), -50).astype(np.int16)
    return filled(image, solid(image, middle, turn, arch) * np.uint8(Level.L3)), filled(image, ct)


def stack(image: sitk.Image, members) -> sitk.Image:
    """A label map of several bodies: (level or code, middle, keywords of :func:`solid`)."""
    labels = np.zeros(image.GetSize()[::-1], np.uint8)
    for code, middle, how in members:
        labels[solid(image, middle, **how)] = int(code)
    return filled(image, labels)
