"""The training of McCouat and Glocker's networks: losses and samples."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.detection.mccouat_glocker import (
    PATCH,
)
from SpineSegmentationLib.labelling import mccouat_glocker as labelling
from SpineSegmentationLib.labelling.distances import DISTANCE
from SpineSegmentationLib.labelling.mccouat_glocker_labels import (
    UNKNOWN,
    densify,
)
from SpineSegmentationLib.training.command import RECIPES
from SpineSegmentationLib.training.mccouat_glocker import (
    SLICES,
    McCouatGlockerDetectionTask,
    McCouatGlockerLabellingTask,
    Window,
    detection_loss,
    identification_loss,
)
from SpineSegmentationLib.training.subjects import Subject

LEVELS = (Level.T11, Level.T12, Level.L1, Level.L2)


def test_detection_loss_by_hand():
    # Q is (1/2, 1/2) everywhere: -0.1 ln 1/2 for one voxel of background, -0.9 ln 1/2 for one of a vertebra.
    labels = torch.tensor([0, 7, UNKNOWN], dtype=torch.uint8).reshape(1, 1, 1, 3)
    logits = torch.zeros(1, 2, 1, 1, 3)
    assert float(detection_loss(logits, labels)) == pytest.approx((0.1 + 0.9) * np.log(2) / 2, abs=1e-6)
    logits[0, 1, 0, 0, 2] = 50.0
    assert float(detection_loss(logits, labels)) == pytest.approx((0.1 + 0.9) * np.log(2) / 2, abs=1e-6)
    logits[0, 1, 0, 0, 1] = 50.0
    assert float(detection_loss(logits, labels)) == pytest.approx(0.1 * np.log(2) / 2, abs=1e-6)


def test_identification_loss_by_hand():
    target = torch.tensor([[[0.0, 5.0, 19.5]]])
    prediction = torch.tensor([[[[99.0, 6.5, 19.0]]]])
    assert float(identification_loss(prediction, target)) == pytest.approx((1.5 + 0.5) / 2)
    assert float(identification_loss(prediction, torch.zeros(1, 1, 3))) == 0


@pytest.fixture
def subject():
    """A person whose HU tell the level at every voxel of a body."""
    levels = COLUMN[5:15]
    z = np.cumsum([DISTANCE[level] / 2 for level in levels[::-1]])[::-1]
    positions = np.stack([z, np.full(len(z), 45.0), np.full(len(z), 40.0)], 1)
    labels = densify(levels, positions, (int(z[0]) + 12, 90, 80), 2.0)
    labels[labels == UNKNOWN] = 0
    return Subject("test", (labels.astype(np.int16) > 0) * np.int16(1000), None, False, levels, positions, 2.0)


def test_slabs_hold_the_slice_as_their_fourth():
    hu = torch.arange(5.0 * 6 * 9).reshape(5, 6, 9)
    slabs = labelling.sagittal_slabs(hu, np.array([0, 4, 8]))
    assert slabs.shape == (3, SLICES, 16, 16)
    for slab, x in zip(slabs, (0, 4, 8), strict=True):
        torch.testing.assert_close(slab[3, :5, :6], hu[:, :, x])
    torch.testing.assert_close(slabs[1, 7, :5, :6], hu[:, :, 8])
    assert (slabs[0, :3] == -1024).all()
    assert (slabs[:, :, 5:] == -1024).all()


@pytest.mark.parametrize("factor", [1, 2])
def test_windows_show_the_bodies_where_their_labels_say(subject, factor):
    half = Subject(**{**vars(subject), "hu": subject.hu[::factor, ::factor, ::factor],
                      "positions": subject.positions / factor, "spacing": 2.0 * factor})  # fmt: skip
    task = McCouatGlockerDetectionTask([half])
    inside, outside = [], []
    for seed in range(4):
        window = task.draw(np.random.default_rng(seed))
        assert tuple(window.hu.shape) == tuple(window.labels.shape) == PATCH
        inside.append(window.hu[(window.labels > 0) & (window.labels != UNKNOWN)].numpy())
        outside.append(window.hu[window.labels == 0].numpy())
    assert np.mean(np.concatenate(inside) > 400) > 0.8
    assert np.median(np.concatenate(outside)) < 100


def test_identification_samples_are_slabs_with_the_labels_of_their_fourth_slice(subject):
    task = McCouatGlockerLabellingTask([subject])
    rng = np.random.default_rng(0)
    window = task.draw(rng)
    seen, bright = set(), []
    for _ in range(30):
        slab = task.vary(window, rng)
        assert slab.hu.shape == (SLICES, *slab.labels.shape)
        vertebra = (slab.labels > 0) & (slab.labels != UNKNOWN)
        assert vertebra.any()
        bright += (slab.hu[3][vertebra] > 400).tolist()
        seen |= set(slab.labels[vertebra].tolist())
    assert np.mean(bright) > 0.9
    assert len(seen) >= 8


def test_samples_of_different_sizes_are_stacked_in_multiples_of_sixteen():
    seen = []

    class Network(torch.nn.Linear):
        def forward(self, slabs):
            seen.append(slabs)
            return torch.full((len(slabs), 1, *slabs.shape[2:]), 3.0)

    def sample(rows, columns, label):
        return Window(torch.zeros(SLICES, rows, columns), torch.full((rows, columns), label, dtype=torch.uint8))

    loss = McCouatGlockerLabellingTask.loss(
        Network(1, 1), [sample(20, 30, 5), sample(33, 17, 2), sample(4, 4, UNKNOWN)]
    )
    assert seen[0].shape == (3, SLICES, 48, 32)
    assert (seen[0][0, :, :20, :30] == 0).all()
    assert (seen[0][0, :, 20:] == -1).all()
    assert float(loss) == pytest.approx((600 * 2 + 561 * 1) / (600 + 561))


@pytest.mark.parametrize("stage", ["detection", "labelling"])
def test_samples_repeat_with_their_seed_and_can_be_learnt_from(stage, subject):
    recipe = RECIPES["mccouat-glocker", stage]
    task = recipe.task([subject])
    if stage == "detection":
        task.size = (32, 32, 48)
    first, again = (task.draw(np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.hu, again.hu)
    assert torch.equal(first.labels, again.labels)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = recipe.architecture()
    loss = task.loss(network, [task.vary(first, rng) for _ in range(2)])
    loss.backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert loss > 0


def test_one_sample_in_twenty_shows_nobody(subject):
    task = McCouatGlockerDetectionTask([subject])
    task.size = (16, 16, 16)
    empty = [seed for seed in range(40) if np.random.default_rng(seed).random() < 0.05]
    assert empty
    window = task.draw(np.random.default_rng(empty[0]))
    assert tuple(window.hu.shape) == task.size
    assert not window.labels.any()
