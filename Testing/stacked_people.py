"""People made of blocks, for the training of networks that follow vertebra after vertebra."""

import numpy as np

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.training.subjects import Subject


def person(source="phantom", **levels) -> Subject:
    """Blocks of 16 x 24 x 24 voxels of 2 mm, from the head down, 2 voxels apart, within air-free surroundings."""
    labels = np.zeros((18 * len(levels) + 40, 70, 70), np.uint8)
    names = [Level[name] for name in levels]
    for number, level in enumerate(reversed(names)):
        start = 20 + 18 * number
        labels[start : start + 16, 20:44, 24:48] = level
    hu = np.where(labels > 0, 500, 40).astype(np.int16)
    centres = np.array([np.argwhere(labels == level).mean(0) for level in names])
    return Subject("blocks", hu, labels, False, tuple(names), centres, 2.0, source)
