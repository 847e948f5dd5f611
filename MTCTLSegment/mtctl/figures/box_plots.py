"""Box plots of the metrics of several methods, one panel a metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mtctl.evaluation.paired_tests import mean_and_sd
from mtctl.evaluation.results import MethodResult
from mtctl.evaluation.tables import Column
from mtctl.figures.names import drawable
from mtctl.system.files import replacing

#: Okabe and Ito's colours, told apart by the colour-blind; without yellow and black, which a box plot cannot carry.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

#: Panels of the box plots: as Table 1, distances in mm, and which way is better.
PANELS = (
    (Column("dice", "Dice (%)", 100), "higher is better"),
    (Column("jaccard", "Jaccard (%)", 100), "higher is better"),
    (Column("hd95_mm", "95HD (mm)"), "lower is better"),
    (Column("asd_mm", "ASD (mm)"), "lower is better"),
    (Column("ravd", "RAVD (%)", 100), "nearer to 0 is better"),
    (Column("precision", "Precision (%)", 100), "higher is better"),
    (Column("recall", "Recall (%)", 100), "higher is better"),
)


_DPI = 200


def write_box_plots(methods: Sequence[MethodResult], path: Path) -> None:
    """A panel for each metric: quartiles, mean, and every case as a dot, joined across methods."""
    width = max(2.6, 0.55 * len(methods) + 1.2)
    figure = Figure(figsize=(4 * width, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 4).ravel()
    for axes, (column, direction) in zip(panels, PANELS, strict=False):
        _draw_boxes(axes, methods, column)
        axes.set_title(f"{column.heading}\n", fontsize=11, fontweight="bold")
        axes.text(0.5, 1.02, direction, transform=axes.transAxes, ha="center", va="bottom", fontsize=8, color="0.35")
    _draw_key(panels[-1], methods)
    with replacing(path) as part:
        figure.savefig(part, dpi=_DPI, format="png")


def _draw_boxes(axes: Axes, methods: Sequence[MethodResult], column: Column) -> None:
    cases = sorted(set().union(*(method.cases for method in methods)))
    values = np.array([
        [getattr(m.cases[case].segmentation, column.key) if case in m.cases else np.nan for m in methods]
        for case in cases
    ]).reshape(len(cases), len(methods)) * column.factor  # fmt: skip
    values[~np.isfinite(values)] = np.nan
    # Dots of one case stand at one offset in every box, so that the lines between them are parallel.
    offset = np.random.default_rng(0).uniform(-0.16, 0.16, len(cases))
    for shift, line in zip(offset, values, strict=True):
        axes.plot(np.arange(len(methods)) + shift, line, color="0.8", linewidth=0.6, zorder=1)
    for number in range(len(methods)):
        defined = ~np.isnan(values[:, number])
        colour = COLOURS[number % len(COLOURS)]
        axes.boxplot(
            values[defined, number], positions=[number], widths=0.55, showfliers=False, patch_artist=True, zorder=2,
            boxprops={"facecolor": (colour, 0.25), "edgecolor": colour}, whiskerprops={"color": colour},
            capprops={"color": colour}, medianprops={"color": "black", "linewidth": 1.4},
        )  # fmt: skip
        axes.scatter(number + offset[defined], values[defined, number], s=11, color=colour, linewidths=0, zorder=3)
        mean, _ = mean_and_sd(values[:, number])
        axes.scatter([number], [mean], marker="D", s=26, color="white", edgecolors="black", linewidths=1, zorder=4)
    if column.key == "ravd":
        axes.axhline(0, color="0.5", linewidth=0.8, linestyle="--", zorder=0)
    names = [drawable(method.name) for method in methods]
    axes.set_xticks(range(len(methods)), names, rotation=30, ha="right", fontsize=9, parse_math=False)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", labelsize=9)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_key(axes: Axes, methods: Sequence[MethodResult]) -> None:
    axes.set_axis_off()
    counts = sorted({len(method.cases) for method in methods})
    axes.legend(
        handles=[
            Line2D([], [], marker="o", color="0.4", linestyle="", markersize=4, label="a case, joined across methods"),
            Line2D([], [], color="black", linewidth=1.4, label="median"),
            Line2D([], [], marker="D", color="white", markeredgecolor="black", linestyle="", label="mean"),
            Patch(facecolor="0.9", edgecolor="0.4", label="quartiles; whiskers to 1.5\ninterquartile ranges"),
        ],
        title=f"{' to '.join(map(str, counts[:1] + counts[1:][-1:]))} {'case' if counts == [1] else 'cases'} a method",
        loc="center", frameon=False, fontsize=9,
    )  # fmt: skip
