"""Ranking of methods by the protocol of the VerSe challenges (Sekuboyina et al. 2021, Appendix A)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .results import MEASURES, ScanResult

SIGNIFICANT = 0.001
"""p-value under which a difference between two methods earns a point (Appendix A.1)."""

WEIGHTS = {"id_rate": 2.0, "d_mean": 1.0, "dice": 2.0, "hd": 1.0}
"""Within a task, the measures that need no upper bound count twice (Appendix A.2)."""

TASK_WEIGHTS = {"labelling": 1.0, "segmentation": 2.0}
"""Segmentation counts twice (Appendix A.2)."""


def phase_weight(dataset: str) -> float:
    """2 for a hidden test set, else 1 (Appendix A.2).

    VerSe's folders call the PUBLIC phase ``validation`` and the HIDDEN phase ``test``.
    """
    name = dataset.lower()
    return 2.0 if "hidden" in name or ("test" in name and "public" not in name) else 1.0


@dataclass(frozen=True)
class Comparison:
    """All methods compared with each other by one measure on one data set.

    Attributes:
        dataset, measure: which.
        methods: those that take part in the task.
        p_values: (n, n); [i, j] is the p-value of the one-sided Wilcoxon signed-rank test over the scans for "method
            i is better than method j"; 1 where the two never differ, NaN on the diagonal.
        points: for each method, the number of others that it beats significantly.
    """

    dataset: str
    measure: str
    methods: tuple[str, ...]
    p_values: np.ndarray

    @property
    def points(self) -> dict[str, int]:
        beaten = np.nan_to_num(self.p_values, nan=1.0) < SIGNIFICANT
        return {method: int(row.sum()) for method, row in zip(self.methods, beaten, strict=True)}

    @property
    def normalised(self) -> dict[str, float]:
        """Points over the most that can be had, which is one from every other method taking part: 0..1.

        With this divisor the combination below gives the normalised points that Table A.8a prints.
        """
        others = max(len(self.methods) - 1, 1)
        return {method: points / others for method, points in self.points.items()}


def p_value(better: np.ndarray, worse: np.ndarray, higher_is_better: bool) -> float:
    """One-sided Wilcoxon signed-rank test over paired scans that the first values are better.

    Scans where either value is undefined are left out. 1 if the methods never differ.
    """
    defined = ~(np.isnan(better) | np.isnan(worse))
    difference = (better - worse)[defined] * (1 if higher_is_better else -1)
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, alternative="greater").pvalue)


def compare(results: Sequence[ScanResult], dataset: str, measure: str, challenge: bool) -> Comparison:
    """Compare all methods pairwise by the scan-level values of one measure (Appendix A.1)."""
    task, higher = MEASURES[measure].task, MEASURES[measure].higher_is_better
    values: dict[str, dict[str, float]] = {}
    for result in results:
        if result.dataset == dataset and result.takes_part(task):
            values.setdefault(result.method, {})[result.scan] = result.value(measure, challenge)
    methods = tuple(values)
    scans = sorted({scan for of_method in values.values() for scan in of_method})
    table = np.array([[values[method].get(scan, np.nan) for scan in scans] for method in methods])
    p_values = np.full((len(methods),) * 2, np.nan)
    for i in range(len(methods)):
        for j in range(len(methods)):
            if i != j:
                p_values[i, j] = p_value(table[i], table[j], higher)
    return Comparison(dataset, measure, methods, p_values)


@dataclass(frozen=True)
class Ranking:
    """The outcome of the challenge's protocol.

    Attributes:
        comparisons: one per data set and measure, in this order. Includes measures that earn no points here.
        counted: the measures that earn points.
        scores: normalised points of every method, 0..1, best first.
    """

    comparisons: tuple[Comparison, ...]
    counted: tuple[str, ...]
    scores: dict[str, float]


def combine(points: Mapping[tuple[str, str], Mapping[str, float]]) -> dict[str, float]:
    """Normalised points of every (data set, measure) combined to one score per method (Appendix A.2), best first.

    Weighted means: of the measures of a task (id.rate : d_mean = Dice : HD = 2 : 1), of the data sets
    (hidden : public = 2 : 1), of the tasks (segmentation : labelling = 2 : 1). A method that did not take part
    somewhere has 0 there.
    """
    methods = {method: None for of_methods in points.values() for method in of_methods}
    scores = dict.fromkeys(methods, 0.0)
    tasks = {MEASURES[measure].task for _, measure in points}
    for method in methods:
        for task in tasks:
            of_task = [(dataset, measure) for dataset, measure in points if MEASURES[measure].task == task]
            weights = {key: phase_weight(key[0]) * WEIGHTS[key[1]] for key in of_task}
            value = sum(weight * points[key].get(method, 0.0) for key, weight in weights.items())
            share = TASK_WEIGHTS[task] / sum(TASK_WEIGHTS[other] for other in tasks)
            scores[method] += share * value / sum(weights.values())
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def rank(results: Sequence[ScanResult], challenge: bool) -> Ranking:
    """Rank the methods.

    Args:
        results: of all methods on all scans.
        challenge: as in 2019, with all four measures and 1000 mm and 100 mm for missing vertebrae. Otherwise as in
            2020: d_mean and HD earn no points, since leaving missing vertebrae out would favour who misses many.
    """
    datasets = list(dict.fromkeys(result.dataset for result in results))
    comparisons = tuple(compare(results, dataset, measure, challenge) for dataset in datasets for measure in MEASURES)
    comparisons = tuple(comparison for comparison in comparisons if comparison.methods)
    counted = tuple(WEIGHTS) if challenge else ("id_rate", "dice")
    points = {(c.dataset, c.measure): c.normalised for c in comparisons if c.measure in counted}
    return Ranking(comparisons, counted, combine(points))
