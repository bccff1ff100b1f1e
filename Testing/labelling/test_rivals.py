"""Columns through other places: what they are worth against trying everything, and whom they touch."""

import itertools

import numpy as np
import pytest

from SpineSegmentationLib.anatomy import COLUMN, S1, Level
from SpineSegmentationLib.labelling.distances import DISTANCE
from SpineSegmentationLib.labelling.readings import KINDS
from SpineSegmentationLib.labelling.rivals import rivals
from SpineSegmentationLib.labelling.steps import OVERLOOKED, score
from SpineSegmentationLib.labelling.verdict import mixed

L = Level


def rows(*levels, nats=2.0, chance=2.0):
    """What speaks for a vertebra of each level, and less for all others; never for S1."""
    found = np.full((len(levels), S1 + 1), chance - nats)
    found[np.arange(len(levels)), [level.rank for level in levels]] = chance
    found[:, S1] = -1e4
    return found


def down(*heights):
    return np.array([(0.0, 0.0, -height) for height in heights])


def trying_everything(candidates, unary, places, names, kind, size=1.0, spread=0.05):
    """The best score of paths without other names; for each place, of those of another number of vertebrae in between
    that name it otherwise, and of those that pass it over."""
    same, (renamed, passed) = -np.inf, np.full((2, len(places)), -np.inf)
    ranks, alike = kind.ranks, kind.alike
    place = [int(np.linalg.norm(places - one, axis=1).argmin()) for one in candidates]
    for count in range(1, len(candidates) + 1):
        for chosen in itertools.combinations(range(len(candidates)), count):
            for begin, *reaches in itertools.product(range(len(ranks) - 1), *[(1, 2)] * (count - 1)):
                members = list(itertools.accumulate(reaches, initial=begin))
                if members[-1] >= len(ranks):
                    continue
                shown = slice(members[0], members[-1] + 1)
                total = -kind.cost * (ranks[shown] != alike[shown]) - OVERLOOKED * sum(reach - 1 for reach in reaches)
                total += sum(mixed(unary[i], ranks[m], alike[m]) for i, m in zip(chosen, members, strict=True))
                elsewhere, left_out = False, set()
                for (i, a), (j, b) in itertools.pairwise(zip(chosen, members, strict=True)):
                    length = sum(DISTANCE[COLUMN[rank]] for rank in ranks[a:b])
                    total += score(np.linalg.norm(candidates[i] - candidates[j]), length * size, spread)
                    at_an_end = place[j] == 0 or place[i] == len(places) - 1
                    elsewhere |= not at_an_end and b - a != place[j] - place[i]
                    between = range(place[i] + 1, place[j])
                    left_out |= set(between if len(between) > b - a - 1 else ())
                changed = {place[i] for i, m in zip(chosen, members, strict=True) if ranks[m] != names[place[i]]}
                if not changed:
                    same = max(same, float(total))
                for scores, which in ((renamed, changed), (passed, left_out)):
                    for number in which if elsewhere else ():
                        scores[number] = max(scores[number], float(total))
    return same, renamed, passed


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2], KINDS[3]])
def test_the_rivals_are_those_that_trying_everything_finds(kind):
    rng = np.random.default_rng(5)
    candidates = down(0, 24, 35, 50, 76)
    levels = [L.T10, L.T11, L.T11, L.T12, L.L1]
    unary = rows(*levels) + rng.normal(0, 0.5, (5, S1 + 1))
    names = np.array([L.T10.rank, L.T11.rank, L.T12.rank, L.L1.rank])
    places = candidates[[0, 1, 3, 4]]
    same, renamed, passed = trying_everything(candidates, unary, places, names, kind)
    found = rivals(candidates, unary, places, names, [kind], 1.0, 0.05)
    assert np.isfinite(found.column) and found.column == pytest.approx(renamed.max() - same)
    assert np.isfinite(renamed).all() and found.renamed == pytest.approx(renamed - same)
    assert np.isfinite(passed[1:-1]).all() and found.passed == pytest.approx(passed - same)


CHEST = (L.T2, L.T3, L.T4, L.T5, L.T6)
HEIGHTS = (0.0, 21.4, 43.1, 64.6, 86.2)
RANKS = np.array([level.rank for level in CHEST])


def test_a_column_without_candidates_beside_it_has_distant_rivals():
    places = down(*HEIGHTS)
    assert rivals(places, rows(*CHEST), places, RANKS, KINDS, 1.0, 0.05).column < -5


def test_a_candidate_passed_over_is_a_near_rival():
    """T4 has collapsed and its place is a little off: with it, all below are one level lower."""
    candidates = down(0.0, 21.4, 38.0, 52.0, 73.0, 95.0)
    unary = rows(L.T2, L.T3, L.T4, L.T5, L.T6, L.T7, nats=0.5)
    places = candidates[[0, 1, 3, 4, 5]]
    names = np.array([level.rank for level in (L.T2, L.T3, L.T4, L.T5, L.T6)])
    assert rivals(candidates, unary, places, names, KINDS, 1.0, 0.05).column > -3


def test_what_no_other_column_touches_has_no_near_rival():
    """T4 has collapsed, as above: what lies above it keeps its names, which are sure."""
    candidates = down(0.0, 21.4, 38.0, 52.0, 73.0, 95.0)
    unary = rows(L.T2, L.T3, L.T4, L.T5, L.T6, L.T7, nats=0.5)
    unary[:2] = rows(L.T2, L.T3, nats=9.0)
    places = candidates[[0, 1, 3, 4, 5]]
    names = np.array([level.rank for level in (L.T2, L.T3, L.T4, L.T5, L.T6)])
    found = rivals(candidates, unary, places, names, KINDS[:1], 1.0, 0.05)
    assert found.renamed[:2].max() < -5 and found.renamed[2:].min() > -3
    assert found.column == found.renamed.max() and found.passed.max() < found.column


def test_a_candidate_beside_another_is_no_rival():
    """Two candidates of one vertebra: whichever is taken, the names are the same."""
    candidates = down(*HEIGHTS[:3], HEIGHTS[2] + 4, *HEIGHTS[3:])
    unary = rows(L.T2, L.T3, L.T4, L.T4, L.T5, L.T6)
    places = candidates[[0, 1, 2, 4, 5]]
    assert rivals(candidates, unary, places, RANKS, KINDS, 1.0, 0.05).column < -5


def test_a_vertebra_beyond_an_end_is_no_rival():
    candidates = down(-20.5, *HEIGHTS)
    unary = rows(L.T1, *CHEST)
    unary[0] -= 4.0  # hardly a vertebra
    assert rivals(candidates, unary, candidates[1:], RANKS, KINDS, 1.0, 0.05).column < -5


def test_an_overlooked_vertebra_has_a_rival_without_it():
    candidates = down(0.0, 21.4, 52.0, 73.6, 95.8)
    unary = rows(L.T2, L.T3, L.T5, L.T6, L.T7, nats=0.5)
    places = np.insert(candidates, 2, (0.0, 0.0, -37.0), axis=0)
    names = np.array([level.rank for level in (L.T2, L.T3, L.T4, L.T5, L.T6, L.T7)])
    assert rivals(candidates, unary, places, names, KINDS, 1.0, 0.05).column > -3
