"""What the segmenter learns from: slices at any angle, scans that end, weak levels more often, windows."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.anatomy import SACRUM, Level
from SpineSegmentationLib.training.segmentation import SACRAL, WEAK, SegmentationTask, _beyond_a_border
from SpineSegmentationLib.training.slices import THICKEST, random_slices, sliced
from SpineSegmentationLib.training.subjects import Subject


def oblique():
    normal = np.array([0.8, 0.36, 0.48])
    return normal / np.linalg.norm(normal)


def test_slices_of_one_voxel_change_nothing():
    volume = torch.randn(9, 10, 12, generator=torch.Generator().manual_seed(0))
    for axis in range(3):
        for phase in (0.5, 0.0) if volume.shape[axis] % 2 == 0 else (0.0,):
            seen = sliced(volume, np.eye(3)[axis], 1.0, 1.0, phase)
            if phase == (0.5 if volume.shape[axis] % 2 == 0 else 0.0):
                torch.testing.assert_close(seen, volume, atol=1e-4, rtol=0)


@pytest.mark.parametrize("normal", [np.eye(3)[0], np.eye(3)[2], oblique()])
def test_slices_keep_what_is_linear(normal):
    z, y, x = torch.meshgrid(*(torch.arange(float(n)) for n in (30, 31, 32)), indexing="ij")
    ramp = 2 * z + 3 * y - x
    seen = sliced(ramp, normal, 4.0, 4.0, 0.3)
    torch.testing.assert_close(seen[10:20, 10:20, 10:20], ramp[10:20, 10:20, 10:20], atol=1e-3, rtol=0)


def test_a_thick_slice_is_the_mean_over_it_and_between_two_it_is_linear():
    # A plate one voxel thick in a volume of 12: slices of 4 are 0-3, 4-7, 8-11, their middles 1.5, 5.5, 9.5.
    volume = torch.zeros(12, 6, 6)
    volume[5] = 100.0
    seen = sliced(volume, np.array([1.0, 0, 0]), 4.0, 4.0, 0.0)[:, 3, 3]
    torch.testing.assert_close(seen[5:7], torch.tensor([25 * 3.5 / 4, 25 * 3.5 / 4]), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen[2:4], torch.tensor([25 * 0.5 / 4, 25 * 1.5 / 4]), atol=1e-3, rtol=0)


def test_an_oblique_plate_is_smeared_across_its_own_plane_alone():
    normal = oblique()
    places = torch.stack(torch.meshgrid(*(torch.arange(float(n)) - 20 for n in (41, 41, 41)), indexing="ij"), -1)
    height = places @ torch.from_numpy(normal).float()
    plate = (height.abs() < 2).float()
    seen = sliced(plate, normal, 6.0, 6.0, 0.0)
    inside = (places.abs() < 12).all(-1)
    assert float(seen[inside & (height.abs() < 0.3)].std()) < 0.02
    assert float(seen[inside & (height.abs() < 0.3)].mean()) == pytest.approx(4 / 6, abs=0.08)
    assert float(seen[inside & (height.abs() > 5.8)].max()) < 0.05


def test_random_slices_repeat_and_stay_within_what_was_there():
    volume = torch.randn(24, 26, 28, generator=torch.Generator().manual_seed(1))
    changed = 0
    for seed in range(12):
        first, second = (random_slices(volume, 1.0, np.random.default_rng(seed)) for _ in range(2))
        assert torch.equal(first, second) and first.shape == volume.shape
        assert float(first.min()) >= float(volume.min()) - 1e-3 and float(first.max()) <= float(volume.max()) + 1e-3
        changed += not torch.equal(first, volume)
    assert changed >= 10 and THICKEST == 8.0


def person(source, *levels):
    labels = np.zeros((6, 6, 6), np.uint8)
    for number, level in enumerate(levels):
        labels[number] = level
    return Subject(source, None, labels, False, levels, np.full((len(levels), 3), 3.0), 1.0, source)


def test_weak_levels_are_drawn_more_often_and_sources_keep_their_share():
    task = SegmentationTask([person("real", Level.C1, Level.C4, Level.L5), person("own", Level.L1)])
    weights = dict(zip(((s.source, level) for s, level, _ in task.bones), task.weights, strict=True))
    assert weights["real", Level.C1] / weights["real", Level.C4] == pytest.approx(WEAK[Level.C1])
    assert weights["real", Level.L5] / weights["real", Level.C4] == pytest.approx(WEAK[Level.L5])
    assert weights["own", Level.L1] == pytest.approx(0.2 / 0.45)


def pelvis(source, code=SACRUM):
    """L5 above a block of ``code`` from z 20 to 59, S1's centre in its upper part."""
    labels = np.zeros((120, 90, 100), np.uint8)
    labels[64:90, 20:50, 30:70] = Level.L5
    labels[20:60, 30:60, 25:75] = code
    return Subject(
        source, None, labels, False, (Level.L5,), np.array([[77.0, 35, 50]]), 1.0, source, np.array([52.0, 45, 50])
    )


def test_the_sacrum_is_drawn_from_the_centre_of_s1():
    task = SegmentationTask([pelvis("atlas"), person("real", Level.L1)])
    share = dict(zip((code for _, code, _ in task.bones), task.weights, strict=True))
    assert share[SACRUM] == pytest.approx(SACRAL) and sum(share.values()) == pytest.approx(1)
    task.weights = np.array([float(code == SACRUM) for _, code, _ in task.bones])
    for seed in range(4):
        image, gaussian, mask = task.draw(np.random.default_rng(seed))
        assert image.shape == gaussian.shape == mask.shape == (1, *task.size)
        z, y, x = (gaussian[0] == gaussian.max()).nonzero()[0].tolist()
        assert mask[0, z, y, x] == 1
        # 8 mm of bone above the centre of S1 and 32 below, scaled, turned and perhaps cut by a border: never L5.
        rows = mask[0].any(2).any(1).nonzero()
        assert z - rows.min() <= 32 * 1.2 + 16 and rows.max() - z <= 8 * 1.2 + 16


def test_who_has_a_sacrum_without_a_mask_teaches_nothing_about_it():
    task = SegmentationTask([pelvis("real", code=0)])
    assert [code for _, code, _ in task.bones] == [Level.L5] and task.weights.tolist() == [1.0]


def test_a_scan_ends_across_an_axis_and_never_before_the_centroid():
    hint = np.array([30.2, 5.0, 60.9])
    borders = set()
    for seed in range(60):
        beyond = torch.zeros(40, 50, 64, dtype=torch.bool)
        beyond[_beyond_a_border((40, 50, 64), hint, np.random.default_rng(seed))] = True
        assert not beyond[30, 5, 59]
        sides = [tuple(beyond.any(b).any(a).nonzero()[[0, -1], 0].tolist()) for a, b in ((0, 0), (0, 1), (1, 1))
                 if beyond.any()]  # fmt: skip
        borders.add(tuple(low > 0 for low, _ in sides))
    assert len(borders) > 1


def test_windows_until_the_end_then_whole_samples():
    task = SegmentationTask([person("own", Level.L1)])
    sample = tuple(torch.zeros(1, *task.size) for _ in range(3))
    task.progress = 0.2
    assert all(part.shape == (1, *task.window) for part in task.vary(sample, np.random.default_rng(0)))
    task.progress = 0.9
    assert task.vary(sample, np.random.default_rng(0)) is sample
