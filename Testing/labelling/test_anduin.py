"""The stages' own steps, without trained networks: from maps to boxes, curves, candidates and patches."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from SpineSegmentationLib import pipeline
from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.detection.anduin import LOWER_MARGIN, UPPER_MARGIN, spine_box
from SpineSegmentationLib.detection.combined import agreed
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.labelling.anduin import SLAB, candidates, found_curve, level_maps, middle_curve, project
from SpineSegmentationLib.labelling.sequence import DISTANCE, best_sequence
from SpineSegmentationLib.networks.heatmap import gaussians
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.segmentation import patch
from SpineSegmentationLib.segmentation.anduin import AnduinSegmenter
from SpineSegmentationLib.segmentation.payer import PayerSegmenter
from SpineSegmentationLib.spine import SpineBox
from SpineSegmentationLib.training.anduin_labelling import level_distribution


def image_of(shape, spacing, origin=(0.0, 0.0, 0.0)):
    image = sitk.Image([int(n) for n in reversed(shape)], sitk.sitkFloat32)
    image.SetSpacing((spacing,) * 3)
    image.SetOrigin(origin)
    return image


def test_the_box_is_the_hot_voxels_and_the_margins():
    image = image_of((50, 60, 70), 4.0, (-100.0, 0.0, 8.0))
    heat = np.zeros((50, 60, 70), np.float32)
    heat[20:30, 25:27, 35] = 0.9
    box = spine_box(heat, image, SpineBox.of_image(image))
    lower = np.array([-100 + 35 * 4, 25 * 4, 8 + 20 * 4]) - LOWER_MARGIN
    upper = np.array([-100 + 35 * 4, 26 * 4, 8 + 29 * 4]) + UPPER_MARGIN
    np.testing.assert_allclose(box.lower, lower)
    np.testing.assert_allclose(box.upper, upper)


def test_the_box_ends_with_the_scan():
    image = image_of((10, 10, 10), 4.0)
    box = spine_box(np.full((10, 10, 10), 0.9), image, SpineBox.of_image(image))
    assert box == SpineBox.of_image(image)


def test_small_warm_islands_are_no_spine():
    image = image_of((40, 40, 40), 4.0)
    heat = np.zeros((40, 40, 40), np.float32)
    heat[10:30, 10:13, 10:13] = 0.9
    heat[5, 35, 35] = 0.9
    box = spine_box(heat, image, SpineBox.of_image(image))
    assert not box.contains(np.array([35 * 4.0, 35 * 4.0, 20.0]))[0]


@pytest.mark.parametrize("hottest", [0.0, 0.2, 0.45])
def test_lukewarm_is_no_spine(hottest):
    image = image_of((10, 10, 10), 4.0)
    heat = np.zeros((10, 10, 10), np.float32)
    heat[5, 5, 5] = hottest
    assert spine_box(heat, image, SpineBox.of_image(image)) is None


def test_the_answers_of_a_committee_are_averaged():
    seen = []

    def member(answer):
        def run(compute, sagittal, coronal):
            seen.append((sagittal.shape, coronal.shape))
            return torch.full((1, 2, 4, 5), answer), torch.full((1, 2, 4, 6), 2 * answer)

        return run

    side, front = level_maps([member(0.1), member(0.4)], torch.zeros(3, 4, 5), torch.zeros(3, 4, 6))
    assert seen == [((1, 3, 4, 5), (1, 3, 4, 6))] * 2
    np.testing.assert_allclose(side, np.full((2, 4, 5), 0.25), atol=1e-6)
    np.testing.assert_allclose(front, np.full((2, 4, 6), 0.5), atol=1e-6)


def test_projections_by_hand():
    hu = torch.zeros(2, 3, 5)
    hu[0, 1, 2] = 100.0
    hu[0, 1, 4] = -50.0
    side, front = project(hu, torch.tensor([[1.0, 2.0], [1.0, 2.0]]))
    assert side.shape == (3, 2, 3)
    assert front.shape == (3, 2, 5)
    assert side[0, 0, 1] == 100
    assert side[1, 0, 1] == pytest.approx((100 - 50) / 5)
    weight = np.exp(-0.5 * ((np.arange(5) - 2) * 2.0 / SLAB) ** 2) + 1e-6
    assert float(side[2, 0, 1]) == pytest.approx((100 * weight[2] - 50 * weight[4]) / weight.sum(), rel=1e-5)
    assert front[0, 0, 2] == 100
    assert front[0, 0, 4] == 0
    assert front[1, 0, 4] == pytest.approx(-50 / 3)


@pytest.fixture
def curved():
    """Ideal maps of T9 to L2 on a scoliotic, kyphotic column, and where its vertebrae are."""
    levels = [level for level in COLUMN if Level.T9.rank <= level.rank <= Level.L2.rank and level != Level.T13]
    z = 15 + np.concatenate([[0], np.cumsum([DISTANCE[level] / 2 for level in levels[:-1]][::-1])])[::-1]
    points = np.stack([z, 30 + 6 * np.sin(z / 30), 25 + 5 * np.cos(z / 25)], 1)
    ranks = np.array([level.rank for level in levels])
    size = (int(z.max()) + 16, 60, 50)
    side = level_distribution(ranks, points[:, [0, 1]], (size[0], size[1])).numpy()
    front = level_distribution(ranks, points[:, [0, 2]], (size[0], size[2])).numpy()
    return levels, points, size, side, front


def test_the_curve_follows_the_column(curved):
    _, points, size, side, front = curved
    curve = found_curve(side, front).numpy()
    assert curve.shape == (size[0], 2)
    inner = points[1:-1]
    rows = np.rint(inner[:, 0]).astype(int)
    np.testing.assert_allclose(curve[rows], inner[:, 1:], atol=2.5)


def test_without_any_vertebra_the_curve_is_still_a_number():
    empty = np.zeros((1 + len(COLUMN), 20, 10), np.float32)
    empty[0] = 1
    assert np.isfinite(found_curve(empty, empty).numpy()).all()
    assert middle_curve((20, 11, 11)).shape == (20, 2)


def test_ideal_maps_give_the_vertebrae_back(curved):
    levels, points, size, side, front = curved
    image = image_of(size, 2.0, (-40.0, 10.0, -300.0))
    found = best_sequence(candidates(side, front, image))
    assert found.levels == tuple(levels)
    truth = [image.TransformContinuousIndexToPhysicalPoint([float(v) for v in p[::-1]]) for p in points]
    assert np.linalg.norm(found.positions - truth, axis=1).max() < 2.5


def test_empty_maps_give_no_candidates():
    empty = np.zeros((1 + len(COLUMN), 20, 10), np.float32)
    empty[0] = 1
    assert candidates(empty, empty, image_of((20, 10, 10), 2.0)) == []


class Echo:
    """Stands in for the segmenter's network: a ball at the centroid it is pointed to."""

    warnings = ()

    def __call__(self, compute, image, gaussian):
        self.image = image
        return (gaussian - 0.5) * 40


@pytest.mark.parametrize("stage", [AnduinSegmenter, PayerSegmenter])
def test_the_patch_lies_on_the_lattice_and_points_at_the_centroid(stage):
    ct = image_of((120, 130, 140), 1.0, (0.3, 0.6, 0.9))
    segmenter = stage.__new__(stage)
    segmenter.runner = Echo()
    position = (70.4, 60.2, 60.7)
    mask = segmenter(ct, position)
    assert tuple(segmenter.runner.image.shape[2:]) == stage.size
    where = np.argwhere(mask.probability >= 128)[:, ::-1] + mask.corner
    np.testing.assert_allclose(where.mean(0), position, atol=0.6)
    radius = patch.SIGMA * np.sqrt(2 * np.log(2))
    assert len(where) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_gaussian_of_two_points_is_their_maximum():
    both = gaussians(np.array([[2.0], [8.0]]), (11,), 1.0)
    each = torch.maximum(gaussians(np.array([[2.0]]), (11,), 1.0), gaussians(np.array([[8.0]]), (11,), 1.0))
    torch.testing.assert_close(both, each)


def test_stages_are_loaded_once_and_only_when_needed(monkeypatch):
    made = []

    class Stage:
        def __init__(self, device):
            made.append(device)

    monkeypatch.setitem(pipeline.LABELLERS, "test", Stage)
    road = Pipeline("anduin", "cpu", labeller="test")
    assert made == []
    assert road.stage("labelling") is road.stage("labelling")
    assert len(made) == 1


@pytest.mark.parametrize("system", pipeline.SYSTEMS)
def test_every_system_is_made_of_known_stages(system):
    assert Pipeline(system, "cpu").stages == pipeline.SYSTEMS[system]


@pytest.mark.parametrize("kind", ["system", "detector", "labeller", "segmenter"])
def test_an_unknown_name_is_told_with_the_known_ones(kind):
    with pytest.raises(SpineError, match=rf"^{kind} 'none' is unknown; known are \w+"):
        Pipeline(**{kind: "none"})


@pytest.mark.parametrize("detector", sorted(pipeline.DETECTORS))
def test_a_scan_smaller_than_a_vertebra_shows_no_spine(detector):
    tiny = sitk.Image([3, 3, 3], sitk.sitkInt16) + 40
    try:
        road = Pipeline("combined", "cpu", detector=detector)
        road.stage("detection")
    except SpineError as error:
        pytest.skip(str(error))
    assert road.run(tiny, until="detection").box is None


def test_the_fine_box_counts_near_the_coarse_one():
    coarse = SpineBox((0.0, 0.0, 0.0), (100.0, 100.0, 300.0))
    inside = SpineBox((20.0, -20.0, -50.0), (90.0, 110.0, 310.0))
    assert agreed(coarse, inside) == inside
    with_a_hot_chest = SpineBox((-200.0, 0.0, 0.0), (90.0, 100.0, 500.0))
    assert agreed(coarse, with_a_hot_chest) == SpineBox((-30.0, 0.0, 0.0), (90.0, 100.0, 360.0))
    assert agreed(coarse, None) == coarse
    assert agreed(coarse, SpineBox((500.0, 0.0, 0.0), (600.0, 100.0, 300.0))) == coarse
