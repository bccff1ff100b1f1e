"""What the evidence network learns from: runs of neighbours, their names, and a loss computed by hand."""

import numpy as np
import pytest
import torch

from SpineSegmentationLib.anatomy import S1, Level
from SpineSegmentationLib.labelling.patches import AIR, EDGE
from SpineSegmentationLib.networks.evidence import PLACES, Answers
from SpineSegmentationLib.training.context import ContextTask, _row_heights
from SpineSegmentationLib.training.evidence import Column, EvidenceTask, Run, _run_loss, column_of
from SpineSegmentationLib.training.subjects import Subject

LEVELS = (Level.L3, Level.L4, Level.L5)


def person(source="real", sacrum=None, spacing=3.0):
    """Blocks of bone of 1000 HU and more, one below the other, named from L3 to L5."""
    hu = np.full((60, 40, 40), 40, np.int16)
    positions = np.array([[45.0, 20, 20], [34.0, 20, 20], [23.0, 20, 20]])
    for number, (z, y, x) in enumerate(positions.astype(int)):
        hu[z - 3 : z + 4, y - 4 : y + 5, x - 5 : x + 6] = 1000 + 100 * number
    return Subject("somebody", hu, None, False, LEVELS, positions, spacing, source, sacrum)


def test_s1_ends_the_column_where_it_is_known():
    places, centres = column_of(person(sacrum=np.array([12.0, 22, 20])))
    assert places.tolist() == [level.rank for level in LEVELS] + [S1]
    assert centres[-1].tolist() == [12, 22, 20]
    assert len(column_of(person())[0]) == 3


def test_a_person_is_shown_with_bone_at_its_centres():
    task = EvidenceTask([person()])
    column = task.draw(np.random.default_rng(0))
    assert len(column.places) == len(column.centres) == 3
    run = task.vary(column, np.random.default_rng(1))
    half = EDGE // 2
    middles = run.hu[: len(run.places), 0, half - 1 : half + 2, half - 1 : half + 2, half - 1 : half + 2]
    assert middles.mean((1, 2, 3)).min() > 400
    assert run.hu.shape[1:] == (1, EDGE, EDGE, EDGE) and (run.hu == AIR).any()


def test_runs_are_neighbours_of_the_column():
    task = EvidenceTask([person()])
    column = Column(np.zeros((60, 40, 40), np.int16), np.array([20, 21, 22]), person().positions)
    for seed in range(20):
        places = task.vary(column, np.random.default_rng(seed)).places
        assert np.array_equal(places, np.arange(places[0], places[0] + len(places)))


def test_a_scan_without_a_vertebra_shows_nothing():
    empty = Subject("leg", person().hu, None, False, (), np.zeros((0, 3)), 3.0)
    task = EvidenceTask([person(), empty])
    column = Column(empty.hu, np.zeros(0, int), np.zeros((0, 3)))
    run = task.vary(column, np.random.default_rng(0))
    assert len(run.places) == 0 and len(run.hu) > 0


def answers(levels, ribs=0.0, sacrum=0.0):
    count = len(levels)
    return Answers(
        torch.tensor(levels).log_softmax(1),
        torch.zeros(count),
        torch.full((count, 2), ribs),
        torch.full((count,), sacrum),
    )


def test_the_loss_of_one_vertebra_by_hand():
    # Flat answers over 27 places: log 27 for the vertebra, half of it again for the run; ribs log 2, weighed 0.3.
    loss = _run_loss(answers(np.zeros((1, PLACES), np.float32)), slice(0, 1), np.array([Level.T5.rank]))
    assert float(loss) == pytest.approx(1.5 * np.log(PLACES) + 0.3 * np.log(2), rel=1e-5)


def test_a_run_is_judged_as_a_whole():
    # The second vertebra does not know its level at all; the first one's evidence names both.
    levels = np.zeros((2, PLACES), np.float32)
    levels[0, Level.L1.rank] = 20.0
    places = np.array([Level.L1.rank, Level.L2.rank])
    loss = float(_run_loss(answers(levels), slice(0, 2), places))
    assert loss == pytest.approx(0.5 * np.log(PLACES) + 0.3 * np.log(2) + 0.3 * np.log(2), abs=1e-3)
    wrong = float(_run_loss(answers(levels), slice(0, 2), places + 1))
    assert wrong > loss + 15


def test_a_column_of_two_variants_is_learnt_level_by_level():
    places = np.array([Level.T13.rank, *(Level[f"L{i}"].rank for i in range(1, 7))])
    loss = float(_run_loss(answers(np.zeros((7, PLACES), np.float32)), slice(0, 7), places))
    assert loss == pytest.approx(np.log(PLACES) + 0.3 * np.log(2) + 0.3 * np.log(2), rel=1e-5)


def test_the_loss_learns():
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.levels = torch.nn.Parameter(torch.zeros(PLACES))

        def forward(self, hu):
            n = len(hu)
            return Answers(self.levels.expand(n, -1).log_softmax(1), torch.zeros(n), torch.zeros(n, 2), torch.zeros(n))

    network = Network()
    run = Run(np.zeros((3, 1, 2, 2, 2), np.float32), np.array([Level.T9.rank]))
    EvidenceTask.loss(EvidenceTask([person()]), network, [run]).backward()
    assert int(network.levels.grad.argmin()) == Level.T9.rank


def test_heights_of_rows_by_hand():
    # Centroids in rows 10 and 4 at heights of 100 and 130 mm: 5 mm a row between, 4 mm a row beyond, at most 60 mm.
    found = _row_heights(40, np.array([10.0, 4.0]), np.array([100.0, 130.0]))
    assert found[[4, 7, 10]].tolist() == [130, 115, 100]
    assert found[12] == 92 and found[2] == 138
    assert np.isnan(found[26]) and found[25] == 40


def test_windows_of_a_scan_know_their_heights():
    task = ContextTask([person(spacing=4.0)])
    scan = task.draw(np.random.default_rng(0))
    window = task.vary(scan, np.random.default_rng(1))
    assert window.sagittal.shape[1] == window.coronal.shape[1] == len(window.heights)
    assert np.isfinite(window.heights).any()


def test_the_context_loss_counts_known_rows_alone():
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def forward(self, sagittal, coronal):
            return self.one * torch.stack([torch.full(sagittal.shape[:1] + sagittal.shape[2:3], 100.0)] * 2, 1) * 0.02

    task = ContextTask([person(spacing=4.0)])
    window = task.vary(task.draw(np.random.default_rng(0)), np.random.default_rng(1))
    known = type(window)(window.sagittal, window.coronal, np.full(len(window.heights), np.nan, np.float32))
    known.heights[0] = 2.0 + 4.0
    # |2 - 6| / e^2 + 2 in the one row that is known.
    assert task.loss(Network(), [known]).item() == pytest.approx(4 / np.exp(2) + 2, rel=1e-5)
