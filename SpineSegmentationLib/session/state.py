"""What a person may change about one scan, the edits, and their history. Plain values: no image, no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from ..anatomy import COLUMN, Level
from ..errors import SpineError
from ..numbering import Reading
from ..spine import Centroid, Centroids, Point, SpineBox

MOST = 0.999
"""The largest confidence that a labelling is given."""


@dataclass(frozen=True)
class State:
    """The values of one scan. Every edit gives a new state; the old one stays as it was.

    Attributes:
        box: spine box in LPS mm; None when it was never found or set.
        centroids: LPS mm.
        locked: levels that a person has confirmed: no edit changes them until they are unlocked, and labelling anew
            keeps them.
        sacrum: the centre of S1 (LPS mm) where the labelling saw it; no edit moves it.
        with_sacrum: whether the sacrum is segmented, too.

    Raises:
        SpineError: (every edit) the vertebra is not there, is locked, or two would have one name.
    """

    box: SpineBox | None = None
    centroids: Centroids = field(default_factory=Centroids)
    locked: frozenset[Level] = frozenset()
    sacrum: Point | None = None
    with_sacrum: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "locked", frozenset(self.locked) & set(self.centroids.levels))

    def moved(self, level: Level, position: Point) -> State:
        """With one centroid at another place."""
        self._check(level)
        return replace(self, centroids=self.centroids.moved(level, position))

    def renamed(self, old: Level, new: Level) -> State:
        """With one vertebra called otherwise."""
        self._check(old)
        return self._named({old: new})

    def added(self, level: Level, position: Point) -> State:
        """With one vertebra more."""
        return replace(self, centroids=Centroids((*self.centroids, Centroid(level, position))))

    def deleted(self, *levels: Level) -> State:
        """Without some vertebrae."""
        for level in levels:
            self._check(level)
        return replace(self, centroids=self.centroids.only(set(self.centroids.levels) - set(levels)))

    def shifted(self, by: int) -> State:
        """With all labels that are not locked moved ``by`` levels towards the feet (negative: towards the head).

        Steps are counted in C1 ... L5 and those of T13 and L6 that are in use; after L5 comes L6.
        """
        return self._counted_on(self.centroids.levels, by, self._column())

    def relabelled_from(self, level: Level, new: Level) -> State:
        """With one vertebra called ``new``, and all below it counted on from there; gaps between them stay."""
        self._check(level)
        column, levels = self._column(new), self.centroids.levels
        by = column.index(new) - self._column().index(level)
        return self._counted_on(levels[levels.index(level) :], by, column)

    def read_as(self, reading: Reading) -> State:
        """With all vertebrae named as in another reading of the column."""
        new = self.centroids.read_as(reading)
        for level, other in zip(self.centroids.levels, reading.levels, strict=True):
            if level in self.locked and other != level:
                raise SpineError(f"{level.name} is locked; unlock it to change it")
        return replace(self, centroids=new)

    def inserted_between(self, upper: Level, lower: Level) -> State:
        """With the vertebrae that the labelling missed between two neighbours, evenly spaced on the line between them.

        When no level is free between the two, the lower one and all below it are called one level further down.
        """
        for level in (upper, lower):
            self._check(level, locked=False)
        levels = self.centroids.levels
        if levels.index(lower) != levels.index(upper) + 1:
            raise SpineError(f"{lower.name} is not the next vertebra below {upper.name}; choose two neighbours")
        ends = np.array([self.centroids[upper].position, self.centroids[lower].position])
        column = self._column()
        free = column[column.index(upper) + 1 : column.index(lower)]
        state = self
        if not free:
            free = [lower]
            state = self._counted_on(levels[levels.index(lower) :], 1, column)
        for number, level in enumerate(free, 1):
            share = number / (len(free) + 1)
            state = state.added(level, tuple(ends[0] * (1 - share) + ends[1] * share))
        return state

    def with_lock(self, level: Level, on: bool = True) -> State:
        """With a vertebra locked or unlocked."""
        self._check(level, locked=False)
        return replace(self, locked=self.locked | {level} if on else self.locked - {level})

    def labelled(self, box: SpineBox | None, centroids: Centroids, apart: float = 10.0) -> State:
        """With what the labelling found in a box; locked vertebrae stay and replace what it found at their place.

        The others are named as many levels from the nearest locked one as they were found from it.
        Found names are never wholly certain: a confidence of 1 says that a person set the point.

        Args:
            apart: mm; what was found nearer than this to a locked centroid is the same vertebra.
        """
        locked = self.centroids.only(self.locked)
        kept, here = {point.level: point for point in locked}, State(None, centroids)._column()
        column = State(None, locked)._column(*centroids.levels)
        column = column if Level.L6 in column else [*column, Level.L6]
        steps: dict[int, int] = {}
        for number, point in enumerate(centroids):
            for one in locked:
                if np.linalg.norm(np.subtract(one.position, point.position)) < apart:
                    steps[number] = column.index(one.level) - here.index(point.level)
        for number, point in enumerate(centroids):
            place = column.index(point.level)
            if steps:
                nearest = min(steps, key=lambda other: abs(other - number))
                place = here.index(point.level) + steps[nearest]
            if number not in steps and 0 <= place < len(column) and (level := column[place]) not in kept:
                kept[level] = replace(point, level=level, confidence=min(point.confidence, MOST))
        # The verdict was on the names as they were found.
        numbering = centroids.numbering
        sacrum = numbering.sacrum if numbering else None
        return replace(
            self, box=box, centroids=Centroids(tuple(kept.values()), None if locked else numbering), sacrum=sacrum
        )

    def free_level(self, position: Point) -> Level | None:
        """The name that a vertebra at a place would have by its neighbours above and below; None when none is free."""
        column = self._column()
        above = [p for p in self.centroids if p.position[2] >= position[2]]
        below = [p for p in self.centroids if p.position[2] < position[2]]
        if above and below:
            upper, lower = min(above, key=lambda p: p.position[2]), max(below, key=lambda p: p.position[2])
            free = column[column.index(upper.level) + 1 : column.index(lower.level)]
            share = (upper.position[2] - position[2]) / (upper.position[2] - lower.position[2])
            # The neighbours stand for the ends of the row; halves round downwards.
            place = int(share * (len(free) + 1) + 0.5) - 1
            return free[min(max(place, 0), len(free) - 1)] if free else None
        if above:
            rank = max(p.level.rank for p in above) + 1
            return next((level for level in (*column, Level.L6) if level.rank >= rank), None)
        if below:
            rank = min(p.level.rank for p in below) - 1
            return next((level for level in reversed(column) if level.rank <= rank), None)
        return None

    def _check(self, level: Level, locked: bool = True) -> None:
        if level not in self.centroids:
            raise SpineError(f"{Level(level).name} is not among the vertebrae; add it first")
        if locked and level in self.locked:
            raise SpineError(f"{Level(level).name} is locked; unlock it to change it")

    def _column(self, *used: Level) -> list[Level]:
        return [level for level in COLUMN if not level.is_transitional or level in used or level in self.centroids]

    def _counted_on(self, levels: Iterable[Level], by: int, column: list[Level]) -> State:
        """Levels counted in the present column, and named ``by`` places further down in another one."""
        here, column = self._column(), column if Level.L6 in column else [*column, Level.L6]
        names = {}
        for level in levels:
            if level in self.locked:
                continue
            place = here.index(level) + by
            if not 0 <= place < len(column):
                raise SpineError(f"{level.name} cannot be moved by {by:+d} levels: the column ends before that")
            names[level] = column[place]
        return self._named(names)

    def _named(self, names: dict[Level, Level]) -> State:
        """Renamed all at once; a person who names a vertebra is sure of it."""
        points = (replace(p, level=names[p.level], confidence=1.0) if p.level in names else p for p in self.centroids)
        return replace(self, centroids=Centroids(tuple(points)))


class History:
    """States one after the other, to go back and forth in.

    Args:
        state: the first one.
        limit: so many steps back are kept.
    """

    def __init__(self, state: State | None = None, limit: int = 200) -> None:
        self._states, self._now, self.limit = [state or State()], 0, limit

    @property
    def state(self) -> State:
        """The present one."""
        return self._states[self._now]

    @property
    def can_undo(self) -> bool:
        return self._now > 0

    @property
    def can_redo(self) -> bool:
        return self._now + 1 < len(self._states)

    def push(self, state: State) -> None:
        """Make a state the present one; what was undone is forgotten. The present state again is no step."""
        if state == self.state:
            # Equal, but for the verdict on its names.
            self._states[self._now] = state
        else:
            self._states = [*self._states[: self._now + 1], state][-self.limit - 1 :]
            self._now = len(self._states) - 1

    def undo(self) -> State:
        """One step back; the first state stays where it is."""
        self._now = max(self._now - 1, 0)
        return self.state

    def redo(self) -> State:
        """One step forth; the last state stays where it is."""
        self._now = min(self._now + 1, len(self._states) - 1)
        return self.state
