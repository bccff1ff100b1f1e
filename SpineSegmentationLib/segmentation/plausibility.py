"""Whether masks look like vertebrae, without any truth: bone missed, no bone taken, left unlike right, odd sizes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import COLUMN, Level, may_follow
from ..measures.frame import Frame, start_frame
from ..measures.local_mask import SoftMask
from ..measures.symmetry import mirror_line
from ..spine import Centroids
from .mask import HALF, Place, VertebraMask, common

AROUND, BEHIND = 0.6, 1.0
"""Reach of a vertebra, in distances to its neighbours: so far round a line that runs so far back from its centroid."""

USUAL = {"cervical": 17.0, "thoracic": 24.0, "lumbar": 35.0}
"""Mean distance in mm of neighbouring vertebrae."""

SOFT = (-150.0, 1500.0)
"""HU of what is neither air nor metal."""

_THOUSANDS = {
    "C1": (12.5, 17, 40), "C2": (18.9, 36, 42), "C3": (11, 20, 42), "C4": (11, 19, 42), "C5": (12, 20, 44),
    "C6": (13, 21, 48), "C7": (14.5, 23, 52), "T1": (19, 26, 53), "T2": (18.4, 29, 54), "T3": (17.9, 30, 55),
    "T4": (18.3, 31, 55), "T5": (20, 32, 54), "T6": (22, 35, 55), "T7": (24.7, 37, 57), "T8": (26.3, 36, 61),
    "T9": (29, 35, 64), "T10": (32.7, 32, 66), "T11": (36, 31, 66), "T12": (42, 32, 69), "T13": (44, 33, 71),
    "L1": (46, 35, 73), "L2": (56, 38, 78), "L3": (62, 39, 78), "L4": (65, 38, 77), "L5": (62, 37, 68),
    "L6": (60, 36, 66),
}  # fmt: skip
TYPICAL = {level: np.array(_THOUSANDS[level.name]) * (1000, 1, 1) for level in COLUMN}
"""Volume (mm3), height and depth (mm) of masks by level: medians over annotated scans, of the neck over phantoms.

T13 and L6 are as their neighbours."""

BESIDE = 4
"""So many masks, and so many levels away at most, suggest a size."""

ODD = (1.4, 1.35, 1.3)
"""Factors by which volume, height and depth may differ from what is suggested."""

ENOUGH = 20000  # voxels of a mask from which its extent is told
STEP = 2.0  # mm, of the grid on which left and right are compared


@dataclass(frozen=True)
class Tissue:
    """What a scan's own values say, in HU.

    Attributes:
        bone: above it there is cortical bone.
        dark: below it there is no bone at all: two standard deviations under the mean of what is not above ``bone``.
    """

    bone: float
    dark: float


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values (any shape, whole numbers) so that the variance between both is largest.

    Otsu 1979, IEEE Trans Syst Man Cybern 9:62-66, equation 18. Values above the threshold are of the upper part.
    """
    levels, counts = np.unique(np.rint(values).astype(int), return_counts=True)
    weight = np.cumsum(counts) / counts.sum()
    mean = np.cumsum(levels * counts) / counts.sum()
    between = np.zeros(len(levels))
    inner = weight < 1
    between[inner] = (mean[-1] * weight[inner] - mean[inner]) ** 2 / (weight[inner] * (1 - weight[inner]))
    return float(levels[between.argmax()])


def tissue(ct: sitk.Image, centroids: Centroids) -> Tissue:
    """Otsu's threshold within reach of the column, and what lies far below it.

    Raises:
        ValueError: no centroid, or nothing but air and metal round them.
    """
    hu = sitk.GetArrayViewFromImage(ct)
    near = np.concatenate([hu[place][within] for place, within in reach(ct, centroids).values()])
    near = near[(near > SOFT[0]) & (near < SOFT[1])]
    if not len(near):
        raise ValueError("nothing but air and metal round the column")
    bone = otsu(near)
    below = near[near <= bone]
    return Tissue(bone, float(below.mean() - 2 * below.std()))


def reach(grid: sitk.Image, centroids: Centroids) -> dict[Level, tuple[Place, np.ndarray]]:
    """Where on a grid the body, the canal and the laminae of each vertebra must be: a place (z, y, x) and voxels in it.

    A voxel is within reach of one vertebra at most, the nearest. Beyond both ends of the column a further vertebra is
    thought of, or the outermost one would reach into it.
    """
    if not len(centroids):
        return {}
    frames = [start_frame(point, centroids) for point in centroids]
    lengths = [_distance(centroids, index) for index in range(len(frames))]
    ends = [
        Frame(frame.origin + sign * length * frame.up, frame.axes)
        for frame, length, sign in ((frames[0], lengths[0], 1), (frames[-1], lengths[-1], -1))
    ]
    column = list(zip([ends[0], *frames, ends[1]], [lengths[0], *lengths, lengths[-1]], strict=True))
    result = {}
    for index, level in enumerate(centroids.levels):
        length = lengths[index]
        place, points = _points_near(grid, frames[index], length)
        away = [_to_line(points, frame, BEHIND * other) for frame, other in column[index : index + 3]]
        within = (away[1] <= AROUND * length) & (away[1] <= away[0]) & (away[1] < away[2])
        result[level] = place, within
    return result


def missed_bone(ct: sitk.Image, label_map: sitk.Image, centroids: Centroids, bone: float) -> dict[Level, float]:
    """Share of the cortical bone within reach of each vertebra that no mask takes; NaN where there is none.

    Args:
        label_map: codes, on the grid of ``ct``.
        bone: HU above which there is cortical bone.
    """
    hu, labels = sitk.GetArrayViewFromImage(ct), sitk.GetArrayViewFromImage(label_map)
    result = {}
    for level, (place, within) in reach(ct, centroids).items():
        hard = within & (hu[place] > bone)
        result[level] = float((labels[place][hard] == 0).mean()) if hard.any() else float("nan")
    return result


def no_bone(ct: sitk.Image, label_map: sitk.Image, dark: float) -> dict[Level, float]:
    """Share of each mask's voxels that are no bone: darker than ``dark`` (HU)."""
    hu, labels = sitk.GetArrayViewFromImage(ct), sitk.GetArrayViewFromImage(label_map)
    return {level: float((hu[place][labels[place] == level] < dark).mean()) for level, place in places(label_map)}


def places(label_map: sitk.Image) -> list[tuple[Level, Place]]:
    """The vertebrae of a label map from the head down, each with the smallest place that holds it."""
    found = ndimage.find_objects(sitk.GetArrayViewFromImage(label_map), max_label=max(Level))
    return [(level, found[level - 1]) for level in COLUMN if found[level - 1] is not None]


def at_border(place: Place, grid: sitk.Image) -> bool:
    """Whether a place (z, y, x) touches the border of a grid, so that the vertebra in it may go on beyond."""
    return any(side.start == 0 or side.stop == size for side, size in zip(place, grid.GetSize()[::-1], strict=True))


def asymmetry(label_map: sitk.Image, centroids: Centroids) -> dict[Level, float]:
    """One minus the Dice coefficient of each whole mask and its mirror image in its best mirror plane."""
    result = {}
    for level, place in _whole(label_map, centroids):
        frame = _frame_of(label_map, level, place, centroids)
        size = np.ceil(np.array([90, 110, 90]) / STEP / 2).astype(int)
        mask = SoftMask(label_map, int(level), place, STEP).on(
            frame, (-size[0], -size[1] // 2, -size[2]), (size[0], 2 * size[1], size[2])
        )
        turn, shift = mirror_line(mask)
        z, y, x = np.meshgrid(mask.z, mask.y, mask.x, indexing="ij")
        across = np.array([np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))])
        twice = 2 * (x * across[0] + y * across[1] - shift)
        index = np.stack(
            [
                (value - first) / STEP
                for value, first in zip(
                    (z, y - twice * across[1], x - twice * across[0]), (mask.z[0], mask.y[0], mask.x[0]), strict=True
                )
            ]
        )
        mirrored = ndimage.map_coordinates(mask.occupancy, index, order=1, cval=0.0)
        shared = np.minimum(mask.occupancy, mirrored).sum()
        result[level] = 1 - 2 * float(shared) / float(mask.occupancy.sum() + mirrored.sum())
    return result


@dataclass(frozen=True)
class Size:
    """How large a mask is: mm3, and mm along the column and from front to back, without the outermost hundredths."""

    volume: float
    height: float
    depth: float


def sizes(label_map: sitk.Image, centroids: Centroids) -> dict[Level, Size]:
    """The sizes of the whole masks that have a centroid."""
    labels = sitk.GetArrayViewFromImage(label_map)
    voxel = float(np.prod(label_map.GetSpacing()))
    result = {}
    for level, place in _whole(label_map, centroids):
        frame = _frame_of(label_map, level, place, centroids)
        index = np.argwhere(labels[place] == level)
        points = frame.local(_lps(label_map, index[:: max(len(index) // ENOUGH, 1)], place))
        low, high = np.quantile(points[:, 1:], (0.01, 0.99), axis=0)
        result[level] = Size(len(index) * voxel, *(high - low)[::-1].tolist())
    return result


def unlike_neighbours(found: Mapping[Level, Size]) -> dict[Level, tuple[float, float, float]]:
    """Volume, height and depth of each mask, divided by what the masks beside it suggest.

    They suggest the usual size of the level (``TYPICAL``) times the factor by which they themselves differ from theirs:
    the median over the ``BESIDE`` nearest. A mask with fewer than two beside it is left out.
    """
    relative = {level: np.log([size.volume, size.height, size.depth]) - np.log(TYPICAL[level])
                for level, size in found.items() if min(size.volume, size.height, size.depth) > 0}  # fmt: skip
    result = {}
    for level, own in relative.items():
        others = sorted((abs(other.rank - level.rank), other.rank, other) for other in relative if other is not level)
        beside = [relative[other] for away, _, other in others[:BESIDE] if away <= BESIDE]
        if len(beside) >= 2:
            volume, height, depth = np.exp(own - np.median(beside, axis=0)).tolist()
            result[level] = (volume, height, depth)
    return result


def odd_sizes(found: Mapping[Level, Size]) -> dict[Level, str]:
    """The masks that are no size for where they are, each with a word on it: such as "volume 0.55".

    The oddest is set aside first, and the others are looked at again without it, so that it makes none of them odd.
    """
    rest = dict(found)
    result: dict[Level, str] = {}
    while True:
        excess = {level: np.abs(np.log(factors)) / np.log(ODD) for level, factors in unlike_neighbours(rest).items()}
        oddest = max(excess, key=lambda level: excess[level].max(), default=None)
        if oddest is None or excess[oddest].max() <= 1:
            return dict(sorted(result.items(), key=lambda item: item[0].rank))
        factors = zip(("volume", "height", "depth"), unlike_neighbours(rest)[oddest], excess[oddest], strict=True)
        result[oddest] = ", ".join(f"{name} {factor:.2f}" for name, factor, beyond in factors if beyond > 1)
        del rest[oddest]


def overlap(masks: Mapping[Level, VertebraMask]) -> dict[Level, float]:
    """Share of each vertebra's voxels that a mask beside it claims, too, before merging.

    Args:
        masks: of one scan.
    """
    result = {}
    for level, mask in masks.items():
        mine = mask.probability >= HALF
        claimed = np.zeros_like(mine)
        for other in masks.values():
            shared = common(mask, other)
            if other is not mask and shared is not None:
                here, there = shared
                claimed[here] |= other.probability[there] >= HALF
        result[level] = float((mine & claimed).sum() / max(mine.sum(), 1))
    return result


def _whole(label_map: sitk.Image, centroids: Centroids) -> list[tuple[Level, Place]]:
    return [
        (level, place) for level, place in places(label_map) if level in centroids and not at_border(place, label_map)
    ]


def _distance(centroids: Centroids, index: int) -> float:
    """Mean distance in mm of a centroid to its neighbours, or else the usual one."""
    points = centroids.points
    found = [
        float(np.linalg.norm(np.subtract(upper.position, lower.position)))
        for upper, lower in itertools.pairwise(points[max(index - 1, 0) : index + 2])
        if may_follow(upper.level, lower.level)
    ]
    usual = USUAL[points[index].level.region]
    return float(np.clip(np.mean(found), 0.6 * usual, 1.5 * usual)) if found else usual


def _frame_of(label_map: sitk.Image, level: Level, place: Place, centroids: Centroids) -> Frame:
    index = np.argwhere(sitk.GetArrayViewFromImage(label_map)[place] == level)
    behind = _lps(label_map, index.mean(0, keepdims=True), place)[0]
    return start_frame(centroids[level], centroids, behind)


def _lps(grid: sitk.Image, index: np.ndarray, place: Place) -> np.ndarray:
    """Places (N, 3) in LPS mm of indices (N, 3; z,y,x) into a place of a grid."""
    matrix = np.reshape(grid.GetDirection(), (3, 3)) * grid.GetSpacing()
    return (index + [side.start for side in place])[:, ::-1] @ matrix.T + grid.GetOrigin()


def _points_near(grid: sitk.Image, frame: Frame, length: float) -> tuple[Place, np.ndarray]:
    """The place (z, y, x) of a grid that holds a vertebra's reach, and its voxels (z, y, x, 3) in LPS mm."""
    far = frame.origin + BEHIND * length * frame.back
    low, high = np.minimum(frame.origin, far) - AROUND * length, np.maximum(frame.origin, far) + AROUND * length
    corners = np.array([[(low, high)[bit >> axis & 1][axis] for axis in range(3)] for bit in range(8)])
    index = np.array([grid.TransformPhysicalPointToContinuousIndex(corner) for corner in corners])
    first = np.clip(np.floor(index.min(0)), 0, grid.GetSize()).astype(int)[::-1]
    last = np.clip(np.ceil(index.max(0)) + 1, 0, grid.GetSize()).astype(int)[::-1]
    place = tuple(slice(int(a), int(max(a, b))) for a, b in zip(first, last, strict=True))
    voxels = np.indices([side.stop - side.start for side in place]).reshape(3, -1).T
    shape = [side.stop - side.start for side in place]
    return place, _lps(grid, voxels, place).reshape(*shape, 3)


def _to_line(points: np.ndarray, frame: Frame, length: float) -> np.ndarray:
    """Distance in mm of points (..., 3) to the line that runs back from a frame's origin."""
    local = points - frame.origin
    along = np.clip(local @ frame.back, 0, length)
    return np.linalg.norm(local - along[..., None] * frame.back, axis=-1)
