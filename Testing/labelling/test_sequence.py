"""The column chosen among candidates: order, distances, overlooked vertebrae, variants, confidence."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from SpineSegmentationLib.anatomy import COLUMN, STANDARD, Level, may_follow
from SpineSegmentationLib.labelling import sequence
from SpineSegmentationLib.labelling.distances import DISTANCE, score
from SpineSegmentationLib.labelling.readings import KINDS
from SpineSegmentationLib.labelling.sequence import Candidate, best_sequence
from SpineSegmentationLib.labelling.steps import OVERLOOKED
from SpineSegmentationLib.labelling.verdict import mixed
from SpineSegmentationLib.numbering import Certainty
from SpineSegmentationLib.spine import Centroids


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
    assert min(p.confidence for p in found) > 0.75


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


def with_sacrum(last, nats, scale=1.0, **options):
    """A loin down to ``last`` and a candidate below it that speaks for S1 with so many nats; where that lies."""
    places = column(Level.T12, last, scale, variants=(Level.L6,) if last is Level.L6 else ())
    below = (0.0, 0.0, places[last][2] - DISTANCE[last] * scale)
    speaks = np.append(np.zeros(len(COLUMN)), nats)
    # The projections take S1 for L5, as they do.
    return places, [*candidates(places, **options), Candidate(below, 0.4, evidence(Level.L5), speaks, 1.5)], below


def test_s1_ends_the_column_and_is_no_vertebra():
    places, chain, below = with_sacrum(Level.L5, 6.0)
    found = best_sequence(chain)
    assert found.levels == tuple(places) and found.numbering.sacrum == pytest.approx(below, abs=1e-3)


@pytest.mark.parametrize("shift", [-1, 1])
def test_where_s1_is_l5_is_above_it_whatever_the_others_say(shift):
    places, chain, _ = with_sacrum(Level.L5, 9.0, certainty=0.15, shift=shift)
    named = best_sequence(chain).numbering.readings[0]
    without = best_sequence(chain[:-1]).numbering.readings
    assert named.levels == tuple(places)
    assert sum(one.probability for one in without if one.levels == tuple(places)) < 0.8 * named.probability


def test_what_nobody_asked_about_s1_is_a_vertebra():
    _, chain, _ = with_sacrum(Level.L4, 0.0)
    found = best_sequence([*chain[:-1], Candidate(chain[-1].position, 0.9, evidence(Level.L5))])
    assert found.levels[-1] is Level.L5 and found.numbering.sacrum is None


def test_s1_alone_is_no_column():
    _, (*_, lone), _ = with_sacrum(Level.L5, 6.0)
    assert best_sequence([lone]) == Centroids()


@pytest.mark.parametrize(
    ("left_out", "variants"), [((Level.T12,), ()), ((), (Level.T13,)), ((), (Level.L6,)), ((Level.L5,), ())]
)
def test_vertebrae_are_counted_though_the_last_of_a_region_look_alike(left_out, variants):
    """The networks see last ribs and a sacrum, but cannot count: they name the loin and the last ribs from below."""
    column_from_above = [p for p in COLUMN if p not in left_out and (not p.is_transitional or p in variants)]
    thoracic = [p for p in column_from_above if p.region == "thoracic"]
    lumbar = [p for p in column_from_above if p.region == "lumbar"]
    usual = {"thoracic": [p for p in STANDARD if p.region == "thoracic"], "lumbar": STANDARD[-5:]}
    seen = {p: p for p in column_from_above}
    for mine in (thoracic, lumbar):
        seen |= dict(zip(mine[-3:], usual[mine[0].region][-3:], strict=True))
    z, chain = 0.0, []
    for level in column_from_above:
        speaks = np.append(np.where([p is seen[level] for p in COLUMN], 3.0, -3.0), -3.0)
        chain.append(Candidate((0.0, 0.0, z), 0.9, np.ones(len(COLUMN)), speaks, 1.5))
        z -= DISTANCE[level]
    speaks = np.append(np.full(len(COLUMN), -3.0), 3.0)
    chain.append(Candidate((0.0, 0.0, z), 0.5, np.ones(len(COLUMN)), speaks, 1.5))
    assert best_sequence(chain).levels == tuple(column_from_above)


@pytest.mark.parametrize("shift", [-1, 1])
def test_anchors_overrule_a_chest_that_looks_one_level_off(shift):
    """The vertebrae of a tall chest all look like those above; its ends do not."""
    places, chain = column(Level.C7, Level.L5), []
    for level, position in places.items():
        middle = Level.T4.rank <= level.rank <= Level.L3.rank
        seen = STANDARD[STANDARD.index(level) + shift * middle]
        speaks = np.append(np.where([p is seen for p in COLUMN], 0.0, -2.0), -6.0)
        chain.append(Candidate(position, 0.9, np.ones(len(COLUMN)), speaks, 1.5))
    below = (0.0, 0.0, chain[-1].position[2] - DISTANCE[Level.L5])
    chain.append(Candidate(below, 0.5, np.ones(len(COLUMN)), np.append(np.full(len(COLUMN), -6.0), 0.0), 1.5))
    assert best_sequence(chain).levels == tuple(places)


def test_an_overlooked_vertebra_is_put_between_its_neighbours_with_low_confidence():
    places = column(Level.T9, Level.L3)
    chain = [c for c, level in zip(candidates(places), places, strict=True) if level != Level.T12]
    found = best_sequence(chain)
    assert found.levels == tuple(places)
    assert np.linalg.norm(np.subtract(found[Level.T12].position, places[Level.T12])) < 1
    assert found[Level.T12].confidence <= 0.5


@pytest.mark.parametrize(("probability", "phrases"), [(0.6, 1), (0.3, 0)])
def test_a_likely_vertebra_below_l5_that_got_no_name_is_told(probability, phrases):
    """Of six lumbar vertebrae the sixth was left out: all names are right from above, but the column is not."""
    places, (*chain, _), below = with_sacrum(Level.L5, 0.0, certainty=0.9)
    speaks = np.append(np.where([level is Level.L5 for level in COLUMN], 6.0, 0.0), -6.0)
    sixth = Candidate(below, probability, evidence(Level.L5), speaks, 1.5)
    told = best_sequence([*chain, sixth], 0.6)
    assert told.levels == tuple(places)
    assert told.numbering.evidence.count("but what looks like a vertebra below L5 has no name") == phrases


def a_chest_with_a_collapsed_vertebra(loss):
    """C3 to L5 with all that a column needs to be sure; T5 has lost so much, and its neighbours are nearer."""
    places = column(Level.C3, Level.L5)
    drop = loss * DISTANCE[Level.T5]
    levels = list(places)
    return [
        Candidate((0.0, 0.0, z + drop * ((level.rank >= Level.T5.rank) + (level.rank > Level.T5.rank)) / 2), 0.9,
                  evidence(level, 0.9))
        for level, (_, _, z) in zip(levels, places.values(), strict=True)
    ]  # fmt: skip


def test_a_collapsed_vertebra_counts():
    chain = a_chest_with_a_collapsed_vertebra(0.5)
    found = best_sequence(chain, 0.6)
    assert found.levels == tuple(column(Level.C3, Level.L5))
    assert found.numbering.certainty is Certainty.CERTAIN


def test_names_are_not_certain_where_a_vertebra_was_passed_over():
    """All that speaks for T5 is gone: the rest of the column makes do, but cannot be sure."""
    whole = a_chest_with_a_collapsed_vertebra(0.6)
    places = column(Level.C3, Level.L5)
    below = [level for level in places if level.rank > Level.T5.rank]
    looks = dict(zip(below, [Level.T5, *below], strict=False))
    chain = [
        replace(one, levels=evidence(looks.get(level, level), 0.9))
        for level, one in zip(places, whole, strict=True)
        if level is not Level.T5
    ]
    found = best_sequence(chain, 0.6)
    assert found.levels == tuple(looks.get(level, level) for level in places if level is not Level.T5)
    assert found.numbering.certainty is not Certainty.CERTAIN
    assert "but T4 and T5 lie as far apart as if a vertebra were missing between them" in found.numbering.evidence


@pytest.mark.parametrize(
    ("first", "last", "variants", "absent"),
    [
        (Level.T10, Level.L2, (Level.T13,), ()),
        (Level.L3, Level.L6, (Level.L6,), ()),
        (Level.C7, Level.L5, (), (Level.T12,)),
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
    assert best_sequence(chain, 0.6).levels == tuple(levels)


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


def brute_force(chain, unary, kind):
    """The best score of all paths down a column, by trying everything."""
    ranks, alike = kind.ranks[:-1], kind.alike[:-1]
    best = 0.0
    for size in range(1, len(chain) + 1):
        for chosen in itertools.combinations(range(len(chain)), size):
            for first, *reaches in itertools.product(range(len(ranks)), *[(1, 2)] * (size - 1)):
                members = list(itertools.accumulate(reaches, initial=first))
                if members[-1] >= len(ranks):
                    continue
                passed = slice(members[0], members[-1] + 1)
                total = -kind.cost * (ranks[passed] != alike[passed]) - OVERLOOKED * sum(reach - 1 for reach in reaches)
                total += sum(mixed(unary[i], ranks[m], alike[m]) for i, m in zip(chosen, members, strict=True))
                for (i, a), (j, b) in itertools.pairwise(zip(chosen, members, strict=True)):
                    length = sum(DISTANCE[COLUMN[rank]] for rank in ranks[a:b])
                    total += score(np.linalg.norm(np.subtract(chain[i].position, chain[j].position)), length, 0.17)
                best = max(best, float(total))
    return best


@pytest.mark.parametrize("kind", KINDS)
def test_dynamic_programming_finds_what_trying_everything_finds(kind):
    rng = np.random.default_rng(3)
    near = COLUMN[16:24]  # T10 to L3, where columns differ
    chain = []
    for i in range(4):
        levels = np.full(len(COLUMN), 1e-3)
        levels[[level.rank for level in near]] = rng.dirichlet(np.ones(len(near)))
        chain.append(Candidate((0.0, 0.0, -30.0 * i), rng.uniform(0.3, 0.9), levels))
    unary = np.array([sequence._unary(candidate, 1.0) for candidate in chain])
    total, path = sequence._solve(chain, unary, kind, 1.0, 0.17)
    assert total == pytest.approx(brute_force(chain, unary, kind)) and path


def test_the_distances_cover_the_whole_column():
    assert set(DISTANCE) == set(COLUMN)
    assert all(15 < DISTANCE[level] < 40 for level in STANDARD)


def test_ribs_tell_a_sixth_lumbar_vertebra_from_a_column_that_looks_one_level_off():
    # From T10 down, with six lumbar vertebrae; those below T12 look like the usual column counted from below.
    places = column(Level.T10, Level.L6, variants=(Level.L6,))
    looks = [Level.T10, Level.T11, Level.T12, Level.L1, Level.L2, Level.L3, Level.L3, Level.L4, Level.L5]
    plain = [Candidate(at, 0.9, evidence(seen)) for at, seen in zip(places.values(), looks, strict=True)]
    bears = np.array([level.region == "thoracic" for level in COLUMN] + [False])
    ribbed = [
        replace(one, ribs=-3.0 * (bears != (level.region == "thoracic")))
        for one, level in zip(plain, places, strict=True)
    ]
    assert (best_sequence(plain, 0.6).levels[0], best_sequence(plain, 0.6).levels[-1]) == (Level.T9, Level.L5)
    assert best_sequence(ribbed, 0.6).levels == tuple(places)


def test_ribs_tell_names_apart_and_no_vertebra_from_nothing():
    places = column(Level.T10, Level.L2)
    chain = candidates(places, certainty=0.95)
    unlikely = [*chain[:-1], replace(chain[-1], ribs=np.full(len(COLUMN) + 1, -9.0))]
    assert best_sequence(unlikely).levels == best_sequence(chain).levels == tuple(places)
