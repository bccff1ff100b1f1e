"""A volume filled plane by plane: never held twice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk


def stacked(planes: Iterable[tuple[int, np.ndarray]], count: int) -> sitk.Image:
    """The volume of ``count`` planes (y, x) of one type, given in any order with their numbers along z."""
    volume: sitk.Image | None = None
    for number, plane in planes:
        slice_ = sitk.GetImageFromArray(plane)
        if volume is None:
            volume = sitk.Image([*slice_.GetSize(), count], slice_.GetPixelID())
        volume[:, :, number] = slice_
    assert volume is not None  # there is at least one plane
    return volume
