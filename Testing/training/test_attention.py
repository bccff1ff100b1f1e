"""Sekuboyina's losses by hand, and his samples."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.networks.attention import AttentionNet, SegmentationNet
from SpineSegmentationLib.training.attention import AttentionTask, Sample, SpineMaskTask, dice_loss
from SpineSegmentationLib.training.subjects import Subject


def test_the_dice_loss_by_hand():
    probability = torch.tensor([[0.5, 1.0, 0.0]])
    target = torch.tensor([[1.0, 1.0, 0.0]])
    # 2 * 1.5 + 1 over 0.25 + 1 + 2 + 1.
    assert float(dice_loss(probability, target)) == pytest.approx(1 - 4 / 4.25)
    assert float(dice_loss(torch.zeros(2, 5), torch.zeros(2, 5))) == 0


def test_the_attention_loss_compares_shares_of_regions():
    spine = torch.zeros(16, 8, 1, dtype=torch.bool)
    spine[:4] = True  # half of the upper region of 8 x 8 pixels
    task = AttentionTask.__new__(AttentionTask)

    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.value = torch.nn.Parameter(torch.tensor(0.0))

        def forward(self, image):
            return self.value.expand(len(image), 1, image.shape[2] // 8, image.shape[3] // 8)

    loss = task.loss(Constant(), [Sample(torch.zeros(16, 8, 1).half(), spine)])
    assert loss.item() == pytest.approx((0.0**2 + 0.5**2) / 2)  # it says 0.5 everywhere


def person() -> Subject:
    labels = np.zeros((90, 70, 60), np.uint8)
    labels[20:40, 30:46, 20:40] = Level.L2
    labels[44:64, 30:46, 20:40] = Level.L1
    labels[64:80, 30:46, 20:40] = 26  # no vertebra
    hu = np.where(labels > 0, 600, 0).astype(np.int16)
    centres = np.array([[54.0, 38, 30], [30.0, 38, 30]])
    return Subject("blocks", hu, labels, False, (Level.L1, Level.L2), centres, 2.0, "phantom")


@pytest.mark.parametrize(
    ("task_type", "architecture", "size"),
    [(AttentionTask, AttentionNet, (128, 96, 1)), (SpineMaskTask, SegmentationNet, (96, 96, 12))],
)
def test_samples_repeat_with_their_seed_and_can_be_learnt_from(task_type, architecture, size):
    task = task_type([person()])
    drawn = [task.draw(np.random.default_rng(seed)) for seed in (5, 5, 6, 7, 8, 9)]
    torch.testing.assert_close(drawn[0].hu, drawn[1].hu)
    assert torch.equal(drawn[0].spine, drawn[1].spine)
    assert drawn[0].hu.shape == size == drawn[0].spine.shape
    assert any(one.spine.any() for one in drawn)
    with torch.autocast("cpu", torch.bfloat16):  # as processors that have it train
        loss = task.loss(architecture(), drawn[:2])
    loss.backward()
    assert torch.isfinite(loss)
