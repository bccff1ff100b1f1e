"""The choice among heatmap maxima: weights by hand, paths against trying everything, VerSe'19's rule."""

import itertools
import json

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, Level, may_follow
from SpineSegmentationLib.labelling import payer_markov
from SpineSegmentationLib.labelling.payer_markov import EDGES, VECTORS, Candidates, best_path, log_sums
from SpineSegmentationLib.networks.heatmap import gaussians
from SpineSegmentationLib.training.neighbours import mean_vectors


def at(*places):
    """Candidates at (position, response)."""
    return Candidates(np.array([p for p, _ in places], float), np.array([r for _, r in places], float))


def chosen(found, weights):
    """The path as positions."""
    unary, pairwise = weights(found)
    return {level: tuple(found[level].positions[k]) for level, k in best_path(unary, pairwise).items()}


def test_unary_by_hand():
    # lambda h + b = 0.2 * 0.7 + 2
    unary, _ = payer_markov.verse20_weights({Level.L1: at(((0, 0, 0), 0.7))})
    assert unary[Level.L1] == pytest.approx([2.14])


def test_pairwise_by_hand(monkeypatch):
    # m = (0, 0, -30), d = (0, 9, -18): |2 (m - d) / 30|^2 = 4 * (81 + 144) / 900 = 1, so p = 0.8 * (1 - 1);
    # d = m: p = 0.8; d = 0: p = 0.8 * (1 - 4).
    monkeypatch.setitem(VECTORS, (Level.L1, Level.L2), np.array([0.0, 0.0, -30.0]))
    found = {
        Level.L1: at(((5, 5, 5), 0.5)),
        Level.L2: at(((5, 14, -13), 0.5), ((5, 5, -25), 0.5), ((5, 5, 5), 0.5)),
    }
    _, pairwise = payer_markov.verse20_weights(found)
    np.testing.assert_allclose(pairwise[Level.L1, Level.L2], [[0.0, 0.8, -2.4]], atol=1e-12)


def test_every_step_of_the_column_has_a_vector_that_leads_down():
    assert set(VECTORS) == {(a, b) for a in COLUMN for b in COLUMN if may_follow(a, b)}
    assert all(vector[2] < -15 and np.linalg.norm(vector) < 40 for vector in VECTORS.values())
    assert VECTORS[Level.T11, Level.L1] is VECTORS[Level.T12, Level.L1]


def test_the_mean_vectors_of_scans(tmp_path):
    # L1 to L2: (2, 4, -30) and (-2, 6, -34); the third scan is for validation, S1 is no level of the product.
    scans = {
        "one": [("L1", [0, 0, 0]), ("L2", [2, 4, -30]), ("S1", [0, 0, -60])],
        "two": [("L2", [8, 16, -34]), ("L1", [10, 10, 0])],
        "kept": [("L1", [0, 0, 0]), ("L2", [0, 90, -10])],
    }
    for name, points in scans.items():
        (tmp_path / "ct" / name).mkdir(parents=True)
        written = {"points": [{"label": label, "position": position} for label, position in points]}
        (tmp_path / "ct" / name / "centroids.json").write_text(json.dumps(written))
    found = mean_vectors(tmp_path, leave_out=["kept"])
    assert list(found) == [(Level.L1, Level.L2)]
    np.testing.assert_allclose(found[Level.L1, Level.L2], [0, 5, -32])


def test_neighbours_of_the_same_region_lend_their_candidates():
    found = {Level.T12: at(((0, 0, 0), 0.8)), Level.L1: at(((0, 0, -30), 0.6))}
    own = payer_markov.with_neighbours(found)
    assert own.keys() == {Level.T11, Level.T12, Level.T13, Level.L1, Level.L2}
    assert own[Level.T12].responses.tolist() == [0.8]  # L1 is of another region
    assert own[Level.L2].positions.tolist() == [[0, 0, -30]]
    assert own[Level.L2].responses == pytest.approx([0.06])


def test_a_maximum_between_voxels_is_found():
    image = sitk.Image([20, 24, 30], sitk.sitkFloat32)
    image.SetSpacing((4.0,) * 3)
    image.SetOrigin((-30.0, 10.0, 100.0))
    heat = np.zeros((len(COLUMN), 30, 24, 20), np.float32)
    place = np.array([12.3, 9.6, 7.2])
    heat[Level.L3.rank] = 0.7 * gaussians(place[None], heat.shape[1:], 2.0).numpy()
    found = payer_markov.maxima(heat, image)
    assert found.keys() == {Level.L3}
    np.testing.assert_allclose(found[Level.L3].positions, [place[::-1] * 4 + [-30, 10, 100]], atol=1e-3)
    assert 0.6 < found[Level.L3].responses[0] <= 0.7


def test_noise_gives_a_bounded_number_of_candidates():
    heat = np.random.default_rng(0).uniform(0, 1, (len(COLUMN), 20, 20, 20)).astype(np.float32)
    found = payer_markov.maxima(heat, sitk.Image([20, 20, 20], sitk.sitkFloat32))
    assert all(len(own.responses) == payer_markov.MOST for own in found.values())
    assert (np.diff(found[Level.C1].responses) <= 0).all()


def test_direction_outweighs_a_higher_response():
    step = VECTORS[Level.L1, Level.L2]
    found = {Level.L1: at(((0, 0, 0), 0.9)), Level.L2: at((step, 0.3), ((0, 40, -80), 0.9))}
    assert chosen(found, payer_markov.verse20_weights)[Level.L2] == pytest.approx(tuple(step))


@pytest.mark.parametrize(
    "levels",
    [(Level.T12, Level.T13, Level.L1), (Level.T10, Level.T11, Level.L1, Level.L2), (Level.L4, Level.L5, Level.L6)],
)
def test_variants_are_found(levels):
    place, found = np.zeros(3), {levels[0]: at(((0, 0, 0), 0.8))}
    for edge in itertools.pairwise(levels):
        place = place + VECTORS[edge]
        found[edge[1]] = at((place, 0.8))
    assert tuple(chosen(payer_markov.with_neighbours(found), payer_markov.verse20_weights)) == levels


def test_without_candidates_there_is_no_path():
    assert best_path({}, {}) == {} and log_sums({}, {}) == {}
    assert payer_markov.verse19_weights({}) == ({}, {})


FEW = (Level.T10, Level.T11, Level.T12, Level.T13, Level.L1, Level.L2)


@st.composite
def graphs(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(0, 3), min_size=len(FEW), max_size=len(FEW)))
    unary = {level: rng.normal(0, 1, size) for level, size in zip(FEW, sizes, strict=True) if size}
    pairwise = {
        (a, b): np.where(rng.random((len(unary[a]), len(unary[b]))) < 0.2, -np.inf,
                         rng.normal(0, 1, (len(unary[a]), len(unary[b]))))
        for a, b in EDGES
        if a in unary and b in unary
    }  # fmt: skip
    return unary, pairwise


def paths(unary, pairwise):
    """All paths and what they weigh."""
    todo = [((level, k),) for level in unary for k in range(len(unary[level]))]
    while todo:
        path = todo.pop()
        weight = sum(unary[level][k] for level, k in path)
        weight += sum(pairwise[a, b][i, j] for (a, i), (b, j) in itertools.pairwise(path))
        yield path, weight
        for a, b in pairwise:
            if a == path[-1][0]:
                todo += [(*path, (b, k)) for k in range(len(unary[b]))]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_paths_and_sums_are_those_of_trying_everything(graph):
    unary, pairwise = graph
    every = list(paths(unary, pairwise))
    found = best_path(unary, pairwise)
    if not every:
        assert found == {}
        return
    weights = dict(every)
    assert weights[tuple(found.items())] == pytest.approx(max(weights.values()))
    sums = log_sums(unary, pairwise)
    for level in unary:
        for k in range(len(unary[level])):
            through = [weight for path, weight in every if (level, k) in path]
            assert sums[level][k] == pytest.approx(np.logaddexp.reduce(through))


def test_the_first_rule_keeps_distances_and_order():
    found = {
        Level.L1: at(((0, 0, 0), 0.6)),
        # too near; above L1; too far; right, though the response is the lowest
        Level.L2: at(((0, 0, -12), 0.9), ((0, 0, 30), 0.8), ((0, 0, -51), 0.8), ((0, 0, -33), 0.3)),
        Level.L3: at(((0, 0, -66), 0.6)),
    }
    assert chosen(found, payer_markov.verse19_weights) == {
        Level.L1: (0, 0, 0),
        Level.L2: (0, 0, -33),
        Level.L3: (0, 0, -66),
    }


def test_the_first_rule_looks_from_the_first_to_the_last_visible_vertebra_only():
    found = {
        Level.L1: at(((0, 0, 0), 0.6)),
        Level.L2: at(((0, 0, -33), 0.6)),
        Level.L3: at(((0, 0, -66), 0.6)),
        Level.L4: at(((0, 0, -40), 0.9)),  # not the lowest, so not the last
    }
    unary, pairwise = payer_markov.verse19_weights(found)
    assert unary.keys() == {Level.L1, Level.L2, Level.L3}
    assert pairwise.keys() == {(Level.L1, Level.L2), (Level.L2, Level.L3)}
