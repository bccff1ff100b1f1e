"""Masks that the product itself makes on annotated CT without any: the human-machine loop of the VerSe paper, sec. 2.

A person placed the centroids; the segmenter draws the masks; only vertebrae that pass checks are learnt from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import Level, may_follow
from ..evaluation.metrics import segmentation_scores
from ..io.values import read_centroids
from ..io.writing import write_image
from ..pipeline import Pipeline
from ..results.files import LABEL_MAP
from ..segmentation.mask import HALF, Place, VertebraMask, merge
from ..segmentation.plausibility import asymmetry, at_border, missed_bone, no_bone, places, tissue
from ..spine import Centroids
from .subjects import BONES_ONLY, Subject, _make, read_points, scan_names

COARSEST = 3.5  # mm: voxels that still show the processes
VOLUME = (4e3, 120e3)  # mm3, of any vertebra
NEIGHBOURS = 1.7  # largest ratio of the volumes of two neighbours
SHELL = 1.5  # mm inside and outside of the border
CONTRAST = 60.0  # HU by which the inner shell is brighter than the outer
UNEVEN, EMPTY = 0.25, 0.03  # largest asymmetry, and share of voxels that are no bone
MISSED, MISSED_AT_ENDS = (
    0.15,
    0.25,
)  # largest share of bone in reach that no mask takes; the sacrum and unnamed ones count
BORDERS = (0.5, 0.4, 0.3, 0.25)
"""Probabilities at which a vertebra may end."""


def own_mask_subjects(root: Path, spacing: float, pipeline: Pipeline, kept: Path) -> Iterator[Subject]:
    """The annotated training CT under ``root/ct`` that have no mask, with the masks of the pipeline's segmenter.

    Args:
        kept: a folder of label maps called as in the VerSe data set: those that are there are taken, the others drawn
            and written there, so that a training that goes on learns from the same ones.
    """
    kept.mkdir(parents=True, exist_ok=True)
    border = None
    for name in scan_names(root):
        folder = root / "ct" / name
        if (folder / "seg-vert_msk.nii.gz").exists():
            continue
        ct = sitk.ReadImage(str(folder / "ct.nii.gz"))
        if max(ct.GetSpacing()) > COARSEST:
            continue
        path, centroids = kept / LABEL_MAP.format(name), read_centroids(folder / "centroids.json", ct)
        if not path.exists():
            border = border or best_border(root, pipeline)
            masks = pipeline.find(ct, centroids=centroids).masks
            label_map = merge({level: ending_at(mask, border) for level, mask in masks.items()}, ct)
            write_image(label_map, path)
        label_map = sitk.ReadImage(str(path), sitk.sitkUInt8)
        whole = believable(ct, label_map, centroids)
        if whole:
            left_out = {int(level): 0 for level in Level if level not in whole}
            points = {level: p for level, p in read_points(folder / "centroids.json").items() if level in whole}
            yield replace(_make(name, ct, sitk.ChangeLabel(label_map, left_out), False, points, spacing), source="own")


def best_border(root: Path, pipeline: Pipeline) -> float:
    """The probability among ``BORDERS`` at which masks fit those best that people drew on the training CT.

    Networks that learnt from phantoms, whose masks end where the bone does, draw real vertebrae too small: people also
    mark the voxels that the bone fills in part.
    """
    scores: dict[float, list[float]] = {border: [] for border in BORDERS}
    for name in scan_names(root):
        folder = root / "ct" / name
        if name in BONES_ONLY or not (folder / "seg-vert_msk.nii.gz").exists():
            continue
        ct = sitk.ReadImage(str(folder / "ct.nii.gz"))
        truth = sitk.ReadImage(str(folder / "seg-vert_msk.nii.gz"), sitk.sitkUInt8)
        masks = pipeline.find(ct, centroids=read_centroids(folder / "centroids.json", ct)).masks
        for border, found in scores.items():
            ended = {level: ending_at(mask, border) for level, mask in masks.items()}
            found.append(segmentation_scores(truth, merge(ended, ct)).dice_mean)
    return max(BORDERS, key=lambda border: float(np.mean(scores[border] or [0.0])))


def ending_at(mask: VertebraMask, border: float) -> VertebraMask:
    """The mask with its probabilities on another scale, of which ``border`` (0..1) becomes one half."""
    scale = np.interp(np.arange(256), (0, 255 * border, 255), (0, HALF, 255))
    return replace(mask, probability=np.rint(scale).astype(np.uint8)[mask.probability])


def believable(ct: sitk.Image, label_map: sitk.Image, centroids: Centroids) -> tuple[Level, ...]:
    """The vertebrae of a label map (codes on the grid of the CT) that look like whole vertebrae.

    Whole: no voxel on the border of the scan. Plausible: a volume in ``VOLUME`` and not far from its neighbours', left
    like right. On bone: brighter inside its border than outside, nothing dark in it, little bone beside it. C1 and C2
    are left out: whose the dens is, only a person should say.
    """
    named = centroids.only([level for level, _ in places(label_map)])
    if not named:
        return ()
    values = tissue(ct, named)
    uneven, empty = asymmetry(label_map, named), no_bone(ct, label_map, values.dark)
    missed = missed_bone(ct, label_map, centroids, values.bone)
    ends = (centroids.levels[0], centroids.levels[-1])
    voxel = float(np.prod(ct.GetSpacing()))
    labels = sitk.GetArrayViewFromImage(label_map)
    volumes: dict[Level, float] = {}
    for level, place in places(label_map):
        if level not in named or level in (Level.C1, Level.C2) or at_border(place, label_map):
            continue
        volume = float((labels[place] == level).sum()) * voxel
        if (
            VOLUME[0] <= volume <= VOLUME[1]
            and uneven[level] <= UNEVEN
            and empty[level] <= EMPTY
            and not missed[level] > (MISSED_AT_ENDS if level in ends else MISSED)
            and _contrast(ct, label_map, level, place) >= CONTRAST
        ):
            volumes[level] = volume
    strange = {
        level
        for upper, lower in itertools.pairwise(sorted(volumes, key=lambda level: level.rank))
        if may_follow(upper, lower) and not 1 / NEIGHBOURS <= volumes[lower] / volumes[upper] <= NEIGHBOURS
        for level in (upper, lower)
    }  # fmt: skip
    return tuple(level for level in volumes if level not in strange)


def _contrast(ct: sitk.Image, label_map: sitk.Image, level: Level, place: Place) -> float:
    """HU by which a thin shell inside a mask is brighter than one outside it."""
    labels, hu = sitk.GetArrayViewFromImage(label_map), sitk.GetArrayViewFromImage(ct)
    spacing = np.array(ct.GetSpacing()[::-1])
    wider = tuple(slice(max(side.start - 3, 0), side.stop + 3) for side in place)
    mask, near = labels[wider] == level, hu[wider]
    inner = mask & (ndimage.distance_transform_edt(mask, spacing) <= SHELL + spacing.min())
    outer = (labels[wider] == 0) & (ndimage.distance_transform_edt(~mask, spacing) <= SHELL + spacing.min())
    return float(near[inner].mean() - near[outer].mean())
