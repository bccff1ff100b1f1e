"""Sekuboyina's whole-spine mask without trained weights: blocks, late fusion, and the split into vertebrae."""

import numpy as np
import pytest
import SimpleITK as sitk
from perfect import coded, truth

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.cache import Cache
from SpineSegmentationLib.segmentation.attention import (
    BORDER,
    LONE,
    AttentionSegmenter,
    SpineMap,
    overlooked,
    part_of,
)
from SpineSegmentationLib.segmentation.column import Column
from SpineSegmentationLib.segmentation.lessmann import nothing
from SpineSegmentationLib.segmentation.mask import merge
from SpineSegmentationLib.session.memory import Memory, scan_of, text_of
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.training.subjects import _body_centres

BLOCK = (96, 96, 12)


def attention_map(ct: sitk.Image, value: float = 1.0) -> sitk.Image:
    box = SpineBox.of_image(ct)
    image = sitk.Image([int(n) for n in np.ceil(box.size / [8, 16, 16]) + 2], sitk.sitkFloat32) + value
    image.SetSpacing((8.0, 16.0, 16.0))
    image.SetOrigin((np.array(box.lower) - [8, 16, 16]).tolist())
    return image


def echo(ct: sitk.Image, attention: sitk.Image) -> SpineMap:
    """A map whose network calls bone what is above 500 HU."""
    return SpineMap(ct, 2.0, BLOCK, attention, lambda hu: (hu > 500).astype(np.float32))


def test_blocks_make_one_map_wherever_it_is_asked():
    labels = truth()
    ct = coded(labels)
    first = np.array([-150, -20, -50])  # the lattice position z,y,x of the scan's first voxel
    whole = echo(ct, attention_map(ct)).part(first, labels.shape)
    np.testing.assert_array_equal(whole > 0, labels > 0)
    shift = np.array([7, 11, 5])
    part = echo(ct, attention_map(ct)).part(first + shift, (30, 25, 20))
    np.testing.assert_array_equal(part, whole[7:37, 11:36, 5:25])


def test_bone_away_from_the_spine_is_cleared_and_costs_nothing():
    ct = coded(truth())
    asked = []
    blank = SpineMap(ct, 2.0, BLOCK, attention_map(ct, 0.0), lambda hu: asked.append(1))
    assert not blank.part(np.array([-150, -20, -50]), (40, 40, 40)).any()
    assert not asked


def test_the_borders_of_blocks_are_discarded():
    ct = coded(truth())
    shapes = []

    def ask(hu):
        shapes.append(hu.shape)
        values = np.zeros(hu.shape, np.float32)
        values[: BORDER[0]] = values[-BORDER[0] :] = 1
        return values

    mapped = SpineMap(ct, 2.0, BLOCK, attention_map(ct), ask)
    assert not mapped.part(np.array([-150, -20, -50]), (60, 60, 40)).any()
    assert set(shapes) == {BLOCK}


def test_vertebrae_without_centroid_are_thought_of_by_hand():
    alone = overlooked(np.array([[50.0, 10, 10]]), 2.0)
    np.testing.assert_allclose(np.sort(alone[:, 0]), 50 + LONE / 2 * np.array([-2, -1, 1, 2]))
    pair = overlooked(np.array([[20.0, 10, 10], [30.0, 12, 10]]), 2.0)
    np.testing.assert_allclose(sorted(pair.tolist()), [[0, 6, 10], [10, 8, 10], [40, 14, 10], [50, 16, 10]])
    # 10, 10, and 31 where two are missing; beyond the ends the usual distance.
    gap = overlooked(np.array([[0.0, 0, 0], [10, 0, 0], [20, 0, 0], [51, 0, 0]]), 2.0)
    np.testing.assert_allclose(np.sort(gap[:, 0]), [-20, -10, 20 + 31 / 3, 20 + 62 / 3, 61, 71])


def test_two_bodies_that_touch_are_split_where_they_are_thin():
    bone = np.zeros((44, 20, 20), bool)
    bone[4:20, 2:18, 2:18] = bone[24:40, 2:18, 2:18] = True
    bone[20:24, 8:12, 8:12] = True
    lower = part_of(bone, np.array([12.0, 10, 10]), np.array([[32.0, 10, 10]]), 2.0)
    upper = part_of(bone, np.array([32.0, 10, 10]), np.array([[12.0, 10, 10]]), 2.0)
    assert lower[4:20, 2:18, 2:18].all() and not lower[24:].any()
    assert upper[24:40, 2:18, 2:18].all() and not upper[:20].any()
    assert not (lower & upper).any()
    assert not part_of(bone, np.array([12.0, 10, 40]), np.zeros((0, 3)), 2.0).any()  # no bone there


def test_a_hole_beside_the_centroid_loses_no_vertebra():
    bone = np.zeros((64, 20, 20), bool)
    bone[4:60, 2:18, 2:18] = True
    bone[20:24] = bone[40:44] = False
    bone[20:24, 4:16, 4:16] = bone[40:44, 4:16, 4:16] = True  # discs that are bridged by bone
    bone[28:36, 6:14, 6:9] = bone[28:36, 6:14, 11:14] = False  # and hollows on both sides of the middle one's centroid
    lower, middle, upper = np.array([12.0, 10, 10]), np.array([32.0, 10, 10]), np.array([52.0, 10, 10])
    found = part_of(bone, middle, np.array([upper, lower]), 2.0)
    assert (found & bone)[26:38].sum() > 0.9 * bone[26:38].sum()


@pytest.fixture
def segmenter():
    segmenter = AttentionSegmenter.__new__(AttentionSegmenter)
    segmenter.spacing, segmenter.block, segmenter.weights, segmenter._scan = 2.0, BLOCK, (), None
    segmenter.ask = lambda hu: (hu > 500).astype(np.float32)
    segmenter.attention = type("Map", (), {"attention": staticmethod(attention_map)})()
    return segmenter


def test_a_perfect_spine_mask_is_split_into_its_vertebrae(segmenter):
    labels = truth()
    ct = coded(labels)
    places = {
        level: ct.TransformContinuousIndexToPhysicalPoint([float(v) for v in centre[::-1]])
        for level, centre in _body_centres(labels).items()
        if level is not Level.T9  # whose spinous process alone is in view
    }
    column = Column(ct, "attention", segmenter, places.values(), Cache(64))
    masks = {level: column.mask(place) for level, place in places.items()}
    found = sitk.GetArrayFromImage(merge(masks, ct))
    for level in (Level.T12, Level.L1, Level.L2, Level.L3):
        both = ((found == level) & (labels == level)).sum()
        # The joints of this phantom are as thick as its pedicles: the lowest loses a part of its arch.
        assert 2 * both / ((found == level).sum() + (labels == level).sum()) > 0.86, level


def test_masks_depend_on_the_vertebrae_nearby_alone(segmenter):
    ct = coded(truth())
    places = [(-45.0, 20.0, z) for z in (-280.0, -250.0, -220.0, -190.0, -100.0)]
    column = Column(ct, "attention", segmenter, places, Cache(64))
    assert segmenter.context(places[0], column) == tuple(reversed(places[1:4]))
    # Whoever listed them first, and kept with a scene.
    assert segmenter.context(places[0], Column(ct, "attention", segmenter, places[::-1], Cache(64))) == tuple(
        reversed(places[1:4])
    )
    _, text = text_of(column.key(places[0]), nothing(places[0]))
    assert list(Memory(scan_of(ct), {"": text}).of(scan_of(ct))) == [column.key(places[0])]
    assert segmenter.map_of(ct) is segmenter.map_of(ct)
    assert segmenter.map_of(coded(truth())) is not segmenter.map_of(ct)


def test_two_points_at_one_place_are_one_neighbour(segmenter):
    ct = coded(truth())
    place, *others = [(-45.0, 20.0, z) for z in (-230.0, -200.0, -200.0, -200.0)]
    column = Column(ct, "attention", segmenter, [place, *others], Cache(64))
    alone = Column(ct, "attention", segmenter, [place, others[0]], Cache(64))
    assert column.mask(place).digest == alone.mask(place).digest
