"""Vertebrae measured as wholes, against blocks measured by hand and against phantoms of known dimensions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from blocks import DEPTH, HEIGHT, MIDDLE, WIDTH, block, filled, grid, solid, stack
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import SACRUM, Level
from SpineSegmentationLib.cache import Cache
from SpineSegmentationLib.measures.column import body_map, measure
from SpineSegmentationLib.numbering import Certainty, Numbering, Reading
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.phantom.column import build_column
from SpineSegmentationLib.phantom.grid import rotation
from SpineSegmentationLib.spine import Centroid, Centroids

L = Level


def one(level=L.L3, middle=MIDDLE, confidence=1.0) -> Centroids:
    return Centroids((Centroid(level, middle, confidence),))


def test_a_block_measured_by_hand():
    # 40 x 30 x 24 mm = 80 x 30 x 8 voxels of 0.5 x 1 x 3 mm; the middle lies between voxels, as do the faces.
    mask, ct = block(grid((0.5, 1.0, 3.0), (120, 60, 16)))
    (found,) = measure(ct, mask, one(confidence=0.75)).vertebrae
    assert found.level is L.L3 and found.complete and found.confidence == 0.75
    assert found.volume == 40 * 30 * 24
    assert found.body.width == pytest.approx(WIDTH, abs=0.05) and found.body.depth == pytest.approx(DEPTH, abs=0.05)
    for height in found.heights.all:
        assert height.value == pytest.approx(HEIGHT, abs=0.2)
    assert found.density.mean.value == 150 and found.density.sd == 0
    # What the segmenter says counts.
    (told,) = measure(ct, mask, one(), {L.L3: False, L.L4: True}).vertebrae
    assert not told.complete and told.heights == found.heights


@settings(max_examples=4)
@given(
    angles=st.tuples(*[st.integers(-25, 25)] * 3),
    spacing=st.tuples(st.floats(0.9, 1.3), st.floats(0.9, 1.3), st.floats(0.9, 1.7)),
    arch=st.booleans(),
)
def test_neither_the_grid_nor_the_arch_changes_the_body(angles, spacing, arch):
    size = [int(n / s) for n, s in zip((90, 110, 90), spacing, strict=True)]
    mask, ct = block(grid(spacing, size, rotation(*angles)), arch=arch)
    (found,) = measure(ct, mask, one()).vertebrae
    tolerance = max(spacing) + 0.3
    assert found.volume == pytest.approx(np.count_nonzero(sitk.GetArrayViewFromImage(mask)) * math.prod(spacing))
    assert found.body.width == pytest.approx(WIDTH, abs=tolerance)
    assert found.body.depth == pytest.approx(DEPTH, abs=tolerance)
    assert [height.value for height in found.heights.all] == pytest.approx([HEIGHT] * 3, abs=tolerance)
    assert found.density.mean.value == pytest.approx(150, abs=5)
    assert found.body.frame.axes == pytest.approx(np.eye(3), abs=0.09)
    assert found.body.frame.origin == pytest.approx(MIDDLE, abs=0.5)


@settings(max_examples=4)
@given(angles=st.tuples(*[st.integers(-20, 20)] * 3), shift=st.tuples(*[st.floats(-3, 3)] * 3))
def test_a_turned_and_moved_vertebra_has_the_same_heights(angles, shift):
    turn, middle = rotation(*angles), np.array(MIDDLE) + shift
    image = grid((1.0, 1.0, 1.0), (90, 100, 80))
    mask = filled(image, solid(image, middle, turn, front=18.0, back=24.0) * np.uint8(L.L3))
    (found,) = measure(mask, mask, one(middle=tuple(middle))).vertebrae
    heights = [height.value for height in found.heights.all]
    assert heights == pytest.approx([18, 21, 24], abs=0.9)
    frame = found.body.frame
    assert frame.up @ turn[:, 2] > np.cos(np.deg2rad(2)) and frame.left @ turn[:, 0] > np.cos(np.deg2rad(2.5))
    assert np.linalg.norm(frame.origin - middle) < 0.8


def test_mirror_images_have_mirrored_measures():
    image = grid((1.0, 1.0, 1.0), (91, 101, 81))
    turn = rotation(5, 8, 10)
    labels = solid(image, MIDDLE, turn, front=20.0).astype(np.uint8) * np.uint8(L.L3)
    pair = []
    for values in (labels, np.ascontiguousarray(labels[:, :, ::-1])):
        mask = filled(image, values)
        pair.append(measure(mask, mask, one()).vertebrae[0])
    (here, there) = pair
    flip = np.diag([-1.0, 1.0, 1.0])
    for a, b in zip(here.heights.all, there.heights.all, strict=True):
        assert a.value == pytest.approx(b.value, abs=0.15)
    assert flip @ here.body.upper.normal == pytest.approx(there.body.upper.normal, abs=0.01)
    assert flip @ here.body.frame.left == pytest.approx(-there.body.frame.left, abs=0.02)


@pytest.mark.parametrize("stored", ["RAS", "PIR", "SRA", "LAI"])
def test_the_order_in_which_voxels_are_stored_changes_nothing(stored):
    image = grid((0.9, 1.0, 1.3), (90, 100, 60))
    mask = filled(image, solid(image, MIDDLE, rotation(4, 6, 8), front=19.0, dent=1.5) * np.uint8(L.L3))
    here, there = (
        measure(one_mask, one_mask, one()).vertebrae[0] for one_mask in (mask, sitk.DICOMOrient(mask, stored))
    )
    assert [h.value for h in there.heights.all] == pytest.approx([h.value for h in here.heights.all], abs=0.1)
    assert there.body.frame.to_lps == pytest.approx(here.body.frame.to_lps, abs=0.05)
    assert (there.volume, there.body.width) == pytest.approx((here.volume, here.body.width), abs=0.1)


def test_a_known_dent_and_wedge():
    image = grid((0.9, 0.9, 0.9), (80, 90, 50))
    mask = filled(image, solid(image, front=18.0, back=26.0, dent=3.0) * np.uint8(L.L3))
    (found,) = measure(mask, mask, one()).vertebrae
    assert [h.value for h in found.heights.all] == pytest.approx([18.0, 22.0 - 6.0, 26.0], abs=0.8)
    angle = np.rad2deg(np.arctan2(4.0, DEPTH))  # each end-plate rises by 4 mm over the depth
    tilt = np.rad2deg(np.arctan2(-found.body.upper.normal[1], found.body.upper.normal[2]))
    assert abs(tilt) == pytest.approx(angle, abs=1.0)


def test_what_the_border_cuts_has_no_heights_and_no_grade():
    mask, ct = block(grid((1.0, 1.0, 1.0), (90, 100, 34)), (10.0, -20.0, 309.0))
    found = measure(ct, mask, one(middle=(10.0, -20.0, 309.0)))
    (vertebra,) = found.vertebrae
    assert not vertebra.complete and vertebra.body is None and "border" in vertebra.why
    assert not any(vertebra.heights.all) and "border" in vertebra.heights.middle.why
    assert found.deformities[L.L3].grade is None and "border" in found.deformities[L.L3].why
    assert vertebra.volume < WIDTH * DEPTH * HEIGHT


def test_a_cut_process_leaves_the_body_measurable():
    image = grid((1.0, 1.0, 1.0), (90, 90, 60), middle=(10.0, -32.0, 300.0))
    mask, ct = block(image, arch=True)
    assert sitk.GetArrayViewFromImage(mask)[:, -1].any()
    (found,) = measure(ct, mask, one()).vertebrae
    assert not found.complete and found.heights.middle.value == pytest.approx(HEIGHT, abs=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [Level.C5, Level.T5])
@pytest.mark.parametrize("aside", [0.3, 0.5, 0.7])
def test_a_mask_three_millimetres_thin_stops_no_measuring(level, aside):
    image = grid((1.0, 1.0, 1.0), (50, 40, 30))
    flat = np.zeros((30, 40, 50), np.uint8)
    flat[13:16, 10:30, 10:40] = level
    middle = image.TransformContinuousIndexToPhysicalPoint((24.5, 19.5, 14 + aside))
    mask = filled(image, flat)
    (found,) = measure(mask, mask, Centroids((Centroid(level, middle),))).vertebrae
    assert found.volume == 3 * 20 * 30 and (found.body is None) == bool(found.why)


def test_what_is_not_defined_is_missing_with_a_reason():
    image = grid((1.0, 1.0, 1.0), (60, 60, 60))
    mask, ct = block(image)
    (no_centroid,) = measure(ct, mask, Centroids()).vertebrae
    assert no_centroid.volume == WIDTH * DEPTH * HEIGHT and math.isnan(no_centroid.confidence)
    assert "centroid" in no_centroid.why
    (outside,) = measure(ct, mask, one(middle=(10.0, -20.0, 325.0))).vertebrae
    assert outside.body is None and "no body" in outside.why and outside.confidence == 1
    (c1,) = measure(ct, sitk.Cast((mask > 0) * int(L.C1), sitk.sitkUInt8), one(L.C1)).vertebrae
    assert c1.body is None and "atlas" in c1.why and c1.volume > 0
    (c2,) = measure(ct, sitk.Cast((mask > 0) * int(L.C2), sitk.sitkUInt8), one(L.C2)).vertebrae
    assert not c2.heights.anterior and c2.body.upper is None and c2.body.width == pytest.approx(WIDTH, abs=0.5)
    assert measure(ct, image, Centroids()).vertebrae == ()


def test_slices_too_thick_leave_numbers_out():
    mask, ct = block(grid((1.0, 1.0, 10.0), (80, 70, 12)))
    found = measure(ct, mask, one())
    assert "too long" in found.vertebrae[0].heights.anterior.why and found.vertebrae[0].width
    assert found.deformities[L.L3].grade is None


MEMBERS = [(L.L3, (0, 0, 66), {}), (L.L4, (0, 0, 33), {}), (L.L5, (0, 2, 0), {}), (SACRUM, (0, 2, -33), {})]


def lumbar():
    image = grid((1.0, 1.0, 1.0), (80, 90, 150), middle=(0, 5, 16))
    centroids = Centroids(tuple(Centroid(code, middle, 0.9) for code, middle, _ in MEMBERS[:3]))
    return stack(image, MEMBERS), centroids


def test_a_column_with_its_sacrum():
    mask, centroids = lumbar()
    found = measure(mask, mask, centroids)
    assert [(segment.upper, segment.lower) for segment in found.segments] == [("L3", "L4"), ("L4", "L5"), ("L5", "S1")]
    for segment in found.segments:
        assert [gap.value for gap in (segment.front, segment.middle, segment.back)] == pytest.approx([9] * 3, abs=0.5)
        assert segment.angle.value == pytest.approx(0, abs=0.5)
    # L4 stands 2 mm in front of L5.
    assert [segment.slip.value for segment in found.segments] == pytest.approx([0, 2, 0], abs=0.4)
    assert [segment.grade for segment in found.segments] == [0, 0, 0]
    assert found.sacrum.normal == pytest.approx([0, 0, 1], abs=0.02)
    assert found.sacrum.depth == pytest.approx(DEPTH, abs=1)
    assert found.cobb.angle.value == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize(
    "names, seen, pairs",
    [
        ({}, (L.L3, L.L4), [("L3", "L4")]),  # without L5's mask L4 stands on no sacrum
        ({L.L3: L.T11, L.L4: L.T12, L.L5: L.L1}, (L.T11, L.L1), []),
        ({L.L3: L.T12, L.L4: L.T13, L.L5: L.L1}, (L.T12, L.L1), []),
        ({L.L3: L.T11, L.L4: L.L1, L.L5: L.L2}, (L.T11, L.L1), [("T11", "L1")]),  # a person without T12
    ],
)
@pytest.mark.parametrize("with_centroids", [True, False])
def test_a_vertebra_without_a_mask_parts_its_neighbours(names, seen, pairs, with_centroids):
    mask, centroids = lumbar()
    named = sitk.ChangeLabel(mask, {int(old): int(new) for old, new in names.items()})
    points = Centroids(tuple(replace(point, level=names.get(point.level, point.level)) for point in centroids))
    kept = sitk.ChangeLabel(named, {int(level): 0 for level in set(points.levels) - set(seen)})
    found = measure(mask, kept, points if with_centroids else points.only(seen))
    assert [(segment.upper, segment.lower) for segment in found.segments] == pairs


def test_only_what_changed_is_measured_anew(monkeypatch):
    from SpineSegmentationLib.measures import column

    measured = []
    real = column.measure_vertebra
    monkeypatch.setattr(column, "measure_vertebra", lambda *a: measured.append(a[2]) or real(*a))
    mask, centroids = lumbar()
    known = Cache(10)
    measure(mask, mask, centroids, known=known)
    assert measured == [L.L3, L.L4, L.L5]
    measured.clear()
    mask[40, 45, 92] = 0
    again = measure(mask, mask, centroids, known=known)
    assert measured == [L.L4] and len(again.vertebrae) == 3


def test_the_body_without_its_arch():
    mask, centroids = lumbar()
    bodies = sitk.GetArrayFromImage(body_map(mask, measure(mask, mask, centroids)))
    labels = sitk.GetArrayFromImage(mask)
    assert np.all((bodies == 0) | (bodies == labels)) and not (bodies == SACRUM).any()
    for level in centroids.levels:
        assert np.count_nonzero(bodies == level) == pytest.approx(WIDTH * DEPTH * HEIGHT, rel=0.04)


def test_the_verdict_on_the_names_bounds_how_sure_measures_are():
    mask, centroids = lumbar()
    readings = (Reading(centroids.levels, 0.6), Reading((L.L2, L.L3, L.L4), 0.4))
    doubtful = Centroids(centroids.points, Numbering(Certainty.DOUBTFUL, readings))
    found = measure(mask, mask, doubtful)
    assert found.confidence("L3") == 0.6 and measure(mask, mask, centroids).confidence("L3", "S1") == 0.9


@pytest.mark.parametrize(
    "first, last, spacing, direction",
    [
        (L.T8, L.T11, (1.0, 1.0, 1.0), None),
        (L.L1, L.L4, (0.9, 0.9, 1.5), rotation(12, -9, 6)),
        (L.C4, L.C7, (0.8, 0.8, 1.0), None),
    ],
)
def test_phantoms_against_their_known_dimensions(first, last, spacing, direction):
    """Tolerances: middle height 0.7 mm, depth 1.2 mm, width 2 mm (cervical 2.5 mm: the transverse processes spring
    from the sides of the body), density 20 %, axes 3 degrees."""
    spec = PhantomSpec(seed=8, first=first, last=last, degeneration=0.0, noise=5.0, margin=45, field=(150, 170))
    phantom = make_phantom(spec, spacing, direction=None if direction is None else tuple(direction.ravel()))
    column = build_column(spec, np.random.default_rng(np.random.SeedSequence(spec.seed).spawn(4)[0]))
    found = measure(phantom.ct, phantom.label_map, phantom.centroids)
    for level in (level for level in Level if first.rank <= level.rank <= last.rank):
        member, vertebra = column[level], found[level]
        waist = 0.95 if level.region == "cervical" else 0.89
        # The end-plates are sunken, most so in the middle; the back is flattened.
        assert vertebra.heights.middle.value == pytest.approx(member.size.height - 2 * member.sunken, abs=0.7)
        assert vertebra.body.width == pytest.approx(
            waist * member.size.width, abs=2.5 if level.region == "cervical" else 2
        )
        assert vertebra.body.depth == pytest.approx((waist - 0.05) * member.size.depth, abs=1.2)
        marrow = spec.trabecular * (1.25 if member.place < 7 else 1)
        if not (level.region == "cervical" and vertebra.density.mean.why):  # flat ones are left out, saying so
            assert vertebra.density.mean.value == pytest.approx(marrow, rel=0.2)
        for mine, true in zip(vertebra.body.frame.axes.T, member.pose.axes.T, strict=True):
            assert mine @ true > np.cos(np.deg2rad(3))
