"""Small images and directions for the tests of reading, writing and resampling."""

import numpy as np
import SimpleITK as sitk


def body(shape=(12, 14, 16), dtype=np.int16) -> np.ndarray:
    """Air, soft tissue and bone, each voxel with its own noise (so that no two parts of the volume are alike)."""
    noise = np.random.default_rng(0).integers(-30, 30, shape)
    volume = np.full(shape, -980) + noise
    volume[:, 2:, 2:] = 50 + noise[:, 2:, 2:]
    volume[:, 6:9, 6:9] = 700 + noise[:, 6:9, 6:9]
    return volume.astype(dtype)


def image_of(array: np.ndarray, spacing=(0.8, 0.9, 2.0), origin=(-30.0, 12.5, -500.25), direction=None) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(np.eye(3).ravel() if direction is None else np.ravel(direction))
    return image


def turn(axis: int, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    others = [i for i in range(3) if i != axis]
    matrix[np.ix_(others, others)] = [[c, -s], [s, c]]
    return matrix


def blank(shape, spacing, origin=(0.0, 0.0, 0.0)) -> sitk.Image:
    """An upright grid of that shape (z, y, x) with equal spacing along every axis."""
    image = sitk.Image([int(n) for n in reversed(shape)], sitk.sitkFloat32)
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin(origin)
    return image
