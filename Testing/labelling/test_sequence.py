"""The column chosen among candidates: order, distances, overlooked vertebrae, variants, confidence."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, STANDARD, Level, may_follow
from SpineSegmentationLib.labelling import sequence
from SpineSegmentationLib.labelling.distances import DISTANCE
from SpineSegmentationLib.labelling.sequence import Candidate, best_sequence


def column(first, last, scale=1.0, variants=()):
    """Positions of regular vertebrae one below the other."""
    levels = [level for level in COLUMN if first.rank <= level.rank <= last.rank]
    levels = [level for level in levels if not level.is_transitional or level in variants]
    z, places = 0.0, {}
    for upper, lower in itertools.zip_longest(levels, levels[1:]):
        places[upper] = (0.0, 0.0, z)
        if lower is not None:
            z -= DISTANCE[upper] * scale
    return places


def evidence(level, certainty=0.6, shift=0):
    """A distribution over levels with its peak ``shift`` levels below."""
    weights = np.full(len(COLUMN), (1 - certainty) / (len(COLUMN) - 1))
    weights[min(max(level.rank + shift, 0), len(COLUMN) - 1)] = certainty
    return weights


def candidates(places, **options):
    return [Candidate(position, 0.9, evidence(level, **options)) for level, position in places.items()]


def test_clear_evidence_is_taken_as_it_is():
    places = column(Level.T10, Level.L5)
    found = best_sequence(candidates(places))
    assert found.levels == tuple(places)
    assert np.allclose(found.positions, list(places.values()), rtol=0, atol=1e-3)
    assert min(p.confidence for p in found) > 0.9


def test_no_candidates_give_no_column():
    assert len(best_sequence([])) == 0


def test_the_column_overrules_one_wrong_vertebra():
    places = column(Level.T8, Level.L3)
    chain = candidates(places)
    chain[4] = Candidate(chain[4].position, 0.9, evidence(Level.C3, 0.9))
    assert best_sequence(chain).levels == tuple(places)


def test_a_false_candidate_between_two_vertebrae_is_left_out():
    places = column(Level.L1, Level.L5)
    chain = candidates(places)
    middle = tuple(np.mean([chain[1].position, chain[2].position], axis=0))
    chain.append(Candidate(middle, 0.6, evidence(Level.L2, 0.5)))
    found = best_sequence(chain)
    assert found.levels == tuple(places)
    assert middle not in [p.position for p in found]


def test_an_overlooked_vertebra_is_put_between_its_neighbours_with_low_confidence():
    places = column(Level.T9, Level.L3)
    chain = [c for c, level in zip(candidates(places), places, strict=True) if level != Level.T12]
    found = best_sequence(chain)
    assert found.levels == tuple(places)
    assert np.linalg.norm(np.subtract(found[Level.T12].position, places[Level.T12])) < 1
    assert found[Level.T12].confidence <= 0.5


@pytest.mark.parametrize(
    ("first", "last", "variants", "absent"),
    [
        (Level.T10, Level.L2, (Level.T13,), ()),
        (Level.L3, Level.L6, (Level.L6,), ()),
        (Level.T9, Level.L3, (), (Level.T12,)),
    ],
)
def test_variants_are_named_when_the_evidence_is_strong(first, last, variants, absent):
    levels = [
        level
        for level in COLUMN
        if first.rank <= level.rank <= last.rank
        and level not in absent
        and (not level.is_transitional or level in variants)
    ]
    z, chain = 0.0, []
    for level in levels:
        chain.append(Candidate((0.0, 0.0, z), 0.9, evidence(level, 0.9)))
        z -= DISTANCE[level]
    assert best_sequence(chain).levels == tuple(levels)


def test_doubtful_evidence_lowers_the_confidence():
    places = column(Level.T4, Level.T8)
    sure, unsure = (best_sequence(candidates(places, certainty=c)) for c in (0.7, 0.1))
    assert max(p.confidence for p in unsure) < min(p.confidence for p in sure)


@st.composite
def chains(draw):
    size = draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    result, z = [], 0.0
    for _ in range(size):
        levels = rng.dirichlet(np.full(len(COLUMN), 0.3))
        result.append(Candidate((rng.normal(0, 3), rng.normal(0, 3), z), rng.uniform(0.2, 0.99), levels))
        z -= rng.uniform(8, 60)
    return result


@given(chains())
def test_every_column_is_anatomically_possible(chain):
    found = best_sequence(chain)
    for upper, lower in itertools.pairwise(found):
        assert may_follow(upper.level, lower.level)
        assert upper.position[2] > lower.position[2]
    assert all(0 <= p.confidence <= 1 for p in found)


def brute_force(chain, levels):
    """The best score over all chains of candidates with a number of levels, by trying everything."""
    best = -np.inf
    for size in range(1, len(chain) + 1):
        for chosen in itertools.combinations(range(len(chain)), size):
            for ranks in itertools.product(range(levels), repeat=size):
                total = sum(sequence._unary(chain[i], 1.0)[rank] for i, rank in zip(chosen, ranks, strict=True))
                for (i, a), (j, b) in itertools.pairwise(zip(chosen, ranks, strict=True)):
                    scores = sequence._step_scores(chain[i], chain[j])
                    fitting = [s for s, step in zip(scores, sequence.STEPS, strict=True) if step[:2] == (a, b)]
                    total += max(fitting, default=-np.inf)
                best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(2))
def test_dynamic_programming_finds_what_trying_everything_finds(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    few = COLUMN[18:23]  # T12, T13, L1, L2, L3 keep the search small
    monkeypatch.setattr(sequence, "COLUMN", few)
    index = {level: i for i, level in enumerate(few)}
    steps = [(a, b) for a in few for b in few if may_follow(a, b)]
    table = [(index[a], index[b], 0.0, DISTANCE[a], None) for a, b in steps]
    monkeypatch.setattr(sequence, "STEPS", table)
    for name, column_of in (("_FROM", 0), ("_TO", 1), ("_COST", 2), ("_LENGTH", 3)):
        monkeypatch.setattr(sequence, name, np.array([row[column_of] for row in table]))
    chain = [Candidate((0.0, 0.0, -30.0 * i), rng.uniform(0.3, 0.9), rng.dirichlet(np.ones(5))) for i in range(3)]
    expected = brute_force(chain, 5)
    unary = np.array([sequence._unary(candidate, 1.0) for candidate in chain])
    path = sequence._solve(chain, unary, 1.0, sequence.BETWEEN_PEOPLE)
    chosen, ranks = [j for j, _, _ in path], [rank for _, rank, _ in path]
    total = sum(sequence._unary(chain[i], 1.0)[r] for i, r in zip(chosen, ranks, strict=True))
    for (i, a), (j, b) in itertools.pairwise(zip(chosen, ranks, strict=True)):
        scores = sequence._step_scores(chain[i], chain[j])
        total += max(s for s, step in zip(scores, table, strict=True) if step[:2] == (a, b))
    assert total == pytest.approx(expected)


def test_the_distances_cover_the_whole_column():
    assert set(DISTANCE) == set(COLUMN)
    assert all(15 < DISTANCE[level] < 40 for level in STANDARD)
