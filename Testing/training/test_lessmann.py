"""Lessmann's losses by hand, and his samples: what is target, what memory, what complete."""

import numpy as np
import pytest
import torch
from stacked_people import person

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.networks.lessmann import IterativeFCN
from SpineSegmentationLib.training.lessmann import (
    LessmannTask,
    Patch,
    false_positive_weight,
    labelling_error,
    segmentation_error,
    surface_weights,
)
from SpineSegmentationLib.training.subjects import Subject


def test_lambda_rises_along_a_sigmoid():
    # theta = (n - n_max / 2) / (n_max / 10): -5 at the start, 0 midway, 5 at the end.
    assert false_positive_weight(0.0) == pytest.approx(0.1 + 0.9 / (1 + np.exp(5)))  # 0.106
    assert false_positive_weight(0.5) == pytest.approx(0.55)
    assert false_positive_weight(0.6) == pytest.approx(0.1 + 0.9 / (1 + np.exp(-1)))  # 0.758
    assert false_positive_weight(1.0) == pytest.approx(0.9939, abs=1e-4)


def test_weights_fall_from_nine_at_the_surface():
    target = np.zeros((1, 1, 40), bool)
    target[0, 0, 10:31] = True
    target = np.repeat(np.repeat(target, 30, 0), 30, 1)
    along = surface_weights(target, 1.0)[15, 15]
    assert along[10] == pytest.approx(9)  # 8 exp(0) + 1
    assert along[4] == pytest.approx(8 * np.exp(-1) + 1)  # 6 mm away: 3.943
    assert along[16] == pytest.approx(8 * np.exp(-1) + 1)  # inside, too
    assert surface_weights(target, 2.0)[15, 15, 7] == pytest.approx(8 * np.exp(-1) + 1)  # 3 voxels of 2 mm
    np.testing.assert_array_equal(surface_weights(np.zeros((3, 3, 3), bool), 1.0), 1)


def test_soft_errors_by_hand():
    probability = torch.tensor([0.9, 0.2, 0.5, 0.0])
    target = torch.tensor([1.0, 1.0, 0.0, 0.0])
    weight = torch.tensor([1.0, 2.0, 3.0, 9.0])
    # FN: 1 * 0.1 + 2 * 0.8 = 1.7; FP: 3 * 0.5 = 1.5, counted by 0.4.
    assert float(segmentation_error(probability, target, weight, 0.4)) == pytest.approx(1.7 + 0.4 * 1.5)


def test_the_labelling_error_has_both_norms():
    error = labelling_error(torch.tensor([20.0, 3.5]), torch.tensor([22.0, 3.0]))
    assert float(error) == pytest.approx((2 + 4 + 0.5 + 0.25) / 2)


def test_patches_without_a_vertebra_teach_no_label():
    error = labelling_error(torch.tensor([20.0, 9.0]), torch.tensor([22.0, 0.0]))
    assert float(error) == pytest.approx(2 + 4)
    assert float(labelling_error(torch.tensor([9.0]), torch.tensor([0.0]))) == 0


@pytest.fixture(scope="module")
def patches() -> list[Patch]:
    task = LessmannTask([person(T11=1, T12=1, L1=1, L2=1)])
    return [task.draw(np.random.default_rng(seed)) for seed in range(24)]


def test_the_target_is_the_next_above_the_memory(patches):
    with_target = [patch for patch in patches if patch.target.any()]
    assert 8 <= len(with_target) < 24
    for patch in with_target:
        assert not (patch.memory & patch.target).any()
        assert patch.number in (18, 19, 20, 21)
        if patch.memory.sum() > 500:  # those passed lie below
            heights = [float(torch.nonzero(part)[:, 0].float().mean()) for part in (patch.memory, patch.target)]
            assert heights[0] < heights[1]
    for patch in patches:
        if not patch.target.any():
            assert patch.number == 0 and not patch.complete


def test_complete_is_what_the_patch_shows_all_of(patches):
    whole = [int(patch.target.sum()) for patch in patches if patch.complete]
    cut = [int(patch.target.sum()) for patch in patches if patch.target.any() and not patch.complete]
    assert whole and cut
    assert min(whole) > 16 * 24 * 24 * 0.5  # scaled by at most a fifth along each axis
    assert np.median(cut) < np.median(whole)


def test_vertebrae_that_nobody_marked_are_not_shown():
    subject = person("real", T10=1, T11=1, T12=1, L1=1)
    labels = np.where(subject.labels == Level.T11, 0, subject.labels)
    task = LessmannTask([Subject("gap", subject.hu, labels, False, subject.levels, subject.positions, 2.0, "real")])
    assert {level for _, level in task.vertebrae} == {Level.T12, Level.L1}
    for seed in range(8):
        patch = task.draw(np.random.default_rng(seed))
        assert int((patch.hu > 250).sum()) <= 1.1 * 2 * 16 * 24 * 24 * 1.8
        assert patch.number in (0, 19, 20)


def test_samples_repeat_with_their_seed_and_can_be_learnt_from():
    task = LessmannTask([person(T11=1, T12=1, L1=1, L2=1)])
    first, second = (task.draw(np.random.default_rng(5)) for _ in range(2))
    for name, value in vars(first).items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(vars(second)[name]))
    with torch.autocast("cpu", torch.bfloat16):  # as processors that have it train
        loss = task.loss(IterativeFCN(), [first] * 2)
    loss.backward()
    assert torch.isfinite(loss)
