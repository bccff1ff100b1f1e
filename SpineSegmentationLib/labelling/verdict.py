"""The names of a column as a whole: how likely each way to read it is, and whether that can be relied on.

The vertebrae of one scan are judged by the same networks and err together. So the scores of the readings are divided by
a temperature, fitted on people that no training saw, before they count as probabilities; and what happens to one scan
in twenty, that all are one level off however sure they are, is reckoned with.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..anatomy import COLUMN, S1
from ..numbering import Certainty, Numbering, Reading
from ..spine import Centroids
from .distances import DISTANCE, score
from .readings import COLUMNS, KINDS

TEMPERATURE = 1.25
OFF_BY_ONE = 0.05  # share of views of people unseen in training that were named one level off as a whole
UNANCHORED = "no landmark was looked for, neither dens nor ribs nor sacrum: names of this system are never certain"
CERTAIN, DOUBTFUL = 0.92, 0.6  # least probability of the best reading to be called so

Named = TypeVar("Named", bound=Centroids)


class Ways(NamedTuple):
    """Ways to name so many neighbours.

    Attributes:
        ranks: (R, count) in ``COLUMN``, S1 at the end of some; ``looks``: what each may look like, most often its own.
        cost: (R,) in nats, of kinds that are not the usual one where they differ from it.
        off: (R,) by how many levels lower than named the usual column's middle is taken to look; 0 for other ways.
    """

    ranks: NDArray[np.int_]
    looks: NDArray[np.int_]
    cost: NDArray[np.float64]
    off: NDArray[np.int_]


@cache
def ways(count: int, usual: bool) -> Ways:
    """The ways to name ``count`` neighbours of which the first is a vertebra; one name may come in several columns."""
    found = []
    for kind in KINDS:
        if usual and kind.ranks != COLUMNS["usual"]:
            continue
        for start in range(max(len(kind.ranks) - max(count, 2) + 1, 0)):
            members = slice(start, start + count)
            differs = kind.ranks[members] != kind.alike[members]
            if differs or not kind.cost:
                usually = kind.ranks == COLUMNS["usual"]
                off = max(np.sign(np.subtract(kind.alike, kind.ranks)), key=abs) if differs and usually else 0
                found.append((kind.ranks[members], kind.alike[members], kind.cost if differs else 0.0, off))
    ranks, seen, cost, offs = zip(*found, strict=True) if found else ((), (), (), ())
    shape = (-1, count)
    return Ways(
        np.array(ranks, int).reshape(shape), np.array(seen, int).reshape(shape), np.array(cost, float),
        np.array(offs, int),
    )  # fmt: skip


def mixed(row: NDArray, ranks: Sequence[int] | NDArray[np.int_], alike: Sequence[int] | NDArray[np.int_]) -> NDArray:
    """What a row of nats says for ranks that may look like others: the networks share a likeness between both.

    Args:
        row: (27,) what it looks like; (2, 27) where something speaks for the rank itself, whatever it looks like.
    """
    looks, itself = np.atleast_2d(row)[0], np.atleast_2d(row)[1:].sum(0)
    own, other = looks[np.asarray(ranks)], looks[np.asarray(alike)]
    return np.where(np.equal(ranks, alike), own, np.logaddexp(own, other)) + itself[np.asarray(ranks)]


def verdict(
    rows: Sequence[NDArray | None], positions: NDArray, size: float, spread: float, *, usual: bool = False
) -> tuple[Numbering, list[float]]:
    """The verdict on a column, and the share of the readings that give each vertebra its name in the best one.

    Where the last is S1 rather than a vertebra, the readings name those above it.

    Args:
        rows: what speaks for each level of ``COLUMN`` and for S1, in nats (:func:`mixed`), for every vertebra from the
            head down; None for one that no candidate showed.
        positions: (N, 3) LPS mm.
        size, spread: of this person, as :func:`distances.score` expects distances.
        usual: whether to take it that the person has twelve thoracic and five lumbar vertebrae.
    """
    found, seen, cost, off = ways(len(rows), usual)
    scores = -cost
    for column, alike, row in zip(found.T, seen.T, rows, strict=True):
        if row is not None:
            scores = scores + mixed(row, column, alike)
    length = np.array([DISTANCE[level] for level in COLUMN])
    shown = [i for i, row in enumerate(rows) if row is not None]
    for a, b in itertools.pairwise(shown):
        expected = length[found[:, a:b]].sum(1) * size
        scores = scores + score(float(np.linalg.norm(positions[a] - positions[b])), expected, spread)
    scores = scores / TEMPERATURE
    probability = np.exp(scores - np.logaddexp.reduce(scores))
    beside = _one_off(found, found[int(np.argmax(probability))])
    if beside.any():
        share = np.where(beside, np.exp(scores - scores[beside].max()), 0.0)
        probability = (1 - OFF_BY_ONE) * probability + OFF_BY_ONE * share / share.sum()
    named = len(rows) - int(probability[found[:, -1] == S1].sum() > 0.5)
    shares = _of_each(found[:, :named], probability)
    best = [Reading(tuple(COLUMN[rank] for rank in way), min(share, 1.0)) for way, share in shares[:2]]
    of_names = [float(min(probability[found[:, i] == rank].sum(), 1.0)) for i, rank in enumerate(shares[0][0])]
    numbering = Numbering(_certainty(best[0].probability), tuple(best))
    mine = probability * (found[:, :named] == shares[0][0]).all(1)
    looks = [
        f"most of the column looks one level {where} than it is named"
        for way, where in ((-1, "higher"), (1, "lower"))
        if mine[off == way].sum() > 0.5 * mine.sum()
    ]
    return against(numbering, looks), of_names


def beside(numbering: Numbering, rival: float) -> Numbering:
    """A verdict once it is known how much better (nats) a column of another number is.

    See :func:`rivals.rivals`; it is weighed as another reading would be.
    """
    best = numbering.readings[0].probability
    share = 1 / (1 + best * np.exp(min(rival / TEMPERATURE, 50.0)))
    readings = tuple(replace(one, probability=float(one.probability * share)) for one in numbering.readings)
    certainty = _certainty(readings[0].probability, contradicted=bool(numbering.evidence))
    weighed = replace(numbering, certainty=certainty, readings=readings)
    nearly = ("with a vertebra more or less among these, other names would fit nearly as well",)
    return against(weighed, nearly if share < CERTAIN else ())


def against(numbering: Numbering, phrases: Sequence[str]) -> Numbering:
    """A verdict with phrases on what contradicts it: so it is not certain."""
    if not phrases:
        return numbering
    certainty = _certainty(numbering.readings[0].probability, contradicted=True)
    evidence = (*numbering.evidence, *(f"but {phrase}" for phrase in phrases))
    return replace(numbering, certainty=certainty, evidence=evidence)


def unanchored(column: Named) -> Named:
    """A column that no landmark was looked for, with a verdict that is never certain.

    Networks that agree on names may all be one level off, and be sure of it.
    """
    if not len(column):
        return column
    mean = float(np.clip(np.mean([point.confidence for point in column]), 0.0, 1.0))
    verdict = column.numbering or Numbering(Certainty.DOUBTFUL, (Reading(column.levels, mean),))
    certainty = Certainty.UNKNOWN if verdict.certainty is Certainty.UNKNOWN else Certainty.DOUBTFUL
    return replace(column, numbering=replace(verdict, certainty=certainty, evidence=(*verdict.evidence, UNANCHORED)))


def _of_each(found: NDArray[np.int_], probability: NDArray[np.float64]) -> list[tuple[tuple[int, ...], float]]:
    """The different rows of ``found`` (R, N) that name vertebrae alone and their probabilities, the likeliest first."""
    total: dict[tuple[int, ...], float] = {}
    for way, share in zip(found.tolist(), probability.tolist(), strict=True):
        if S1 not in way:
            total[tuple(way)] = total.get(tuple(way), 0.0) + share
    return sorted(total.items(), key=lambda one: -one[1])


def _one_off(found: NDArray[np.int_], way: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Which ways (R, count) of the usual column lie one level above or below a way; none if that is no usual one."""
    place = {rank: number for number, rank in enumerate(COLUMNS["usual"])}
    if not set(way.tolist()) <= set(place):
        return np.zeros(len(found), bool)
    mine = np.array([place[rank] for rank in way.tolist()])
    others = np.array([[place.get(rank, -9) for rank in other] for other in found.tolist()])
    return np.abs(others - mine).min(1) + np.abs(others - mine).max(1) == 2


def _certainty(probability: float, contradicted: bool = False) -> Certainty:
    if probability >= CERTAIN and not contradicted:
        return Certainty.CERTAIN
    return Certainty.DOUBTFUL if probability >= DOUBTFUL else Certainty.UNKNOWN
