"""The phantom: its truth must agree with itself, with the published dimensions and on every grid."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, SACRUM, STANDARD, Level, may_follow
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.phantom import Fracture, Phantom, PhantomSpec, Scoliosis, make_phantom
from SpineSegmentationLib.phantom.column import build_column
from SpineSegmentationLib.phantom.dimensions import DIMENSIONS
from SpineSegmentationLib.phantom.scanner import kernel, scan
from SpineSegmentationLib.phantom.shapes import bar, ellipsoid

L = Level
STRAIGHT = PhantomSpec(
    stature=1.0,
    cervical_lordosis=0,
    thoracic_kyphosis=0,
    lumbar_lordosis=0,
    variation=0,
    degeneration=0,
    noise=0,
    margin=5,
    field=(110, 140),
)


def labels_of(phantom: Phantom) -> np.ndarray:
    return sitk.GetArrayFromImage(phantom.label_map)


def label_at(phantom: Phantom, point: tuple[float, float, float]) -> int:
    return phantom.label_map[phantom.label_map.TransformPhysicalPointToIndex(point)]


@pytest.fixture(scope="module")
def whole() -> Phantom:
    return make_phantom(PhantomSpec(stature=1.0, margin=40, field=(120, 200)), spacing=(2, 2, 2))


def test_same_arguments_give_the_same_voxels_and_another_seed_others():
    one, two, other = (make_phantom(seed, (3, 3, 3), (40, 40, 50)) for seed in (5, 5, 6))
    assert np.array_equal(sitk.GetArrayFromImage(one.ct), sitk.GetArrayFromImage(two.ct))
    assert np.array_equal(labels_of(one), labels_of(two))
    assert one.centroids == two.centroids and one.spec == two.spec
    assert not np.array_equal(sitk.GetArrayFromImage(one.ct), sitk.GetArrayFromImage(other.ct))


def test_full_column_shows_every_level(whole):
    assert whole.centroids.levels == STANDARD
    assert set(np.unique(labels_of(whole))) == {0, *map(int, STANDARD)}
    assert whole.ct.GetPixelID() == sitk.sitkInt16 and whole.label_map.GetPixelID() == sitk.sitkUInt8
    assert whole.ct.GetOrigin() == whole.label_map.GetOrigin()


def test_the_sacrum_is_one_of_the_bones_and_no_vertebra(whole):
    bones, labels = sitk.GetArrayFromImage(whole.bones), labels_of(whole)
    assert whole.bones.GetOrigin() == whole.label_map.GetOrigin()
    np.testing.assert_array_equal(np.where(bones == SACRUM, 0, bones), labels)
    assert whole.bones[whole.bones.TransformPhysicalPointToIndex(whole.sacrum)] == SACRUM
    # L5 touches it and lies above nearly all of it.
    assert np.argwhere(bones == SACRUM)[:, 0].mean() < np.argwhere(bones == Level.L5)[:, 0].min()


def test_each_centroid_lies_in_its_own_body(whole):
    for centroid in whole.centroids:
        # The middle of the atlas is where the dens of the axis stands.
        expected = L.C2 if centroid.level is L.C1 else centroid.level
        assert label_at(whole, centroid.position) == int(expected), centroid.level.name


def test_neighbours_are_apart_as_in_people(whole):
    steps = np.linalg.norm(np.diff(whole.centroids.positions, axis=0), axis=1)
    assert np.all(np.diff(whole.centroids.positions[:, 2]) < 0)
    for (low, high), part in (((15, 24), steps[:6]), ((17, 33), steps[6:18]), ((29, 42), steps[18:])):
        assert np.all((part > low) & (part < high)), part


def test_every_vertebra_is_one_piece_and_keeps_clear_of_its_neighbours():
    for first, last in ((L.C1, L.C4), (L.L2, L.L4)):
        phantom = make_phantom(PhantomSpec(first=first, last=last, margin=30, field=(110, 120)), spacing=(1, 1, 1))
        labels = labels_of(phantom)
        for level in (level for level in phantom.centroids.levels if first.rank <= level.rank <= last.rank):
            pieces = sitk.ConnectedComponent(sitk.GetImageFromArray((labels == int(level)).astype(np.uint8)), True)
            counts = np.bincount(sitk.GetArrayFromImage(pieces).ravel())[1:]
            assert counts.max() / counts.sum() > 0.99, level.name
        for axis in range(3):
            a, b = (np.moveaxis(labels, axis, 0)[s].astype(int) for s in (slice(1, None), slice(None, -1)))
            touching = (a != b) & (a > 0) & (b > 0)
            assert touching.sum() < 1e-4 * (labels > 0).sum()


@pytest.mark.parametrize(("thoracic", "lumbar"), [(11, 5), (13, 5), (12, 6), (13, 6), (11, 6)])
def test_transitional_columns(thoracic, lumbar):
    spec = PhantomSpec(
        first=L.T10, last=L.L6 if lumbar == 6 else L.L5, thoracic=thoracic, lumbar=lumbar, margin=3, field=(90, 110)
    )
    phantom = make_phantom(spec, spacing=(3, 3, 3))
    seen = phantom.centroids.levels
    assert (L.T12 in seen, L.T13 in seen, L.L6 in seen) == (thoracic >= 12, thoracic == 13, lumbar == 6)
    assert all(may_follow(a, b) for a, b in zip(seen, seen[1:], strict=False))
    assert {int(level) for level in seen} <= set(np.unique(labels_of(phantom)))


def test_absent_levels_cannot_be_asked_for():
    with pytest.raises(SpineError, match="T12"):
        PhantomSpec(thoracic=11, last=L.T12)
    with pytest.raises(SpineError, match="L6"):
        PhantomSpec(last=L.L6)


def test_a_window_shows_the_same_truth_as_the_whole(whole):
    small = make_phantom(replace(whole.spec), spacing=(2, 2, 2), size=tuple(n - 20 for n in whole.ct.GetSize()))
    cut = labels_of(whole)[10:-10, 10:-10, 10:-10]
    assert np.array_equal(labels_of(small), cut)
    assert set(small.centroids.levels) <= set(whole.centroids.levels)
    for centroid in small.centroids:
        assert centroid == whole.centroids[centroid.level]


def test_window_holds_the_asked_levels_and_leaves_out_far_ones():
    phantom = make_phantom(PhantomSpec(first=L.T4, last=L.T7, margin=0), spacing=(3, 3, 3))
    assert {L.T4, L.T5, L.T6, L.T7} <= set(phantom.centroids.levels) <= {L.T3, L.T4, L.T5, L.T6, L.T7, L.T8}


def test_oblique_and_anisotropic_grids_show_the_same_truth():
    spec = PhantomSpec(first=L.L1, last=L.L3, field=(120, 120), margin=10)
    fine = make_phantom(spec, spacing=(1, 1, 1))
    turn = sitk.Euler3DTransform((0, 0, 0), 0.25, -0.2, 0.3).GetMatrix()
    for spacing, direction in (((1.5, 1.5, 1.5), turn), ((1, 1, 5), None), ((4, 1, 1), None)):
        other = make_phantom(spec, spacing=spacing, direction=direction)
        for level in (L.L1, L.L2, L.L3):
            assert other.centroids[level] == fine.centroids[level]
        again = sitk.Resample(fine.label_map, other.label_map, sitk.Transform(), sitk.sitkNearestNeighbor)
        inside = sitk.GetArrayFromImage(sitk.Resample(fine.ct + 5000, other.label_map)) > 0
        a, b = sitk.GetArrayFromImage(again)[inside], labels_of(other)[inside]
        dice = 2 * np.sum((a == b) & (a > 0)) / (np.sum(a > 0) + np.sum(b > 0))
        assert dice > 0.94, (spacing, dice)


def test_values_are_those_of_a_ct():
    spec = PhantomSpec(first=L.T7, last=L.T10, noise=8, trabecular=180, field=(220, 230))
    phantom = make_phantom(spec, spacing=(2, 2, 2))
    ct, labels = sitk.GetArrayFromImage(phantom.ct), labels_of(phantom)
    assert ct.min() >= -1024 and ct.max() <= 3071
    index = phantom.ct.TransformPhysicalPointToIndex(phantom.centroids[L.T9].position)
    x, y, z = index
    assert 130 < ct[z - 1 : z + 2, y - 3 : y + 1, x - 2 : x + 3].mean() < 230
    assert 250 < ct[labels > 0].mean() < 600
    lung = np.sum((ct > -930) & (ct < -750)) / ct.size
    assert lung > 0.1
    soft = ct[(labels == 0) & (ct > -150) & (ct < 120)]
    assert soft.size / ct.size > 0.3


def run_through(phantom: Phantom, level: Level, axis: int, offset: tuple[float, float, float] = (0, 0, 0)) -> float:
    """Length in mm of the unbroken run of a label through its centroid (shifted), along an axis of the image."""
    labels = labels_of(phantom) == int(level)
    point = np.add(phantom.centroids[level].position, offset)
    index = list(phantom.label_map.TransformPhysicalPointToIndex(point.tolist()))[::-1]
    index[2 - axis] = slice(None)
    line = labels[tuple(index)]
    start = phantom.label_map.TransformPhysicalPointToIndex(point.tolist())[axis]
    assert line[start]
    low = start - np.argmin(line[: start + 1][::-1]) + 1
    high = start + np.argmin(line[start:])
    return float((high - low) * phantom.label_map.GetSpacing()[axis])


@pytest.mark.parametrize("level", [L.C4, L.C6, L.T3, L.T8, L.T12, L.L2, L.L4])
def test_bodies_have_the_published_size(level):
    phantom = make_phantom(replace(STRAIGHT, first=level, last=level), spacing=(0.8, 0.8, 0.8))
    size = DIMENSIONS[level]
    # Just off the middle: the end-plates sink there, and the waist is narrow.
    edge = 0.36 * size.height
    assert run_through(phantom, level, 0, (0, 0, edge)) == pytest.approx(size.width, rel=0.12, abs=1)
    assert run_through(phantom, level, 1, (0, 0, edge)) == pytest.approx(size.depth, rel=0.15, abs=1)
    assert run_through(phantom, level, 2, (0, -0.34 * size.depth, 0)) == pytest.approx(size.height, rel=0.12, abs=1)


def test_fractures_lower_the_body():
    def heights(*fractures: Fracture) -> tuple[float, float, float]:
        spec = replace(STRAIGHT, first=L.L1, last=L.L1, margin=15, fractures=fractures)
        # The break bends the column: turn the vertebra back by looking at its own tilt.
        member = build_column(spec, np.random.default_rng(0))[L.L1]
        phantom = make_phantom(spec, spacing=(0.8, 0.8, 0.8), direction=member.pose.axes.ravel(), size=(70, 80, 60))
        depth = member.size.depth
        axis = member.pose.axes[:, 1]
        return tuple(run_through(phantom, L.L1, 2, tuple(axis * depth * f)) for f in (-0.42, 0.0, 0.25))

    front, middle, back = heights()
    wedge, dented, crushed = (heights(Fracture(L.L1, kind, 0.5)) for kind in ("wedge", "biconcave", "crush"))
    assert wedge[0] < 0.75 * front and wedge[2] > 0.7 * back
    assert dented[1] < 0.7 * middle and dented[0] > 0.75 * front
    assert all(broken < 0.7 * sound for broken, sound in zip(crushed, (front, middle, back), strict=True))


def test_scoliosis_has_its_cobb_angle():
    spec = replace(STRAIGHT, scoliosis=(Scoliosis(L.T9, 40, 8),))
    members = build_column(spec, np.random.default_rng(0)).members
    side = {m.level: np.rad2deg(np.arcsin(m.pose.axes[0, 2])) for m in members}
    assert side[L.T5] - side[L.L1] == pytest.approx(-40, abs=3)
    apex = next(m for m in members if m.level is L.T9).pose.position[0]
    ends = [m.pose.position[0] for m in members if m.level in (L.T5, L.L1)]
    assert apex > max(ends) + 8  # positive is convex to the left, which is +x


def test_metal_and_cement_shine():
    spec = PhantomSpec(first=L.L2, last=L.L4, noise=0, margin=5, field=(110, 120))
    plain, metal, cement = (
        sitk.GetArrayFromImage(make_phantom(s, (2, 2, 2)).ct).astype(int)
        for s in (spec, replace(spec, screws=(L.L2, L.L3)), replace(spec, cement=(L.L3,)))
    )
    assert plain.max() < 1500
    assert np.sum(metal > 2000) > 100 and np.sum(np.abs(metal - plain) > 50) > 5 * np.sum(metal > 2000)
    assert 1300 < cement.max() < 2200 and np.sum(cement > 1200) > 50


def test_noise_has_the_asked_deviation_and_kernels_keep_the_mean():
    for spec in (PhantomSpec(noise=25, blur=1.5, sharpness=0.0), PhantomSpec(noise=60, blur=1.0, sharpness=0.7)):
        image = scan(np.zeros((40, 60, 60), np.float32), np.array([0.9, 0.9, 1.5]), spec, np.random.default_rng(0))
        assert image[5:-5, 5:-5, 5:-5].std() == pytest.approx(spec.noise, rel=0.04)
    assert kernel(2.0, 0.5, 4.0, 1.0).sum() == pytest.approx(1)
    assert kernel(1.0, 0.0, 5.0, 1.0).max() == pytest.approx(0.2, abs=0.01)  # a 5 mm slice spreads over 5 voxels


def test_box_holds_the_labels(whole):
    labels = labels_of(whole)
    points = [whole.label_map.TransformIndexToPhysicalPoint(i[::-1].tolist()) for i in np.argwhere(labels > 0)[::500]]
    assert np.all(whole.box.contains(np.array(points)))
    assert whole.box.size[2] < labels.shape[0] * 2


def test_origin_moves_image_and_centroids_together():
    spec = PhantomSpec(first=L.L3, last=L.L3, field=(60, 80), margin=0)
    here, there = (make_phantom(replace(spec, origin=o), (3, 3, 3)) for o in ((0, 0, 0), (10, -200, 1500)))
    assert np.array_equal(labels_of(here), labels_of(there))
    assert np.allclose(there.centroids.positions - here.centroids.positions, [10, -200, 1500])
    assert np.allclose(np.subtract(there.ct.GetOrigin(), here.ct.GetOrigin()), [10, -200, 1500])


@pytest.mark.parametrize(
    "wrong",
    [
        {"thoracic": 10},
        {"noise": -1},
        {"stature": 3.0},
        {"first": L.L3, "last": L.T1},
        {"screws": (L.T13,)},
    ],
)
def test_impossible_specs_are_refused(wrong):
    with pytest.raises(SpineError):
        PhantomSpec(**wrong)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 30, 40), (30, 1, 40), (30, 40, 1), (1, 1, 1)])
def test_a_single_slice_is_a_slice_of_the_volume(size):
    spec = PhantomSpec(first=L.L2, last=L.L3)
    thin = make_phantom(spec, (3, 3, 3), size)
    thick = make_phantom(spec, (3, 3, 3), tuple(n + 2 for n in size))
    assert np.array_equal(labels_of(thin), labels_of(thick)[1:-1, 1:-1, 1:-1])


def test_impossible_grids_are_refused():
    for bad in ({"spacing": (1, 0, 1)}, {"size": (10, 10)}, {"direction": (2, 0, 0, 0, 1, 0, 0, 0, 1)}):
        with pytest.raises(SpineError):
            make_phantom(0, **bad)
    with pytest.raises(SpineError):
        Fracture(L.L1, "burst")
    with pytest.raises(SpineError):
        Scoliosis(L.T8, 120)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_random_specs_are_plausible_people(seed):
    spec = PhantomSpec.random(seed)
    assert spec == PhantomSpec.random(seed)
    column = build_column(spec, np.random.default_rng(seed))
    assert [m.level for m in column.members] == [level for level in COLUMN if level in spec.levels]
    steps = np.diff([m.pose.position for m in column.members], axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    assert np.all((lengths > 9) & (lengths < 50))
    turned = np.einsum("ij,ij->i", steps[1:], steps[:-1]) / (lengths[1:] * lengths[:-1])
    assert np.all(turned > 0.75)  # never a kink of more than about 40 degrees


@given(
    st.tuples(*[st.floats(-20, 20)] * 3),
    st.tuples(*[st.floats(-20, 20)] * 3),
    st.tuples(*[st.floats(-40, 40)] * 3),
)
def test_distance_to_a_capsule_is_exact(start, end, point):
    a, b, p = (np.array(v) for v in (start, end, point))
    if np.linalg.norm(b - a) < 0.5:
        return
    t = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    shape = bar(start, end, 3.0)
    local = shape.pose.axes.T @ (p - shape.pose.position)
    expected = np.linalg.norm(p - a - t * (b - a)) - 3.0
    assert shape.distance(*np.float32(local).reshape(3, 1)) == pytest.approx(expected, abs=1e-3)


def test_distance_to_a_ball_is_exact_and_zero_on_an_ellipsoid():
    ball, egg = ellipsoid((0, 0, 0), (5, 5, 5)), ellipsoid((0, 0, 0), (2, 3, 4))
    at = [np.float32([v]) for v in (1, 2, 2)]
    assert ball.distance(*at) == pytest.approx(3 - 5, abs=1e-4)
    assert egg.distance(*[np.float32([v]) for v in (0, 3, 0)]) == pytest.approx(0, abs=1e-5)
