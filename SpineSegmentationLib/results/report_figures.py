"""The plots of a report: heights and density along the column, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HEIGHTS = ("height_anterior", "height_middle", "height_posterior")


def height_profile(rows: Sequence[Mapping[str, str]]) -> str:
    """Anterior, middle and posterior height of every vertebra in mm."""
    figure, axes = _profile(rows, "height of the body [mm]")
    for name in HEIGHTS:
        _line(axes, rows, f"{name}_mm", f"{name}_uncertainty_mm", name.removeprefix("height_"))
    axes.legend(fontsize=7, frameon=False)
    return _svg(figure)


def density_profile(rows: Sequence[Mapping[str, str]]) -> str:
    """Mean HU of every vertebra with the standard deviation between its voxels, and the thresholds for L1."""
    figure, axes = _profile(rows, "trabecular bone [HU]")
    _line(axes, rows, "trabecular_hu", "trabecular_uncertainty_hu", "mean")
    for threshold in (110, 135, 160):
        axes.axhline(threshold, color="0.8", linewidth=0.8, zorder=0)
    return _svg(figure)


def _profile(rows: Sequence[Mapping[str, str]], label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 2.3), layout="constrained")
    axes = figure.subplots()
    axes.set_xticks(range(len(rows)), [row["label"] for row in rows], fontsize=7)
    axes.set_ylabel(label, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _line(axes: Axes, rows: Sequence[Mapping[str, str]], value: str, error: str, label: str) -> None:
    values, errors = (np.array([float(row[key] or "nan") for row in rows]) for key in (value, error))
    axes.errorbar(range(len(rows)), values, errors, marker="o", markersize=3, linewidth=1, capsize=2, label=label)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "spine", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
