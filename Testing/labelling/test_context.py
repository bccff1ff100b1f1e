"""The height in the body: projections, the scale of heights, likelihoods."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.anatomy import STANDARD, Level
from SpineSegmentationLib.labelling.context import HEIGHT, Heights, log_likelihood, project
from SpineSegmentationLib.networks.context import VIEWS, ContextNet


def test_projections_by_hand():
    hu = np.full((2, 3, 4), 0.0)
    hu[1, 2, 0], hu[1, 2, 1], hu[1, 0, 1] = 1500.0, -800.0, 3000.0
    sagittal, coronal = project(hu)
    assert sagittal.shape == (VIEWS, 2, 3) and coronal.shape == (VIEWS, 2, 4)
    assert sagittal[:, 1, 2] == pytest.approx([1.5, (400 - 800) / 4 / 1000, 3 / 4, 5 / 4])
    assert coronal[:, 1, 1] == pytest.approx([2.0, (400 - 800) / 3 / 1000, 3 / 3, 5 / 3])
    assert not sagittal[:, 0].any()


def test_heights_grow_down_the_column_and_variants_lie_between():
    heights = [HEIGHT[level.rank] for level in STANDARD]
    assert heights[0] == 0 and np.all(np.diff([*heights, HEIGHT[-1]]) > 10)
    assert HEIGHT[Level.T12.rank] < HEIGHT[Level.T13.rank] < HEIGHT[Level.L1.rank]
    assert HEIGHT[Level.L5.rank] < HEIGHT[Level.L6.rank] < HEIGHT[-1]


def test_the_likelihood_has_its_peak_at_the_nearest_level_and_width_blurs_it():
    at_l2 = float(HEIGHT[Level.L2.rank])
    sharp, blurred = log_likelihood(np.array([at_l2, at_l2]), np.log([5.0, 80.0]))
    assert int(sharp.argmax()) == int(blurred.argmax()) == Level.L2.rank
    assert sharp.max() > blurred.max()
    assert np.exp(sharp).sum() == pytest.approx(1)


def test_the_network_takes_any_field_of_view():
    with torch.inference_mode():
        answer = ContextNet().eval()(torch.zeros(1, VIEWS, 17, 33), torch.zeros(1, VIEWS, 17, 50))
    assert answer.shape == (1, 2, 17)


def test_heights_are_read_at_the_rows_of_the_positions():
    # One network: row 0 at z = -100 mm is at L2's height, row 10 at T4's, sharply; the other rows between.
    heights = np.linspace(HEIGHT[Level.L2.rank], HEIGHT[Level.T4.rank], 11)
    found = Heights(-100.0, np.stack([heights, np.full(11, np.log(4.0))])[None])
    levels = found.likelihood(np.array([[3.0, 4.0, -100.0], [0.0, 0.0, -60.0], [0.0, 0.0, 500.0]])).argmax(1)
    assert levels.tolist() == [Level.L2.rank, Level.T4.rank, Level.T4.rank]
    assert found.likelihood(np.zeros((0, 3))).shape == (0, len(HEIGHT))
