"""Payer's labeller without trained networks: parts of a scan, and what heatmaps decode to."""

import numpy as np
import pytest
import torch
from grids import blank
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.labelling import payer as labelling
from SpineSegmentationLib.labelling.payer_markov import VECTORS
from SpineSegmentationLib.labelling.sequence import best_sequence
from SpineSegmentationLib.networks.heatmap import gaussians
from SpineSegmentationLib.spine import SpineBox


@given(st.integers(1, 400), st.integers(8, 128))
def test_parts_cover_the_scan_and_overlap(total, length):
    rows = labelling.starts(total, length)
    assert rows[0] == 0 and rows[-1] == max(total - length, 0)
    assert all(0 < b - a <= length * (1 - labelling.OVERLAP) + 1 for a, b in zip(rows, rows[1:], strict=False))


def test_the_field_holds_the_box_and_enough_voxels():
    scan = SpineBox((0, 0, 0), (400, 400, 600))
    usual = labelling.field(SpineBox((150, 150, 100), (250, 250, 500)), scan, 4.0)
    assert usual == SpineBox((104, 104, 100), (296, 296, 500))
    wide = labelling.field(SpineBox((50, 150, 100), (350, 250, 500)), scan, 4.0)
    assert (wide.lower[0], wide.upper[0]) == (50, 350)
    thin = labelling.field(SpineBox((150, 150, 300), (250, 250, 310)), SpineBox((0, 0, 300), (400, 400, 310)), 4.0)
    assert np.all(thin.size >= labelling.LEAST * 4.0)
    assert (thin.lower[2], thin.upper[2]) == (305 - 32, 305 + 32)


def test_parts_are_merged_by_the_largest_response():
    labeller = labelling.PayerLabeller.__new__(labelling.PayerLabeller)
    labeller.spacing = 4.0
    # A network that answers more the later it is asked: rows that two parts show take the later answer.
    asked = []

    def runner(compute, part):
        asked.append(part.shape[2])
        return torch.full((1, len(COLUMN), *part.shape[2:]), float(len(asked)))

    labeller.runner = runner
    heat = labeller.heatmaps(torch.zeros(150, 3, 3))
    assert asked == [64, 64, 64, 64]
    assert heat[7, :, 1, 1].tolist() == [1.0] * 29 + [2.0] * 28 + [3.0] * 29 + [4.0] * 64


@pytest.fixture
def column():
    """Ideal heatmaps of T10 to L3, where their vertebrae are, and the grid."""
    levels = [level for level in COLUMN if Level.T10.rank <= level.rank <= Level.L3.rank and level != Level.T13]
    places = np.cumsum([[50.0, 60.0, 230.0], *(VECTORS[edge] for edge in zip(levels, levels[1:], strict=False))], 0)
    image = blank((70, 32, 28), 4.0)
    heat = np.zeros((len(COLUMN), 70, 32, 28), np.float32)
    for level, place in zip(levels, places, strict=True):
        heat[level.rank] = 0.9 * gaussians(place[None, ::-1] / 4, heat.shape[1:], 2.0).numpy()
    return levels, places, heat, image


def test_ideal_heatmaps_give_the_vertebrae_back(column):
    levels, places, heat, image = column
    found = labelling.decode(heat, image)
    assert found.levels == tuple(levels)
    assert np.linalg.norm(found.positions - places, axis=1).max() < 0.5
    assert min(point.confidence for point in found) > 0.7


def test_candidates_of_ideal_heatmaps_are_decoded_to_the_same_column(column):
    levels, places, heat, image = column
    seen = labelling.candidates(heat, image)
    assert len(seen) == len(levels)
    assert all(0.8 < one.probability <= 1 and one.levels.sum() == pytest.approx(1) for one in seen)
    found = best_sequence(seen)
    assert found.levels == tuple(levels)
    assert np.linalg.norm(found.positions - places, axis=1).max() < 0.5


def test_the_column_is_named_as_one_and_as_published(column, monkeypatch):
    levels, _, heat, image = column
    # A shadow of a vertebra half-way between T12 and L1, which the random field's bias takes for a T13.
    here = [levels.index(level) for level in (Level.T12, Level.L1)]
    _, places, *_ = column
    shadow = (places[here[0]] + places[here[1]]) / 2
    heat[Level.T13.rank] = 0.15 * gaussians(shadow[None, ::-1] / 4, heat.shape[1:], 2.0).numpy()
    for kind, found in ((labelling.PayerLabeller, levels), (labelling.PayerMarkovLabeller, [*levels, Level.T13])):
        labeller = kind.__new__(kind)
        monkeypatch.setattr(kind, "seen", lambda self, ct, box, often=False: (heat, image))
        assert set(labeller(image, SpineBox.of_image(image)).levels) == set(found)


@pytest.mark.parametrize("kind", [labelling.PayerLabeller, labelling.PayerMarkovLabeller])
def test_vertebrae_beside_the_box_are_not_named(column, monkeypatch, kind):
    _, places, heat, image = column
    labeller = kind.__new__(kind)
    # The field is wider than a small box.
    monkeypatch.setattr(kind, "seen", lambda self, ct, box, often=False: (heat, image))
    room = np.array([20.0, 20.0, 8.0])
    small = SpineBox(tuple(places[3] - room), tuple(places[1] + room))
    assert len(labeller(image, small)) == 3
    assert small.contains(labeller(image, small).positions).all()
    aside = SpineBox(tuple(np.add(small.lower, (60, 0, 0))), tuple(np.add(small.upper, (60, 0, 0))))
    assert not labeller(image, aside)


def test_doubt_between_two_levels_lowers_the_confidence(column):
    levels, _, heat, image = column
    doubtful = 0.55 * heat
    for upper, lower in zip(levels, levels[1:], strict=False):
        doubtful[lower.rank] += 0.45 * heat[upper.rank]
    sure, unsure = labelling.decode(heat, image), labelling.decode(doubtful, image)
    assert max(point.confidence for point in unsure) < min(point.confidence for point in sure)


def test_an_overlooked_vertebra_is_left_out_and_the_others_keep_their_names(column):
    levels, _, heat, image = column
    heat[Level.T12.rank] = 0
    found = labelling.decode(heat, image)
    assert found.levels == tuple(level for level in levels if level != Level.T12)


def test_empty_heatmaps_give_no_vertebra():
    nothing = np.zeros((len(COLUMN), 16, 16, 16), np.float32)
    assert len(labelling.decode(nothing, blank((16, 16, 16), 4.0))) == 0
    assert labelling.candidates(nothing, blank((16, 16, 16), 4.0)) == []


def test_candidates_come_from_several_looks(monkeypatch, column):
    """Larger, smaller and mirrored; the witness of the combined system and the published field have one."""
    *_, image = column
    labeller = labelling.PayerLabeller.__new__(labelling.PayerLabeller)
    labeller.spacing = 4.0
    asked = []

    def heatmaps(hu):
        asked.append(tuple(hu.shape))
        return np.zeros((len(COLUMN), *hu.shape), np.float32)

    monkeypatch.setattr(labeller, "heatmaps", heatmaps)
    box = SpineBox.of_image(image)
    assert labeller.candidates(image, box) == []
    rows = [shape[0] for shape in asked]
    assert rows == [63, 63, 70, 70, 77, 77]
    assert labeller.seen(image, box)[0].shape == (len(COLUMN), 70, 32, 28)
    assert len(asked) == 7
