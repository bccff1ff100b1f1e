"""What speaks for the names of a column, in words: the landmarks that were seen, and what contradicts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..anatomy import S1, Level
from .evidence import Evidence

SEEN = 0.5  # nats: least log odds of a rib or the sacrum to speak of it
APART = 1.0  # nats: by which the last rib must be surer than one at the next vertebra
CONTRADICTS = 2.0  # nats: least log odds, on both sides, to speak of a rib where there should be none, or of none
SHARE = 0.5  # least share of C1 and C2, or of S1, in a patch to tell them by their shape


class Landmarks(NamedTuple):
    """Phrases on what speaks for the names of a column, and on what against.

    ``anchored``: whether one is among them that rarely deceives. The last rib is none: in many people it is short,
    missing, or lies across the vertebra below.
    """

    seen: tuple[str, ...]
    against: tuple[str, ...]
    anchored: bool

    @property
    def phrases(self) -> tuple[str, ...]:
        """For a person: both, and that there is no landmark if there is none."""
        none = "no landmark was recognised: neither C1 or C2 nor first rib, last rib or sacrum"
        return (*(self.seen or (none,)), *(f"but {phrase}" for phrase in self.against))


def landmarks(levels: Sequence[Level], seen: Mapping[Level, Evidence], sacrum: Evidence | None = None) -> Landmarks:
    """The landmarks of a named column.

    Args:
        levels: of the column from the head down.
        seen: the evidence at those levels that were looked at (single rows).
        sacrum: that at the place below them that was told to be S1.
    """
    found = []
    top = [level for level in (Level.C1, Level.C2) if level in seen and _share(seen[level], (0, 1)) >= SHARE]
    if top:
        found.append(f"{' and '.join(level.name for level in top)} told by their shape")
    if Level.C7 in seen and Level.T1 in seen and _ends(seen[Level.T1], seen[Level.C7]):
        found.append(f"first rib at T1 {_sides(seen[Level.T1])}")
    anchors = len(found)
    for last, below in _last_thoracic(levels):
        if last in seen and below in seen and _ends(seen[last], seen[below]):
            found.append(f"last rib at {last.name} {_sides(seen[last])}")
    told = sacrum is not None and _share(sacrum, (S1,)) >= SHARE
    if levels and levels[-1] in seen and levels[-1].region == "lumbar":
        told = told or bool(seen[levels[-1]].sacrum > SEEN)
    if told:
        found.append(f"sacrum below {levels[-1].name}")
        anchors += 1
    against = []
    for level in levels:
        if level in seen and level.region != "thoracic" and seen[level].ribs.min() > CONTRADICTS:
            against.append(f"ribs seen at {level.name}")
        if level in seen and level.region == "thoracic" and seen[level].ribs.max() < -CONTRADICTS:
            against.append(f"no rib seen at {level.name}")
    return Landmarks(tuple(found), tuple(against), anchors > 0)


def _ends(ribbed: Evidence, bare: Evidence) -> bool:
    """Whether the ribs end between two neighbours."""
    return bool(_ribs(ribbed)) and float(ribbed.ribs.max() - bare.ribs.max()) > APART and bare.ribs.max() < CONTRADICTS


def _last_thoracic(levels: Sequence[Level]) -> list[tuple[Level, Level]]:
    """The last thoracic vertebra and the first lumbar one below it, where the column shows both."""
    pairs = zip(levels, levels[1:], strict=False)
    return [pair for pair in pairs if (pair[0].region, pair[1].region) == ("thoracic", "lumbar")]


def _share(row: Evidence, places: Sequence[int]) -> float:
    return float(np.exp(row.levels[list(places)]).sum())


def _ribs(row: Evidence) -> str:
    """On which sides a rib was seen: ``"both"``, ``"right"``, ``"left"`` or ``""``."""
    right, left = (bool(odds > SEEN) for odds in row.ribs)
    return "both" if right and left else "right" if right else "left" if left else ""


def _sides(row: Evidence) -> str:
    return {"both": "on both sides", "right": "on the right", "left": "on the left"}[_ribs(row)]
