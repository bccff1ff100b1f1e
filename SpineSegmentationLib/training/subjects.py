"""What the networks learn from: people, real or synthetic, resampled once to the resolution of a task.

Arrays are z,y,x; positions are voxel indices in z,y,x order of the same array. Tissue codes of label atlases are
VerSe codes for vertebrae, 26 sacrum, 30 disc, 31-54 ribs and so on (see :mod:`.synthesis`).
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..anatomy import SACRUM, Level, may_follow
from ..errors import SpineError
from ..evaluation.dataset import find_scans, read_annotation
from ..foreign.centres import body_centre
from ..io.ct import read_ct
from ..io.image_files import read_volume
from ..labelling.distances import DISTANCE
from ..phantom import PhantomSpec, make_phantom
from ..resampling import resample
from ..spine import SpineBox


@dataclass(frozen=True)
class Subject:
    """One person at one resolution.

    Attributes:
        name: where it comes from.
        hu: int16 (z, y, x), or None for a label atlas; of a ``whole`` person the bones alone, 0 elsewhere.
        labels: uint8 tissue codes (z, y, x), or None for a CT without a mask.
        whole: labels name every tissue (0 is air); otherwise 0 is unknown.
        levels: the annotated vertebrae, and ``positions`` (N, 3) their centroids in voxel indices z,y,x.
        spacing: mm, isotropic.
        source: ``"real"``, ``"own"`` (real, its masks drawn by a network), ``"atlas"`` or ``"phantom"``.
        sacrum: the centre of S1 in voxel indices z,y,x, None where it is not known.
    """

    name: str
    hu: np.ndarray | None
    labels: np.ndarray | None
    whole: bool
    levels: tuple[Level, ...]
    positions: np.ndarray
    spacing: float
    source: str = "real"
    sacrum: np.ndarray | None = None

    @property
    def shape(self) -> np.ndarray:
        voxels = self.labels if self.hu is None else self.hu
        assert voxels is not None  # a subject has the one or the other
        return np.array(voxels.shape)


def shares(subjects: list[Subject], weights: np.ndarray, of_source: dict[str, float]) -> np.ndarray:
    """Probabilities of drawing each subject: ``weights`` within a source, the given share for each source."""
    sources = np.array([subject.source for subject in subjects])
    result = np.zeros(len(subjects))
    for source, share in of_source.items():
        mine = sources == source
        if mine.any():
            result[mine] = share * weights[mine] / weights[mine].sum()
    return result / result.sum()


def rarity(subjects: list[Subject]) -> np.ndarray:
    """How seldom the levels of a subject are seen: the mean of 1 / number of subjects with the level, (N,)."""
    seen = Counter(level for subject in subjects for level in subject.levels)
    return np.array([np.mean([1 / seen[level] for level in subject.levels]) for subject in subjects])


def _resample_labels(labels: sitk.Image, spacing: float) -> sitk.Image:
    """Labels on the isotropic LPS lattice, each interpolated by its signed distance (thick slices stay smooth)."""
    grid = resample(sitk.Cast(labels, sitk.sitkInt16), spacing, fill=0)
    array = np.zeros(grid.GetSize()[::-1], np.uint8)
    best = np.full(array.shape, -0.5, np.float32)
    source = sitk.GetArrayViewFromImage(labels)
    for code, where in enumerate(ndimage.find_objects(source), start=1):
        if where is None:
            continue
        low = [max(s.start - 3, 0) for s in where][::-1]
        size = [min(s.stop + 3, n) - a for s, n, a in zip(where[::-1], labels.GetSize(), low, strict=True)]
        crop = sitk.RegionOfInterest(labels, size, low) == code
        distance = sitk.SignedMaurerDistanceMap(
            crop, insideIsPositive=True, squaredDistance=False, useImageSpacing=True
        )
        box = SpineBox.of_image(distance)
        last = np.array(grid.GetSize()) - 1
        lower = np.floor(grid.TransformPhysicalPointToContinuousIndex(box.lower)).astype(int).clip(0, last)
        upper = np.ceil(grid.TransformPhysicalPointToContinuousIndex(box.upper)).astype(int).clip(lower + 1, last + 1)
        region = sitk.RegionOfInterest(grid, [int(v) for v in upper - lower], [int(v) for v in lower])
        value = sitk.GetArrayFromImage(sitk.Resample(distance, region, sitk.Transform(), sitk.sitkLinear, -9.0))
        place = tuple(slice(a, b) for a, b in zip(lower[::-1], upper[::-1], strict=True))
        wins = value > best[place]
        best[place][wins] = value[wins]
        array[place][wins] = code
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image


def _body_centres(labels: np.ndarray) -> dict[Level, np.ndarray]:
    """Centre of every vertebral body in a label array at any isotropic spacing (:func:`foreign.centres.body_centre`).

    C1 has no body: the middle between its masses, moved to the front third, where the dens stands.
    """
    centres: dict[Level, np.ndarray] = {}
    for code, where in enumerate(ndimage.find_objects(labels), start=1):
        if where is None or code not in Level._value2member_map_:
            continue
        mask = labels[where] == code
        if mask.sum() < 30:
            continue
        start = np.array([s.start for s in where])
        if code == Level.C1:
            z, y, x = np.nonzero(mask)
            centres[Level.C1] = start + [z.mean(), y.min() + 0.25 * np.ptp(y), x.mean()]
            continue
        centres[Level(code)] = start + body_centre(mask, np.ones(3), np.array([0, 1, 0]))
    return centres


def _first_sacral(labels: np.ndarray, centres: dict[Level, np.ndarray]) -> np.ndarray | None:
    """Centre of the body of S1 in a label array: the thickest part of the sacrum below the last lumbar vertebra."""
    last = max((level for level in centres if level.region == "lumbar"), key=lambda level: level.rank, default=None)
    if last not in (Level.L5, Level.L6):
        return None
    distance = ndimage.distance_transform_edt(np.pad(labels == SACRUM, 1))[1:-1, 1:-1, 1:-1]
    z, y, x = np.nonzero(distance)
    if not len(z):
        return None
    places = np.stack([z, y, x], 1)
    away = np.linalg.norm(places - centres[last], axis=1)
    near = (away < away.min() * 1.9) & (np.abs(x - centres[last][2]) < 0.5 * away.min() + 2)
    depth = distance[z, y, x] * near
    centre = places[depth >= 0.8 * depth.max()].mean(0)
    # Where the labels end within S1, the thickest part of what is left is not its middle.
    return centre if centre[0] >= 0.35 * away.min() else None


def _make(
    name: str,
    ct: sitk.Image | None,
    labels: sitk.Image | None,
    whole: bool,
    points: dict[Level, np.ndarray] | None,
    spacing: float,
    sacrum: np.ndarray | None = None,
) -> Subject:
    """Builds a subject; ``points`` and the centre of S1 in LPS mm, taken from the labels when None."""
    hu = label_array = None
    if ct is not None:
        grid = resample(ct, spacing)
        hu = np.clip(np.rint(sitk.GetArrayFromImage(grid)), -1024, 3071).astype(np.int16)
    if labels is not None:
        if ct is None:
            grid = _resample_labels(labels, spacing)
            label_array = sitk.GetArrayFromImage(grid)
        else:
            own = _resample_labels(labels, spacing)
            label_array = sitk.GetArrayFromImage(
                sitk.Resample(own, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
            )
    if points is None:
        assert label_array is not None
        centres = _body_centres(label_array)
        levels, positions = tuple(centres), np.array(list(centres.values()))
        first_sacral = _first_sacral(label_array, centres)
    else:
        levels = tuple(points)
        index = [grid.TransformPhysicalPointToContinuousIndex(np.asarray(p, float).tolist()) for p in points.values()]
        positions = np.array(index).reshape(-1, 3)[:, ::-1]
        first_sacral = None
        if sacrum is None and label_array is not None:
            first_sacral = _first_sacral(label_array, dict(zip(levels, positions, strict=True)))
        elif sacrum is not None:
            first_sacral = np.array(grid.TransformPhysicalPointToContinuousIndex([float(v) for v in sacrum]))[::-1]
    kept = ~_cut_off(levels, positions.reshape(-1, 3) * spacing)
    levels = tuple(level for level, keep in zip(levels, kept, strict=True) if keep)
    return Subject(name, hu, label_array, whole, levels, positions.reshape(-1, 3)[kept], spacing, sacrum=first_sacral)


def _cut_off(levels: tuple[Level, ...], positions: np.ndarray) -> np.ndarray:
    """Which levels are shown without their body, so that their "centre" (mm) lies too far from their neighbour's."""
    cut = np.zeros(len(levels), bool)
    for i, (upper, lower) in enumerate(itertools.pairwise(levels)):
        if may_follow(upper, lower) and np.linalg.norm(positions[i] - positions[i + 1]) > 1.6 * DISTANCE[upper]:
            cut[i if i == 0 else i + 1] = True
    return cut


def read_points(path: Path) -> dict[Level, np.ndarray]:
    """The centroids of ``centroids.json`` of the real CT; S1 is no level of the product and is left out."""
    points = json.loads(path.read_text())["points"]
    return {Level[p["label"]]: np.array(p["position"], float) for p in points if p["label"] in Level.__members__}


def _read_sacrum(path: Path) -> np.ndarray | None:
    """The centre of S1 in ``centroids.json`` (LPS mm), None where it is not annotated."""
    points = json.loads(path.read_text())["points"]
    return next((np.array(p["position"], float) for p in points if p["label"] == "S1"), None)


VALIDATION = tuple((Path(__file__).parent / "validation.txt").read_text().split())
"""Cases that no training reads but a final fit."""


BONES_ONLY = {"ts0328_boneonly": "totalseg_s0328"}
"""Real CT of which the bones alone keep their HU, and the atlas of the same person that names all tissues."""


def scan_names(root: Path, final: bool = False) -> list[str]:
    """The annotated real CT under ``root/ct`` that may be trained on; in a ``final`` fit all of them."""
    return sorted(folder.name for folder in (root / "ct").iterdir() if final or folder.name not in VALIDATION)


def real_subjects(root: Path, spacing: float, masks_only: bool = False, final: bool = False) -> Iterator[Subject]:
    """The training half of the annotated real CT under ``root/ct``; at 4 mm the whole field of view.

    Args:
        masks_only: leave out those without a mask.
        final: the validation cases, too.
    """
    for name in scan_names(root, final):
        folder = root / "ct" / name
        path = folder / "ct_4mm.nii.gz" if spacing == 4 else folder / "ct.nii.gz"
        if not path.exists():
            path = folder / "ct.nii.gz"
        mask = folder / "seg-vert_msk.nii.gz"
        if folder.name in BONES_ONLY:
            mask = root / "anatomy" / BONES_ONLY[folder.name] / "labels.nii.gz"
        if masks_only and not mask.exists():
            continue
        yield _make(
            folder.name,
            sitk.ReadImage(str(path)),
            sitk.ReadImage(str(mask), sitk.sitkUInt8) if mask.exists() else None,
            folder.name in BONES_ONLY,
            read_points(folder / "centroids.json"),
            spacing,
            _read_sacrum(folder / "centroids.json"),
        )


def negative_subjects(root: Path, spacing: float) -> Iterator[Subject]:
    """Real CT under ``root/negatives`` that shows no vertebra."""
    for folder in sorted((root / "negatives").glob("*/ct.nii.gz")):
        yield _make(folder.parent.name, sitk.ReadImage(str(folder)), None, False, {}, spacing)


def atlas_subjects(root: Path, spacing: float) -> Iterator[Subject]:
    """The label atlases under ``root/anatomy``."""
    for folder in sorted((root / "anatomy").iterdir()):
        labels = sitk.ReadImage(str(folder / "labels.nii.gz"), sitk.sitkUInt8)
        whole = bool(np.isin(sitk.GetArrayViewFromImage(labels), (70, 71)).any())
        yield replace(_make(folder.name, None, labels, whole, None, spacing), source="atlas")


def verse_subjects(folder: Path, spacing: float) -> Iterator[Subject]:
    """The scans of a folder in the VerSe layout that have a CT and centroids or a mask.

    Raises:
        SpineError: a file that cannot be read.
    """
    for scan in find_scans(folder):
        if scan.ct is None:
            continue
        read = read_ct(scan.ct)
        ct = read.image
        annotation = read_annotation(scan, read_volume(scan.ct, []) if read.resampled else ct)
        if annotation.problems:
            raise SpineError(annotation.problems[0])
        points = {p.level: np.array(p.position) for p in annotation.centroids or ()}
        if points:
            yield _make(scan.name, ct, annotation.mask, False, points, spacing)


def phantom_subjects(
    count: int, seed: int, spacing: float, field: tuple[tuple[float, float], tuple[float, float]]
) -> Iterator[Subject]:
    """Phantoms of random people; ``field`` are the least and the largest field of view (width, depth) in mm.

    Seeds start at 1000 + 100000 * ``seed``: those below are left for validation.
    """
    first = 1000 + 100_000 * seed
    for number in range(first, first + count):
        size = np.random.default_rng(number).uniform(*field)
        phantom = make_phantom(PhantomSpec.random(number, field=(float(size[0]), float(size[1]))), (spacing,) * 3)
        points = {p.level: np.array(p.position) for p in phantom.centroids}
        if points:
            labels = phantom.bones if spacing <= 2 else None
            sacrum = None if phantom.sacrum is None else np.array(phantom.sacrum)
            subject = _make(f"phantom{number}", phantom.ct, labels, False, points, spacing, sacrum)
            yield replace(subject, source="phantom")
