"""Masks that the product itself makes on annotated CT without any: the human-machine loop of the VerSe paper, sec. 2.

A person placed the centroids; the segmenter draws the masks; only vertebrae that pass checks are learnt from.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import Level, may_follow
from ..io.values import read_centroids
from ..pipeline import Pipeline
from .subjects import VALIDATION, Subject, _make, read_points

COARSEST = 3.5  # mm: voxels that still show the processes
VOLUME = (4e3, 120e3)  # mm3, of any vertebra
NEIGHBOURS = 1.7  # largest ratio of the volumes of two neighbours
SHELL = 1.5  # mm inside and outside of the border
CONTRAST = 60.0  # HU by which the inner shell is brighter than the outer


def own_mask_subjects(root: Path, spacing: float, pipeline: Pipeline) -> Iterator[Subject]:
    """The annotated training CT under ``root/ct`` that have no mask, with the masks of the pipeline's segmenter."""
    for folder in sorted((root / "ct").iterdir()):
        if folder.name in VALIDATION or (folder / "seg-vert_msk.nii.gz").exists():
            continue
        ct = sitk.ReadImage(str(folder / "ct.nii.gz"))
        if max(ct.GetSpacing()) > COARSEST:
            continue
        label_map = pipeline.run(ct, centroids=read_centroids(folder / "centroids.json", ct)).label_map
        kept = believable(ct, label_map)
        if kept:
            left_out = {int(level): 0 for level in Level if level not in kept}
            labels = sitk.ChangeLabel(label_map, left_out)
            points = {level: p for level, p in read_points(folder / "centroids.json").items() if level in kept}
            yield _make(f"{folder.name}, own masks", ct, labels, False, points, spacing)


def believable(ct: sitk.Image, label_map: sitk.Image) -> tuple[Level, ...]:
    """The vertebrae of a label map (codes on the grid of the CT) that look like whole vertebrae.

    Whole: no voxel on the border of the scan. Plausible: a volume in ``VOLUME`` and not far from its neighbours'. On
    bone: brighter inside its border than outside. C1 and C2 are left out: whose the dens is, only a person should say.
    """
    labels, hu = sitk.GetArrayViewFromImage(label_map), sitk.GetArrayViewFromImage(ct)
    spacing = np.array(ct.GetSpacing()[::-1])
    volumes: dict[Level, float] = {}
    for code, where in enumerate(ndimage.find_objects(labels), start=1):
        if (
            where is None
            or code <= Level.C2
            or any(s.start == 0 or s.stop == n for s, n in zip(where, labels.shape, strict=True))
        ):
            continue
        wider = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in where)
        mask, near = labels[wider] == code, hu[wider]
        volume = mask.sum() * spacing.prod()
        inner = mask & (ndimage.distance_transform_edt(mask, spacing) <= SHELL + spacing.min())
        outer = (labels[wider] == 0) & (ndimage.distance_transform_edt(~mask, spacing) <= SHELL + spacing.min())
        if VOLUME[0] <= volume <= VOLUME[1] and near[inner].mean() - near[outer].mean() >= CONTRAST:
            volumes[Level(code)] = volume
    strange = {
        level
        for upper, lower in itertools.pairwise(sorted(volumes, key=lambda level: level.rank))
        if may_follow(upper, lower) and not 1 / NEIGHBOURS <= volumes[lower] / volumes[upper] <= NEIGHBOURS
        for level in (upper, lower)
    }  # fmt: skip
    return tuple(level for level in volumes if level not in strange)
