"""The charts of the report, each as an SVG picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..anatomy import COLUMN
from .ranking import SIGNIFICANT, Comparison
from .results import MEASURES, ScanResult
from .tables import Cell, Table, datasets_of, heading, methods_of, of_method, success


def svg(figure: Figure) -> bytes:
    """The figure as SVG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "spine", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def _color(methods: Sequence[str], method: str) -> str:
    return f"C{list(methods).index(method) % 10}"


def _shown(key: str, values: Sequence[Cell]) -> np.ndarray:
    return np.asarray(values, float) * (100 if MEASURES[key].unit == "%" else 1)


def _measures(results: Sequence[ScanResult], keys: Sequence[str] = tuple(MEASURES)) -> list[str]:
    """The measures that any result has."""
    return [key for key in keys if any(result.takes_part(MEASURES[key].task) for result in results)]


def _figure(columns: int, rows: int = 1, width: float = 3.6, height: float = 3.0) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure, axes


def _legend(figure: Figure, axis: Axes) -> None:
    """One legend for all panels, above them, where it covers no data."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, fontsize=8, frameon=False)


def box_plots(results: Sequence[ScanResult], challenge: bool) -> Figure:
    """Per measure, method and data set: quartiles, whiskers, median (line) and mean (triangle) over the scans."""
    keys, methods, datasets = _measures(results), methods_of(results), datasets_of(results)
    groups = [(method, dataset) for method in methods for dataset in datasets]
    figure, axes = _figure(len(keys), width=max(2.6, 0.5 * len(groups) + 1.4), height=3.6)
    for axis, key in zip(axes[0], keys, strict=True):
        values = [[r.value(key, challenge) for r in of_method(results, *group)] for group in groups]
        shown = [_shown(key, [v for v in scores if not np.isnan(v)]) for scores in values]
        boxes = axis.boxplot(shown, showmeans=True, patch_artist=True, widths=0.6, flierprops={"markersize": 3})
        for (method, _), box in zip(groups, boxes["boxes"], strict=True):
            box.set(facecolor=_color(methods, method), alpha=0.45)
        names = [method if len(datasets) == 1 else f"{method}\n{dataset}" for method, dataset in groups]
        axis.set_xticks(range(1, len(groups) + 1), names, rotation=90)
        axis.set_title(heading(MEASURES[key]), fontsize=10)
        if MEASURES[key].unit == "%":
            axis.set_ylim(-3, 103)
        else:
            axis.set_ylim(bottom=0)
    return figure


def vertebra_lines(table: Table, results: Sequence[ScanResult]) -> Figure:
    """The measures along the column, one line per method."""
    keys, methods = _measures(results), methods_of(results)
    present = {row[1] for row in table.rows}
    levels = [level.name for level in COLUMN if level.name in present]
    figure, axes = _figure(1, len(keys), width=max(5.0, 0.36 * len(levels) + 2.5), height=1.9)
    for axis, key in zip(axes[:, 0], keys, strict=True):
        column = table.columns.index(heading(MEASURES[key]))
        for method in methods:
            values = {row[1]: row[column] for row in table.rows if row[0] == method}
            axis.plot(
                range(len(levels)),
                _shown(key, [values.get(level, np.nan) for level in levels]),
                "o-",
                color=_color(methods, method),
                markersize=3,
                label=method,
            )
        axis.set_xticks(range(len(levels)), levels)
        axis.set_ylabel(heading(MEASURES[key]), fontsize=8)
        axis.grid(axis="y", alpha=0.3)
        if MEASURES[key].unit == "%":
            axis.set_ylim(-3, 103)
        else:
            axis.set_ylim(bottom=0)
    _legend(figure, axes[0, 0])
    return figure


def group_bars(table: Table, results: Sequence[ScanResult]) -> Figure:
    """Bars of a table whose columns are method, group, count, measures: one panel per measure."""
    keys, methods = _measures(results), methods_of(results)
    groups = list(dict.fromkeys(row[1] for row in table.rows))
    counts = {row[1]: row[2] for row in table.rows}
    figure, axes = _figure(len(keys), width=max(2.4, 0.45 * len(groups) + 1.2))
    width = 0.8 / len(methods)
    for axis, key in zip(axes[0], keys, strict=True):
        column = table.columns.index(heading(MEASURES[key]))
        for number, method in enumerate(methods):
            values = {row[1]: row[column] for row in table.rows if row[0] == method}
            axis.bar(
                np.arange(len(groups)) + (number - (len(methods) - 1) / 2) * width,
                _shown(key, [values.get(group, np.nan) for group in groups]),
                width,
                color=_color(methods, method),
                label=method,
            )
        axis.set_xticks(range(len(groups)), [f"{group} (n={counts[group]})" for group in groups], rotation=90)
        axis.set_title(heading(MEASURES[key]), fontsize=10)
    _legend(figure, axes[0, 0])
    return figure


def success_curves(results: Sequence[ScanResult]) -> Figure:
    """The part of the scans that reach a threshold, against the threshold (VerSe, Fig. 8a)."""
    keys, methods = _measures(results, ("id_rate", "dice")), methods_of(results)
    thresholds = np.linspace(0, 1, 201)
    figure, axes = _figure(len(keys), width=4.4, height=3.2)
    for axis, key in zip(axes[0], keys, strict=True):
        for method in methods:
            own = of_method(results, method)
            axis.plot(
                100 * thresholds,
                [100 * success(own, key, threshold) for threshold in thresholds],
                color=_color(methods, method),
                label=method,
                drawstyle="steps-pre",
            )
        axis.set_xlabel(f"threshold of {heading(MEASURES[key])}", fontsize=9)
        axis.set_ylabel("scans that reach it [%]", fontsize=9)
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 103)
        axis.grid(alpha=0.3)
    _legend(figure, axes[0, 0])
    return figure


def p_value_matrices(comparisons: Sequence[Comparison]) -> Figure:
    """For each measure the p-values of "row is better than column"; significant ones are framed (VerSe, Fig. A.12)."""
    largest = max(len(comparison.methods) for comparison in comparisons)
    side = max(2.2, 0.55 * largest + 1.4)
    columns = min(len(comparisons), 5)
    rows = -(-len(comparisons) // columns)
    figure, axes = _figure(columns, rows, width=side, height=side)
    norm = LogNorm(1e-5, 1)
    for axis in axes.flat[len(comparisons) :]:
        axis.set_visible(False)
    for axis, comparison in zip(axes.flat, comparisons, strict=False):
        axis.spines[:].set_visible(False)
        axis.imshow(np.clip(comparison.p_values, 1e-5, 1), norm=norm, cmap="viridis")
        for (i, j), value in np.ndenumerate(comparison.p_values):
            if not np.isnan(value):
                text = f"{value:.0e}" if value < 0.01 else f"{value:.2f}"
                axis.text(j, i, text, ha="center", va="center", fontsize=6, color="black" if value > 0.02 else "white")
                if value < SIGNIFICANT:
                    frame = matplotlib.patches.Rectangle(
                        (j - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor="red", linewidth=1.6
                    )
                    axis.add_patch(frame)
        axis.set_xticks(range(len(comparison.methods)), comparison.methods, rotation=90, fontsize=7)
        axis.set_yticks(range(len(comparison.methods)), comparison.methods, fontsize=7)
        axis.set_title(f"{MEASURES[comparison.measure].title}, {comparison.dataset}", fontsize=8)
    return figure


def shift_bars(table: Table) -> Figure:
    """id.rate and Dice as they are and after the best shift of all labels."""
    figure, axes = _figure(2, width=3.4)
    methods = [row[0] for row in table.rows]
    for axis, name in zip(axes[0], ("id.rate", "Dice"), strict=True):
        plain, after = (table.columns.index(f"{name}{what} [%]") for what in ("", " after shift"))
        places = np.arange(len(methods))
        axis.bar(places, [100 * row[after] for row in table.rows], 0.7, color="0.8", label="after the best shift")
        axis.bar(places, [100 * row[plain] for row in table.rows], 0.7, color="C0", label="as it is")
        axis.set_xticks(places, methods, rotation=90)
        axis.set_ylim(0, 103)
        axis.set_title(f"{name} [%]", fontsize=10)
    _legend(figure, axes[0, 0])
    return figure
