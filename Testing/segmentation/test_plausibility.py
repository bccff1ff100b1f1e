"""Measures of masks that need no truth, on values computed by hand and on a phantom whose masks are spoilt."""

import numpy as np
import pytest
import SimpleITK as sitk
from grids import blank
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.mask import VertebraMask
from SpineSegmentationLib.segmentation.plausibility import (
    TYPICAL,
    Size,
    asymmetry,
    missed_bone,
    no_bone,
    odd_sizes,
    otsu,
    overlap,
    reach,
    sizes,
    tissue,
    unlike_neighbours,
)
from SpineSegmentationLib.spine import Centroid, Centroids

L = Level


@pytest.fixture(scope="module")
def phantom():
    spec = PhantomSpec(seed=5, first=L.L2, last=L.L3, field=(110, 130), margin=40.0, noise=5.0)
    return make_phantom(spec, (2.0, 2.0, 2.0))


def like(array, image):
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


def spoilt(phantom, change):
    """The true label map after ``change`` of the array and the voxels (z, y, x) of L3."""
    labels = sitk.GetArrayFromImage(phantom.label_map)
    change(labels, np.nonzero(labels == L.L3))
    return like(labels, phantom.label_map)


def test_otsu_by_hand():
    # 0 0 1 | 8 9 9: any threshold from 1 on parts them; the first is taken.
    assert otsu(np.array([0, 0, 1, 8, 9, 9])) == 1
    # Parts {0}, {4, 10}: 1/3 * 2/3 * 7^2 = 10.9; {0, 4}, {10}: 2/3 * 1/3 * 8^2 = 14.2.
    assert otsu(np.array([0, 4, 10])) == 4


@given(st.lists(st.integers(-200, 1500), min_size=2, max_size=40).filter(lambda v: len(set(v)) > 1))
def test_otsu_parts_with_the_largest_variance_between(values):
    values = np.array(values)

    def between(threshold):
        low = values[values <= threshold]
        high = values[values > threshold]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2 if len(low) and len(high) else 0.0

    assert between(otsu(values)) == pytest.approx(max(between(t) for t in values), rel=1e-9)


def test_bone_is_told_from_what_is_none(phantom):
    found = tissue(phantom.ct, phantom.centroids)
    hu, labels = sitk.GetArrayFromImage(phantom.ct), sitk.GetArrayFromImage(phantom.label_map)
    assert found.dark < 0 < found.bone < np.quantile(hu[labels > 0], 0.9)
    with pytest.raises(ValueError, match="air and metal"):
        tissue(blank((20, 20, 20), 2.0, (0, 0, 0)) - 1000, Centroids((Centroid(L.L1, (20, 20, 20)),)))


def test_a_voxel_is_within_reach_of_one_vertebra(phantom):
    counts = np.zeros(phantom.ct.GetSize()[::-1], int)
    for place, within in reach(phantom.ct, phantom.centroids).values():
        counts[place] += within
    assert counts.max() == 1 and reach(phantom.ct, Centroids()) == {}


def test_what_a_mask_misses_and_what_it_should_not_have(phantom):
    values = tissue(phantom.ct, phantom.centroids)

    def half(labels, where):
        keep = where[0] > where[0].mean()
        labels[where[0][keep], where[1][keep], where[2][keep]] = 0

    def moved(labels, where):
        labels[where] = 0
        labels[where[0], np.maximum(where[1] - 30, 0), where[2]] = L.L3

    before, after = (
        missed_bone(phantom.ct, mask, phantom.centroids, values.bone)
        for mask in (phantom.label_map, spoilt(phantom, half))
    )
    assert after[L.L3] > before[L.L3] + 0.2
    assert after[L.L1] == before[L.L1]
    dark = values.bone  # of trabecular bone much lies under it, of fat and muscle nearly all
    assert no_bone(phantom.ct, spoilt(phantom, moved), dark)[L.L3] > no_bone(phantom.ct, phantom.label_map, dark)[L.L3]


def test_one_side_missing_is_no_symmetry(phantom):
    def one_side(labels, where):
        keep = where[2] < np.quantile(where[2], 0.3)
        labels[where[0][keep], where[1][keep], where[2][keep]] = 0

    whole = asymmetry(phantom.label_map, phantom.centroids)
    assert whole[L.L3] < 0.12
    assert asymmetry(spoilt(phantom, one_side), phantom.centroids)[L.L3] > whole[L.L3] + 0.1


def test_sizes_of_a_block():
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[20:40, 10:50, 20:40] = L.L3
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((1.0, 1.0, 1.5))
    found = sizes(image, Centroids((Centroid(L.L3, (30.0, 20.0, 45.0)),)))[L.L3]
    assert found.volume == 20 * 40 * 20 * 1.5
    assert found.height == pytest.approx(20 * 1.5, abs=2) and found.depth == pytest.approx(40, abs=2)
    labels[20:60, 10:50, 20:40] = L.L3  # it reaches the border of the scan: nobody knows its size
    assert sizes(like(labels, image), Centroids((Centroid(L.L3, (30.0, 20.0, 45.0)),))) == {}


def usual(level, factor=1.0):
    volume, height, depth = TYPICAL[level] * (factor**3, factor, factor)
    return Size(volume, height, depth)


def test_a_small_person_is_not_odd_but_one_small_vertebra_is():
    column = {level: usual(level, 0.8) for level in (L.T10, L.T11, L.T12, L.L1, L.L2)}
    assert odd_sizes(column) == {}
    column[L.T12] = Size(column[L.T12].volume * 0.5, column[L.T12].height, column[L.T12].depth * 1.5)
    assert odd_sizes(column) == {L.T12: "volume 0.50, depth 1.50"}
    assert unlike_neighbours({L.T10: usual(L.T10), L.T11: usual(L.T11)}) == {}


def test_an_empty_mask_has_no_size_to_compare():
    column = {level: usual(level) for level in (L.T10, L.T11, L.T12)}
    assert L.T10 not in unlike_neighbours(column | {L.T10: Size(0.0, 0.0, 0.0)})


def test_an_odd_size_is_a_warning_of_the_run(phantom, monkeypatch):
    class Truth:
        """The true masks, that of L3 without its processes and half of its body."""

        weights, runners = (), ()

        def __init__(self, device):
            pass

        def context(self, position, column):
            return ()

        def __call__(self, ct, position, column):
            level = min(
                phantom.centroids, key=lambda point: np.linalg.norm(np.subtract(point.position, position))
            ).level
            lattice = blank((190, 130, 110), 1.0, tuple(round(v) for v in ct.GetOrigin()))
            mine = sitk.Cast(phantom.label_map == int(level), sitk.sitkFloat32)
            probability = sitk.GetArrayFromImage(sitk.Resample(mine, lattice, sitk.Transform(), sitk.sitkLinear, 0.0))
            if level is L.L3:
                y = np.nonzero(probability >= 0.5)[1]
                probability[:, int(np.quantile(y, 0.35)) :] = 0
            return VertebraMask.of(probability, lattice)

    monkeypatch.setitem(pipeline.SEGMENTERS, "truth", Truth)
    result = Pipeline("anduin", "cpu", segmenter="truth").run(phantom.ct, centroids=phantom.centroids)
    odd = [line for line in result.warnings if "neighbours suggest" in line]
    assert [line[:30] for line in odd] == ["L3: look at its mask, volume 0"], odd


def test_overlap_is_what_another_claims_too():
    first = VertebraMask(np.full((2, 2, 4), 255, np.uint8), (0, 0, 0))
    second = VertebraMask(np.full((2, 2, 4), 200, np.uint8), (3, 0, 0))
    far = VertebraMask(np.full((1, 1, 1), 255, np.uint8), (50, 0, 0))
    assert overlap({L.L1: first, L.L2: second, L.L3: far}) == {L.L1: 0.25, L.L2: 0.25, L.L3: 0.0}
