"""The passes of a series: several times, or contrast phases, or energies, over the same part of the body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .frames import Frame

TELLING = (
    *("phase", "phase time", "heart phase", "breathing phase", "trigger time", "acquisition", "stack"),
    *("contrast phase", "contrast", "contrast start"),
)
"""Tags that differ between passes, surest first."""

AT_CONFLICT = ("voltage", "type", "kernel")
"""Tags that may differ within one volume: they tell passes apart only where slices lie on or close to each other."""

TIMES = ("scanned", "made")

MOST_RUNS, SHORTEST_RUN = 8, 3
"""Runs through the body into which times or instance numbers may order the slices; slices that a run has at least."""


def passes(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Slices that stack, parted into passes, each in one part of the body once; in the order in which they were made.

    Blocks that follow one another along the body are one pass, whatever their tags, and so are slices that only lie on
    another here and there.
    """
    if len(frames) < 2:
        return [list(frames)]
    conflict = _conflict(frames)
    for tag in (*TELLING, *(AT_CONFLICT if conflict else ())):
        parts = _apart(_grouped(frames, _values(frames, tag)))
        if len(parts) > 1:
            return [one for part in parts for one in passes(part)]
    if conflict:
        parts = _apart(_grouped(frames, ["" if frame.single else str(frame.path) for frame in frames]))
        if len(parts) > 1:
            return [one for part in parts for one in passes(part)]
    for tag in TIMES:
        if all(frame.tags[tag] for frame in frames):
            parts = _apart(_grouped(frames, _values(frames, tag)), SHORTEST_RUN)
            parts = parts if len(parts) > 1 else _apart(_runs(frames, tag), SHORTEST_RUN)
            # Several processors at work on one volume part it by time, too, but each part is full of holes.
            if len(parts) > 1 and all(map(_unbroken, parts)):
                return parts
    if conflict:
        parts = _apart(_runs(frames, "instance"), SHORTEST_RUN)
        if len(parts) > 1:
            return parts
    return [list(frames)]


def crowded(frames: Sequence[Frame]) -> float:
    """The share of the slices that lie on another, or much closer to one neighbour than both are to the next ones."""
    along = np.unique(np.round([frame.along for frame in frames], 2))
    doubled = len(frames) - len(along)
    gaps = np.diff(along)
    beside = np.minimum(np.append(gaps[1:], np.inf), np.append(np.inf, gaps[:-1])) if len(gaps) > 1 else np.inf
    near = np.isfinite(beside) & (gaps < 0.6 * beside)
    return float(doubled + np.count_nonzero(near)) / max(len(frames), 1)


def _conflict(frames: Sequence[Frame]) -> bool:
    return crowded(frames) > 0


def _unbroken(frames: Sequence[Frame]) -> bool:
    """Whether slices lie at one step through most of the part of the body that they reach through."""
    gaps = np.diff(np.sort([frame.along for frame in frames]))
    return len(gaps) > 0 and float(gaps[gaps <= 1.5 * np.median(gaps)].sum()) >= 0.8 * float(gaps.sum())


def _ordered(text: str) -> tuple:
    """A key by which numbers and times go up as numbers do, not as texts."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _values(frames: Iterable[Frame], tag: str) -> list[str]:
    return [frame.tags[tag] for frame in frames]


def _grouped(frames: Iterable[Frame], texts: Iterable[str]) -> list[list[Frame]]:
    groups: dict[str, list[Frame]] = {}
    for frame, text in zip(frames, texts, strict=True):
        groups.setdefault(text, []).append(frame)
    made = {text: min(_ordered(frame.tags["instance"]) for frame in group) for text, group in groups.items()}
    return [groups[text] for text in sorted(groups, key=lambda text: (_ordered(text)[:2], made[text]))]


def _runs(frames: Iterable[Frame], tag: str) -> list[list[Frame]]:
    """Slices in the order of a tag, parted where they turn back; one run when they turn back all the time."""
    ordered = sorted(frames, key=lambda one: (_ordered(one.tags[tag]), _ordered(one.tags["instance"]), one.number))
    steps = np.diff([frame.along for frame in ordered])
    onward = np.sign(np.median(steps)) or 1.0
    breaks = [0, *(np.flatnonzero(steps * onward < -1e-3) + 1).tolist(), len(ordered)]
    if len(breaks) - 1 > MOST_RUNS:
        return [ordered]
    return [ordered[start:stop] for start, stop in zip(breaks, breaks[1:], strict=False)]


def _apart(groups: list[list[Frame]], least: int = 1) -> list[list[Frame]]:
    """Groups put together as long as they do not lie in the same part of the body.

    All in one when a group has fewer slices than ``least``, or every slice is a group.
    """
    whole = [frame for group in groups for frame in group]
    if len(groups) in (1, len(whole)) or min(map(len, groups)) < least:
        return [whole]
    parts: list[list[Frame]] = []
    taken: list[list[tuple[float, float]]] = []
    for group in groups:
        along = np.sort([frame.along for frame in group])
        # Neighbouring blocks may share a slice.
        step = float(np.median(np.diff(along))) if len(along) > 1 else 0.0
        low, high = along[0], along[-1]
        for part, ranges in zip(parts, taken, strict=True):
            if all(min(high, other[1]) - max(low, other[0]) <= 1.01 * step for other in ranges):
                part += group
                ranges.append((low, high))
                break
        else:
            parts.append(list(group))
            taken.append([(low, high)])
    return parts
