"""How vertebrae lie to one another in annotated scans: measures the table of :mod:`labelling.payer_markov`."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Container
from pathlib import Path

import numpy as np

from ..anatomy import Level, may_follow
from .subjects import _cut_off, read_points


def mean_vectors(shared: Path, leave_out: Container[str] = ()) -> dict[tuple[Level, Level], np.ndarray]:
    """Mean vector (LPS mm) from each level to the next below it, over the scans of ``shared/ct``, less ``leave_out``.

    Right and left are alike: the first component is 0. Vertebrae of which the body is cut off are left out.
    """
    vectors = defaultdict(list)
    for folder in sorted((shared / "ct").iterdir()):
        if folder.name in leave_out:
            continue
        points = read_points(folder / "centroids.json")
        levels = tuple(sorted(points, key=lambda level: level.rank))
        cut = _cut_off(levels, np.array([points[level] for level in levels]))
        whole = {level for level, gone in zip(levels, cut, strict=True) if not gone}
        for upper, lower in itertools.pairwise(levels):
            if {upper, lower} <= whole and may_follow(upper, lower):
                vectors[upper, lower].append(points[lower] - points[upper])
    return {pair: np.mean(found, axis=0) * [0, 1, 1] for pair, found in vectors.items()}
