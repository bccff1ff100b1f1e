"""The rib network's samples and losses: which vertebrae a run shows, how whole they are, by hand."""

import numpy as np
import pytest
import torch
from stacked_people import person

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.networks.lessmann import NUMBERS, RibNetwork
from SpineSegmentationLib.training.lessmann_ribs import LessmannRibTask, run_error


@pytest.fixture(scope="module")
def looks():
    task = LessmannRibTask([person(T11=1, T12=1, L1=1, L2=1)])
    rng = np.random.default_rng(1)
    return [task.vary(stretch, rng) for stretch in (task.draw(rng) for _ in range(3)) for _ in range(3)]


def test_a_run_shows_neighbours_with_their_masks_in_the_middle(looks):
    for look in looks:
        assert set(look.numbers) <= {18, 19, 20, 21}
        assert list(look.numbers) == list(range(look.numbers[0], look.numbers[0] + len(look.numbers)))
        assert look.hu.shape == look.masks.shape == (len(look.numbers), 64, 64, 64)
        for mask in look.masks:
            where = np.argwhere(mask)
            assert np.abs((where.min(0) + where.max(0)) / 2 - 31.5).max() < 6


def test_what_the_field_of_view_cuts_is_not_complete(looks):
    sizes = {True: [], False: []}
    for look in looks:
        for mask, complete in zip(look.masks, look.complete, strict=True):
            sizes[bool(complete)].append(mask.sum())
    assert sizes[True] and sizes[False]
    assert np.median(sizes[False]) < np.median(sizes[True])


@pytest.mark.parametrize("width", RibNetwork.WIDTHS)
def test_patches_are_as_wide_as_the_network_that_is_trained(width):
    task = LessmannRibTask([person(T12=1, L1=1)])
    task.spacing = RibNetwork.SPACINGS[width]  # as training sets it
    assert task.edge == RibNetwork.PATCHES[width]


def test_a_level_counts_more_the_fewer_real_scans_show_it():
    people = [person("own", T11=1, T12=1, L1=1), person("own", T11=1, T12=1, L1=1, L2=1)]
    task = LessmannRibTask(people)
    of = dict(zip([(owner.subject is people[1], level) for owner, level in task.vertebrae], task.weights, strict=True))
    assert of[True, Level.L2] == pytest.approx(np.sqrt(2) * of[True, Level.L1])
    assert task.weights.sum() == pytest.approx(1)


def test_the_error_of_a_run_by_hand():
    levels = torch.full((2, NUMBERS), -9.0)
    # As numbers 3, 4: -0.1 - 0.2; as 4, 5: -2.0 - 0.3; all others -18, or -9.0 and one of these.
    levels[0, 2], levels[0, 3], levels[1, 3], levels[1, 4] = -0.1, -2.0, -0.2, -0.3
    scores = np.full(24, -18.0)
    scores[2], scores[3] = -0.3, -2.3
    expected = 0.3 + np.log(np.exp(scores).sum())
    assert float(run_error(levels, np.array([3, 4]))) == pytest.approx(expected, rel=1e-5)


def test_samples_repeat_with_their_seed_and_can_be_learnt_from():
    task = LessmannRibTask([person(T11=1, T12=1, L1=1, L2=1)])
    first, second = (task.vary(task.draw(rng), rng) for rng in (np.random.default_rng(5), np.random.default_rng(5)))
    for name, value in vars(first).items():
        np.testing.assert_array_equal(value, vars(second)[name])
    with torch.autocast("cpu", torch.bfloat16):  # as processors that have it train
        loss = task.loss(RibNetwork(), [first, second])
    loss.backward()
    assert torch.isfinite(loss)
