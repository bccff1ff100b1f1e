"""The dens is C2's, though the segmenter draws it with C1."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.metrics import segmentation_scores
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation.dens import NOTHING, dens, joined, without
from SpineSegmentationLib.segmentation.mask import VertebraMask, merge
from SpineSegmentationLib.session.session import Session
from SpineSegmentationLib.spine import Centroids
from SpineSegmentationLib.weights import Weights

C1, C2 = Level.C1, Level.C2
NECK = PhantomSpec(seed=5, first=C1, last=C2, field=(110.0, 100.0), margin=8.0, noise=20.0)


def drawn(phantom, *, pointed: bool = False) -> dict[Level, VertebraMask]:
    """The masks as networks draw them: C1's has all bone above the body of C2, and the joint between.

    Args:
        pointed: the dens in C1's mask ends in a point towards the body, and what is round that is in none.
    """
    labels = sitk.GetArrayViewFromImage(phantom.label_map)
    upper, lower = (np.array(phantom.centroids[level].position)[::-1] for level in (C1, C2))
    origin = np.array(phantom.label_map.GetOrigin())[::-1]
    up = (upper - lower) / np.linalg.norm(upper - lower)
    relative = np.stack(np.indices(labels.shape), -1) + origin - lower
    height = relative @ up
    away = np.linalg.norm(relative - height[..., None] * up, axis=-1)
    stolen = (labels == C2) & (height > 8) & (away < 9)
    atlas = ndimage.binary_closing((labels == C1) | stolen, iterations=2)
    axis = (labels == C2) & ~stolen
    if pointed:
        atlas &= (away > 9) | (away < height - 7)
    return {C1: VertebraMask.of(atlas.astype(float), phantom.ct), C2: VertebraMask.of(axis.astype(float), phantom.ct)}


def on_the_lattice(spec: PhantomSpec):
    """A phantom whose voxels lie on the lattice of the masks."""
    phantom = make_phantom(spec, (1.0, 1.0, 1.0))
    to = np.array(phantom.ct.GetOrigin())
    by = np.rint(to) - to
    for image in (phantom.ct, phantom.label_map):
        image.SetOrigin((to + by).tolist())
    points = tuple(replace(p, position=tuple((np.array(p.position) + by).tolist())) for p in phantom.centroids)
    return replace(phantom, centroids=Centroids(points))


def places(phantom):
    return phantom.centroids[C1].position, phantom.centroids[C2].position


@pytest.mark.parametrize(("seed", "rotation"), [(5, (0.0, 0.0, 0.0)), (6, (18.0, 0.0, 0.0)), (7, (-12.0, 12.0, 15.0))])
def test_the_dens_of_a_phantom_goes_to_c2_straight_and_tilted(seed, rotation):
    phantom = on_the_lattice(replace(NECK, seed=seed, rotation=rotation))
    masks = drawn(phantom)
    before = segmentation_scores(phantom.label_map, merge(masks, phantom.label_map))
    part = dens(phantom.ct, masks[C1], masks[C2], *places(phantom))
    after = segmentation_scores(
        phantom.label_map,
        merge({C1: without(masks[C1], part), C2: joined(masks[C2], part)}, phantom.label_map),
    )
    assert before.mixing[C1] > 0.05
    assert after.mixing[C1] < 0.02 and after.mixing[C2] < 0.02
    assert all(after.dice[level] > before.dice[level] for level in (C1, C2))


def test_a_dens_that_ends_in_a_point_goes_to_c2():
    """Where the two meet in few voxels: seven of 30 phantoms left the dens to C1."""
    phantom = on_the_lattice(replace(NECK, seed=6))
    masks = drawn(phantom, pointed=True)
    part = dens(phantom.ct, masks[C1], masks[C2], *places(phantom))
    given = {C1: without(masks[C1], part), C2: joined(masks[C2], part)}
    assert segmentation_scores(phantom.label_map, merge(masks, phantom.label_map)).mixing[C1] > 0.05
    assert segmentation_scores(phantom.label_map, merge(given, phantom.label_map)).mixing[C1] < 0.02


def test_where_c2_has_its_dens_nothing_is_given():
    phantom = Drawing.phantom
    labels = sitk.GetArrayViewFromImage(phantom.label_map)
    masks = [VertebraMask.of((labels == level).astype(float), phantom.ct) for level in (C1, C2)]
    assert not dens(phantom.ct, *masks, *places(phantom)).probability.any()


def test_bodies_with_a_disc_between_them_have_no_dens():
    phantom = on_the_lattice(replace(NECK, first=Level.C4, last=Level.C5))
    labels = sitk.GetArrayViewFromImage(phantom.label_map)
    masks = [VertebraMask.of((labels == level).astype(float), phantom.ct) for level in (Level.C4, Level.C5)]
    at = [phantom.centroids[level].position for level in (Level.C4, Level.C5)]
    assert not dens(phantom.ct, *masks, *at).probability.any()


def test_two_points_at_one_place_have_no_dens():
    phantom, masks = Drawing.phantom, Drawing.masks
    assert not dens(phantom.ct, masks[C1], masks[C2], (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)).probability.any()


def test_a_c1_below_c2_is_none_and_takes_no_body_away():
    phantom, masks = Drawing.phantom, Drawing.masks
    upper, lower = places(phantom)
    assert dens(phantom.ct, masks[C1], masks[C2], upper, lower).probability.any()
    assert not dens(phantom.ct, masks[C2], masks[C1], lower, upper).probability.any()


def test_a_part_that_is_taken_away_and_added_again_changes_nothing():
    mask = VertebraMask(np.full((4, 5, 6), 200, np.uint8), (10, 20, 30), confidence=0.9)
    part = VertebraMask(np.full((2, 2, 2), 200, np.uint8), (10, 20, 30))
    less = without(mask, part)
    assert (less.probability == 0).sum() == 8 and less.confidence == 0.9
    assert joined(less, part).digest == mask.digest
    assert joined(mask, NOTHING) is mask
    far = joined(part, replace(part, corner=(13, 20, 30)))
    assert far.probability.shape == (2, 2, 5) and (far.probability[..., 2] == 0).all()


class Drawing:
    """A segmenter that draws the vertebra of a phantom that lies nearest."""

    phantom = on_the_lattice(NECK)
    masks = drawn(phantom)
    calls = 0

    def __init__(self, device) -> None:
        self.weights = (Weights("drawing", Path("none"), "drawing", "none"),)
        self.runners = (SimpleNamespace(warnings=[]),)

    def context(self, position, column):
        return ()

    def __call__(self, ct, position, column):
        Drawing.calls += 1
        nearest = min(self.phantom.centroids, key=lambda p: np.linalg.norm(np.subtract(p.position, position)))
        return self.masks[nearest.level]


@pytest.fixture
def road(monkeypatch) -> Pipeline:
    monkeypatch.setitem(pipeline.SEGMENTERS, "drawing", Drawing)
    return Pipeline("anduin", "cpu", segmenter="drawing")


def labels_of(road: Pipeline, centroids: Centroids, **only) -> np.ndarray:
    return sitk.GetArrayFromImage(road.run(Drawing.phantom.ct, centroids=centroids, **only).label_map)


def test_the_dens_depends_on_the_names_alone_and_on_both(road):
    given = Drawing.phantom.centroids
    both = labels_of(road, given)
    assert (both == C2).sum() > 1.05 * (labels_of(road, given.only([C2])) == C2).sum()
    np.testing.assert_array_equal(labels_of(road, given, only=[C2]) == C2, both == C2)
    others = Centroids(tuple(replace(p, level=Level(p.level + 1)) for p in given))
    assert (labels_of(road, others) == C2).sum() > 1.05 * (both == C1).sum()


def test_edits_give_what_a_fresh_run_gives_and_compute_one_mask(road):
    given = Drawing.phantom.centroids
    session = Session(Drawing.phantom.ct, road)
    session.run(centroids=given)
    for edit in (
        lambda: session.move(C2, tuple(np.add(given[C2].position, (0.5, 1.0, -1.0)).tolist())),
        lambda: session.rename(C1, Level.C5),
        lambda: session.rename(Level.C5, C1),
        lambda: session.delete(C1),
        session.undo,
        lambda: session.move(C1, tuple(np.add(given[C1].position, (1.0, 0.0, 1.0)).tolist())),
    ):
        calls = Drawing.calls
        edit()
        assert Drawing.calls <= calls + 1
        fresh = labels_of(road, session.state.centroids)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(session.label_map), fresh)
