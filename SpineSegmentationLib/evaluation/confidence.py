"""Whether confidence means something: do wrong names have a lower one than right names?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import mannwhitneyu

from .results import ScanResult
from .tables import Cell, Table, datasets_of, methods_of, of_method

ALL = "all data sets"


def area_under_curve(right: Sequence[float], wrong: Sequence[float]) -> float:
    """The area under the receiver operating characteristic of "this name is right" by confidence.

    The chance that a right name has a higher confidence than a wrong one, draws counting half (Mann and Whitney's U
    over the number of pairs).

    >>> area_under_curve([0.9, 0.8, 0.4], [0.4, 0.3])
    0.9166666666666666

    Returns:
        1 when a threshold tells all, 0.5 for chance; NaN when either kind is missing.
    """
    if not len(right) or not len(wrong):
        return float("nan")
    return float(mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong)))


def confidence_table(results: Sequence[ScanResult]) -> Table:
    """One row per method and data set, and one for all data sets; no row where no confidence was stated."""
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        datasets = datasets_of(results)
        for dataset in [*datasets, None] if len(datasets) > 1 else datasets:
            scores = [r.labelling for r in of_method(results, method, dataset) if r.labelling is not None]
            values: dict[bool, list[float]] = {True: [], False: []}
            for one in scores:
                for level, right in one.right.items():
                    values[right].append(one.confidence[level])
            if any(value < 1 for value in values[True] + values[False]):
                medians = [float(np.median(values[key])) if values[key] else float("nan") for key in (True, False)]
                area = area_under_curve(values[True], values[False])
                rows.append((method, dataset or ALL, len(values[True]), len(values[False]), area, *medians))
    return Table(
        "confidence",
        "Confidence",
        "Area under the ROC curve of “this name is right” by the confidence of the prediction, over all predicted "
        "vertebrae: 1 when wrong names always have less confidence than right ones, 0.5 for chance. Right is what is "
        "identified; predictions beyond the annotated part of the column are not judged.",
        ("method", "data set", "right", "wrong", "area", "median confidence, right", "median confidence, wrong"),
        tuple(rows),
    )
