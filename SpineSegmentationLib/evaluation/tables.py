"""Results of many scans gathered into tables: overall, per vertebra, per region, per field of view and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy import COLUMN, Level
from .metrics import mean
from .ranking import Ranking
from .results import MEASURES, Measure, ScanResult

FAILED_BELOW = 0.05
"""A scan with less id.rate or Dice counts as failed (VerSe, section 4.3)."""

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)

Cell = str | float | int


@dataclass(frozen=True)
class Table:
    """A table for people and for files.

    Attributes:
        key: its name in files.
        title: for people.
        about: how to read it, where the numbers come from.
        columns: headings; a heading that ends in ``[%]`` stands over parts of 1 to be shown in per cent.
        rows: text and numbers; NaN where nothing is defined.
    """

    key: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def in_unit(column: str, value: Cell) -> Cell:
    """A value as it stands under its heading: parts in per cent."""
    return 100 * value if column.endswith("[%]") and isinstance(value, float) else value


def heading(measure: Measure, what: str = "") -> str:
    return f"{measure.title}{' ' + what if what else ''} [{measure.unit}]"


def field_of_view(levels: Iterable[Level]) -> str:
    """The field-of-view category of a scan by the landmarks among its annotated levels (VerSe, section 4.4).

    Landmarks: the cranium (C1), the cervico-thoracic junction (C7 and T1), the thoraco-lumbar junction (T12 or T13,
    and L1) and the sacrum (L5 or L6). The fourth category is printed as "C/T(-L5)" in the paper; its definition
    (thoraco-lumbar junction, no cervico-thoracic one) makes it T/L(-L5).
    """
    found = set(levels)
    cranium, sacrum = Level.C1 in found, bool(found & {Level.L5, Level.L6})
    upper = {Level.C7, Level.T1} <= found
    lower = bool(found & {Level.T12, Level.T13}) and Level.L1 in found
    if upper and lower:
        return "C/T/L(+C1&L5)" if cranium and sacrum else "C/T/L(-C1/L5)"
    if upper:
        return "C/T(+C1)" if cranium else "C/T(-C1)"
    if lower:
        return "T/L(+L5)" if sacrum else "T/L(-L5)"
    return "no junction"


FIELDS_OF_VIEW = ("C/T(+C1)", "C/T(-C1)", "T/L(+L5)", "T/L(-L5)", "C/T/L(+C1&L5)", "C/T/L(-C1/L5)", "no junction")
"""The six categories of section 4.4, and the scans that fall into none."""


def anatomy(levels: Iterable[Level]) -> str:
    """``"rare"`` for a scan with a transitional vertebra, T13 or L6, else ``"normal"`` (VerSe, section 4.5)."""
    return "rare" if any(level.is_transitional for level in levels) else "normal"


def weighted_kappa(pairs: Sequence[tuple[Level, Level]]) -> float:
    """Cohen's kappa with linear weights over the places in the column (Lessmann et al. 2019, section 4.2; Cohen 1968).

    1 - sum(w * observed) / sum(w * expected by chance), with w the number of places between the two names.

    Args:
        pairs: (true, given) name of every vertebra.

    Returns:
        1 for full agreement; NaN without pairs or if all pairs are one level, where chance agrees as well.
    """
    if not pairs:
        return float("nan")
    ranks = np.array([(true.rank, given.rank) for true, given in pairs])
    observed = np.abs(ranks[:, 0] - ranks[:, 1]).mean()
    by_chance = np.abs(ranks[:, 0][:, None] - ranks[:, 1][None]).mean()
    return float(1 - observed / by_chance) if by_chance else float("nan")


def methods_of(results: Sequence[ScanResult]) -> list[str]:
    return list(dict.fromkeys(result.method for result in results))


def datasets_of(results: Sequence[ScanResult]) -> list[str]:
    return list(dict.fromkeys(result.dataset for result in results))


def of_method(results: Sequence[ScanResult], method: str, dataset: str | None = None) -> list[ScanResult]:
    """The results of a method, on one data set or on all."""
    return [r for r in results if r.method == method and dataset in (None, r.dataset)]


def scan_mean(results: Sequence[ScanResult], key: str, challenge: bool) -> float:
    """Mean over scans of the scan-level values (VerSe, section 2.3)."""
    return mean(result.value(key, challenge) for result in results)


def pooled(
    results: Sequence[ScanResult], key: str, challenge: bool, wanted: Callable[[Level], bool]
) -> tuple[float, int]:
    """Mean over all vertebrae of all scans whose level is wanted, and how many values that are."""
    values = [v for r in results for level, v in r.per_level(key, challenge).items() if wanted(level)]
    values = [value for value in values if not np.isnan(value)]
    return (float(np.mean(values)) if values else float("nan")), len(values)


def overall(results: Sequence[ScanResult], challenge: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        for dataset in datasets_of(results):
            own = of_method(results, method, dataset)
            row: list[Cell] = [method, dataset, len(own)]
            for key in MEASURES:
                values = [v for r in own if not np.isnan(v := r.value(key, challenge))]
                row += [float(f(values)) if values else float("nan") for f in (np.mean, np.median)]
            rows.append(tuple(row))
    missing = "1000 mm and 100 mm stand for missing vertebrae" if challenge else "missing vertebrae are left out"
    return Table(
        "overall",
        "Overall performance",
        "Mean and median over the scans of the scan-level values (VerSe, section 4.1, Table 4). A missing vertebra "
        f"counts as not identified and as Dice 0; for d_mean and HD, {missing}; for ASSD it is left out.",
        ("method", "data set", "scans", *(heading(m, what) for m in MEASURES.values() for what in ("mean", "median"))),
        tuple(rows),
    )


def per_vertebra(results: Sequence[ScanResult], challenge: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        own = of_method(results, method)
        for level in COLUMN:
            count = sum(level in result.annotated for result in own)
            if count:
                values = [pooled(own, key, challenge, level.__eq__)[0] for key in MEASURES]
                rows.append((method, level.name, count, *values, pooled(own, "mixing", challenge, level.__eq__)[0]))
    return Table(
        "per_vertebra",
        "Per vertebra",
        "Mean over all annotated vertebrae of a level (VerSe, section 4.2, Fig. 7). Mixing: the part of a predicted "
        "vertebra that lies inside another level's truth.",
        ("method", "level", "vertebrae", *map(heading, MEASURES.values()), "mixing [%]"),
        tuple(rows),
    )


def per_region(results: Sequence[ScanResult], challenge: bool) -> Table:
    groups = {
        name: {level for level in Level if level.region == name and not level.is_transitional}
        for name in ("cervical", "thoracic", "lumbar")
    }
    groups |= {"T13": {Level.T13}, "L6": {Level.L6}}
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        own = of_method(results, method)
        for name, wanted in groups.items():
            count = sum(level in wanted for result in own for level in result.annotated)
            if count:
                values = [pooled(own, key, challenge, wanted.__contains__)[0] for key in MEASURES]
                rows.append((method, name, count, *values))
    return Table(
        "per_region",
        "Per region, transitional vertebrae apart",
        "Mean over all annotated vertebrae of a region (VerSe, section 4.2). T13 and L6 are in no region.",
        ("method", "region", "vertebrae", *map(heading, MEASURES.values())),
        tuple(rows),
    )


def by_group(
    results: Sequence[ScanResult], challenge: bool, group: Callable[[ScanResult], str], order: Sequence[str]
) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        for name in order:
            own = [result for result in of_method(results, method) if group(result) == name]
            if own:
                rows.append((method, name, len(own), *(scan_mean(own, key, challenge) for key in MEASURES)))
    return rows


def per_field_of_view(results: Sequence[ScanResult], challenge: bool) -> Table:
    return Table(
        "per_field_of_view",
        "Per field of view",
        "Mean over the scans of a category (VerSe, section 4.4). C1 stands for the cranium, L5 for the last lumbar "
        "vertebra and with it the sacrum, C/T and T/L for the junctions in view. Scans without a junction belong to "
        "none of the six categories.",
        ("method", "field of view", "scans", *map(heading, MEASURES.values())),
        tuple(by_group(results, challenge, lambda r: field_of_view(r.annotated), FIELDS_OF_VIEW)),
    )


def per_anatomy(results: Sequence[ScanResult], challenge: bool) -> Table:
    return Table(
        "per_anatomy",
        "Normal and rare anatomy",
        "Mean over the scans without and with a transitional vertebra, T13 or L6 (VerSe, section 4.5).",
        ("method", "anatomy", "scans", *map(heading, MEASURES.values())),
        tuple(by_group(results, challenge, lambda r: anatomy(r.annotated), ("normal", "rare"))),
    )


def across_datasets(results: Sequence[ScanResult], challenge: bool) -> Table:
    datasets = datasets_of(results)
    keys = ("id_rate", "dice")
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        values = [scan_mean(of_method(results, method, d), key, challenge) for key in keys for d in datasets]
        rows.append((method, *values))
    return Table(
        "across_datasets",
        "Across data sets",
        "Mean over the scans of each data set: how far a method carries over (VerSe, section 4.6, Table 7).",
        ("method", *(heading(MEASURES[key], f"on {dataset}") for key in keys for dataset in datasets)),
        tuple(rows),
    )


def success(results: Sequence[ScanResult], key: str, threshold: float) -> float:
    """The part of the scans with at least this value (VerSe, section 4.3); NaN if none has the measure."""
    values = [value for result in results if not np.isnan(value := result.value(key))]
    return float(np.mean(np.array(values) >= threshold)) if values else float("nan")


def successes(results: Sequence[ScanResult]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        own = of_method(results, method)
        for key in ("id_rate", "dice"):
            if any(result.takes_part(MEASURES[key].task) for result in own):
                rows.append((method, MEASURES[key].title, *(success(own, key, t) for t in THRESHOLDS)))
    return Table(
        "success",
        "Successful scans",
        "Part of the scans that reach a threshold (VerSe, section 4.3, Fig. 8a).",
        ("method", "measure", *(f"at least {threshold:.0%} [%]" for threshold in THRESHOLDS)),
        tuple(rows),
    )


def failures(results: Sequence[ScanResult]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        for dataset in datasets_of(results):
            own = of_method(results, method, dataset)
            under = [sum(r.value(key) < FAILED_BELOW for r in own) for key in ("id_rate", "dice")]
            rows.append((method, dataset, len(own), *under, sum(bool(r.failures) for r in own)))
    return Table(
        "failures",
        "Failed scans",
        "Scans with less than 5 % id.rate or Dice (VerSe, section 4.3, Table 6), and scans whose prediction was "
        "missing or could not be used; these count as predicting nothing.",
        ("method", "data set", "scans", "id.rate under 5 %", "Dice under 5 %", "unusable"),
        tuple(rows),
    )


def label_shift(results: Sequence[ScanResult]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        own = of_method(results, method)
        labelled = [r.labelling for r in own if r.labelling is not None]
        segmented = [r.segmentation for r in own if r.segmentation is not None]
        rows.append(
            (
                method,
                mean(scores.id_rate for scores in labelled),
                mean(scores.id_rate_shifted for scores in labelled),
                mean(scores.dice_mean for scores in segmented),
                mean(scores.dice_shifted for scores in segmented),
                sum(abs(scores.best_shift) == 1 for scores in labelled),
                sum(abs(scores.best_shift) > 1 for scores in labelled),
                mean(value for result in own for value in result.per_level("mixing").values()),
                sum(len(scores.missing) for scores in labelled),
                sum(len(scores.extra) for scores in labelled),
            )
        )
    return Table(
        "label_shift",
        "Label shift, mixing, missing and extra vertebrae",
        "The measures as they are and after the best shift of all labels of a scan; the difference is what a "
        "one-label shift costs (VerSe, section 5.3). Mixing: the part of a predicted vertebra that lies inside "
        "another level's truth, which a shift raises to 100 % and label mixing to something between. Extra vertebrae "
        "may be partly visible ones, which VerSe does not annotate; they lower no score.",
        (
            "method",
            "id.rate [%]",
            "id.rate after shift [%]",
            "Dice [%]",
            "Dice after shift [%]",
            "scans off by one",
            "scans off by more",
            "mixing [%]",
            "missing vertebrae",
            "extra vertebrae",
        ),
        tuple(rows),
    )


def agreement(results: Sequence[ScanResult]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for method in methods_of(results):
        own = of_method(results, method)
        pairs = [(true, given) for result in own for true, given in result.identified_as.items()]
        annotated = sum(len(result.annotated) for result in own)
        right = sum(true == given for true, given in pairs)
        segmented = [r.segmentation for r in own if r.segmentation is not None]
        complete = np.array([pair for result in own for pair in result.complete.values()], bool).reshape(-1, 2)
        stated = sum(bool(result.complete) for result in own)
        judged = len(complete) > 0
        rows.append(
            (
                method,
                right / annotated if annotated else float("nan"),
                weighted_kappa(pairs),
                mean(value for scores in segmented for value in scores.dice_matched.values()),
                mean(value for scores in segmented for value in scores.assd_matched.values()),
                float((complete[:, 0] == complete[:, 1]).mean()) if judged else float("nan"),
                float((~complete[:, 0] & complete[:, 1]).sum() / stated) if judged else float("nan"),
                float((complete[:, 0] & ~complete[:, 1]).sum() / stated) if judged else float("nan"),
            )
        )
    return Table(
        "agreement",
        "Lessmann's measures",
        "Every annotated vertebra is compared with the predicted one that covers most of it, whatever its name "
        "(Lessmann et al. 2019, section 4.2): part with the right name, linearly weighted kappa of the names, Dice and "
        "ASSD of the pairs. Completeness: part of the vertebrae rightly called wholly visible or not, and false "
        "positives and negatives per scan, where truth and prediction both state it.",
        (
            "method",
            "identification accuracy [%]",
            "weighted kappa",
            "Dice of pairs [%]",
            "ASSD of pairs [mm]",
            "completeness accuracy [%]",
            "false complete per scan",
            "false incomplete per scan",
        ),
        tuple(rows),
    )


def ranking_table(ranking: Ranking) -> Table:
    counted = [c for c in ranking.comparisons if c.measure in ranking.counted]
    rows: list[tuple[Cell, ...]] = []
    for method, score in ranking.scores.items():
        place = 1 + sum(other > score for other in ranking.scores.values())
        points = [c.points.get(method, "not taking part") for c in counted]
        rows.append((place, method, score, *points))
    return Table(
        "ranking",
        "Ranking by the challenge's protocol",
        "A method earns a point for every other one that it beats with p < 0.001 in a one-sided Wilcoxon signed-rank "
        "test over the scans (VerSe, Appendix A.1). Points over the number of other methods are combined with weights "
        "(Appendix A.2): segmentation to labelling 2 : 1, hidden to public test set 2 : 1, id.rate to d_mean and Dice "
        "to HD 2 : 1. With fewer than 10 scans no difference can be that significant.",
        ("rank", "method", "score", *(f"{MEASURES[c.measure].title}, {c.dataset}" for c in counted)),
        tuple(rows),
    )


def scan_table(results: Sequence[ScanResult], challenge: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for r in results:
        labelling, segmentation = r.labelling, r.segmentation
        rows.append(
            (
                r.method,
                r.dataset,
                r.scan,
                field_of_view(r.annotated),
                anatomy(r.annotated),
                len(r.annotated),
                *(r.value(key, challenge) for key in MEASURES),
                labelling.best_shift if labelling else "",
                labelling.id_rate_shifted if labelling else float("nan"),
                segmentation.dice_shifted if segmentation else float("nan"),
                mean(r.per_level("mixing").values()),
                " ".join(level.name for level in r.missing),
                " ".join(level.name for level in r.extra),
                "; ".join((*r.failures, *r.notes)),
            )
        )
    return Table(
        "scans",
        "All scans",
        "One row per method and scan.",
        (
            "method",
            "data set",
            "scan",
            "field of view",
            "anatomy",
            "vertebrae",
            *map(heading, MEASURES.values()),
            "best shift",
            "id.rate after shift [%]",
            "Dice after shift [%]",
            "mixing [%]",
            "missing",
            "extra",
            "remarks",
        ),
        tuple(rows),
    )


def vertebra_table(results: Sequence[ScanResult], challenge: bool) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for r in results:
        of_measure = {key: r.per_level(key, challenge) for key in (*MEASURES, "mixing")}
        matched = r.segmentation.dice_matched if r.segmentation else {}
        for level in r.annotated:
            name = r.identified_as.get(level)
            rows.append(
                (
                    r.method,
                    r.dataset,
                    r.scan,
                    level.name,
                    level.region,
                    *(values.get(level, float("nan")) for values in of_measure.values()),
                    name.name if name is not None else "",
                    matched.get(level, float("nan")),
                )
            )
    return Table(
        "vertebrae",
        "All vertebrae",
        "One row per method and annotated vertebra.",
        (
            "method",
            "data set",
            "scan",
            "level",
            "region",
            *map(heading, MEASURES.values()),
            "mixing [%]",
            "predicted as",
            "Dice of pair [%]",
        ),
        tuple(rows),
    )


def all_tables(results: Sequence[ScanResult], ranking: Ranking | None, challenge: bool) -> list[Table]:
    """The tables of the report, in its order; the long ones, scans and vertebrae, last."""
    tables = [overall(results, challenge)]
    if ranking is not None:
        tables.append(ranking_table(ranking))
    tables += [per_region(results, challenge), per_vertebra(results, challenge), successes(results), failures(results)]
    tables += [per_field_of_view(results, challenge), per_anatomy(results, challenge)]
    if len(datasets_of(results)) > 1:
        tables.append(across_datasets(results, challenge))
    tables += [label_shift(results), agreement(results)]
    return [*tables, scan_table(results, challenge), vertebra_table(results, challenge)]
