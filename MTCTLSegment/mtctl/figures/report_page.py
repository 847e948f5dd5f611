"""The report of a case on one page of A4, as PDF: pictures, numbers with their intervals, and what they come from."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from mtctl.figures.case_figure import COLOUR_MAP, OUTLINE
from mtctl.figures.names import drawable
from mtctl.geometry import Map, Mask
from mtctl.measures.rows import TableRow
from mtctl.system.files import replacing

#: What every report says of itself.
RESEARCH = "For research only. Not for a diagnosis or for the treatment of a patient."

_A4 = (8.27, 11.69)  # inches
_CLEAR_BELOW = 0.1  # of the uncertainty: the anatomy shows
_LINE = 0.0168  # of the page's height
_MOST_WARNINGS = 6


@dataclass(frozen=True)
class SurfaceView:
    """A picture of the surface (height, width, 3), its name, and which side of the patient is left and right in it."""

    picture: NDArray[np.uint8]
    name: str
    left: str
    right: str


@dataclass(frozen=True)
class ReportPage:
    """What the page shows.

    Attributes:
        case: Its pseudonym.
        image: Scan on an LPS grid of cubes, (z, y, x); None where there is none.
        mask, uncertainty: On the same grid; the uncertainty from 0 to 1, None where there is none.
        surfaces: Pictures of the surface; empty where it could not be drawn.
        surface_colour: What their colour is, and the values at the ends of its scale.
        rows: The numbers.
        origin: Model, version and more, one text a line.
        warnings: What the reader has to know.
        date: When the report was made.
    """

    case: str
    image: Map | None
    mask: Mask
    uncertainty: Map | None
    surfaces: Sequence[SurfaceView]
    surface_colour: tuple[str, float, float] | None
    rows: Sequence[TableRow]
    origin: Sequence[str]
    warnings: Sequence[str]
    date: str


def write_report_page(page: ReportPage, path: Path) -> None:
    """Write the page as PDF, whole or not at all; its text can be searched and copied.

    Raises:
        WriteError: It cannot be written.
    """
    figure = report_figure(page)
    with (
        replacing(path) as part,
        warnings.catch_warnings(),
        rc_context({"pdf.fonttype": 42}),
    ):
        warnings.filterwarnings("ignore", "Glyph")  # A name in a script that the font lacks shows as boxes.
        figure.savefig(part, format="pdf", metadata={"Title": "Left atrium", "Creator": "mtctl", "CreationDate": None})


def report_figure(page: ReportPage) -> Figure:
    """Return the page as a figure."""
    figure = Figure(figsize=_A4, facecolor="white")
    FigureCanvasAgg(figure)
    _text(figure, 0.06, 0.965, "Left atrium", fontsize=17, weight="bold")
    _text(figure, 0.06, 0.942, _short(drawable(page.case), 70), fontsize=11)
    _text(figure, 0.94, 0.965, page.date, fontsize=9, ha="right")
    _text(figure, 0.94, 0.942, RESEARCH, fontsize=8, ha="right", color="#a00000")
    _slices(figure, page)
    _surfaces(figure, page)
    bottom = _table(figure, page.rows)
    _notes(figure, page, bottom)
    return figure


def _slices(figure: Figure, page: ReportPage) -> None:
    z, y, x = (round(float(index.mean())) for index in np.nonzero(page.mask))
    planes: tuple[tuple[str, tuple[slice | int, ...], str], ...] = (
        ("axial", (z, slice(None), slice(None)), "RLAP"),
        ("coronal", (slice(None, None, -1), y, slice(None)), "RLSI"),
        ("sagittal", (slice(None, None, -1), slice(None), x), "APSI"),
    )
    grey = {}
    if page.image is not None:
        low, high = np.percentile(page.image, (1, 99.5))
        grey = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6)}
    for number, (name, cut, sides) in enumerate(planes):
        axes = figure.add_axes((0.06 + 0.285 * number, 0.69, 0.275, 0.22), facecolor="black")
        axes.set_xticks([])
        axes.set_yticks([])
        mask = page.mask[cut]
        axes.imshow(np.zeros(mask.shape) if page.image is None else page.image[cut], **(grey or {"cmap": "gray"}))
        if page.uncertainty is not None:
            doubt = page.uncertainty[cut]
            opacity = np.clip((doubt - _CLEAR_BELOW) / 0.3, 0, 0.85)
            axes.imshow(doubt, cmap=COLOUR_MAP, vmin=0, vmax=1, alpha=opacity, interpolation="nearest")
        if mask.any() and not mask.all():
            axes.contour(mask, [0.5], colors=[OUTLINE], linewidths=1.1)
        _edged(axes, name, 0.03, 0.95, "white", "left")
        for letter, (left, up) in zip(sides, ((0.04, 0.5), (0.96, 0.5), (0.5, 0.95), (0.5, 0.05)), strict=True):
            _edged(axes, letter, left, up, "#ffd866", "center")
    if page.uncertainty is not None:
        _scale(figure, (0.925, 0.70, 0.012, 0.195), "uncertainty", 0.0, 1.0)


def _surfaces(figure: Figure, page: ReportPage) -> None:
    if not page.surfaces:
        _text(figure, 0.06, 0.64, "The surface could not be drawn on this machine (see below).", fontsize=9)
        return
    for number, view in enumerate(page.surfaces):
        axes = figure.add_axes((0.06 + 0.43 * number, 0.455, 0.42, 0.205))
        axes.set_axis_off()
        axes.imshow(view.picture)
        axes.set_title(f"{view.name}", fontsize=8, pad=1)
        for letter, left in ((view.left, 0.0), (view.right, 1.0)):
            axes.text(left, 0.5, letter, transform=axes.transAxes, fontsize=9, ha="center", va="center")
    if page.surface_colour:
        name, low, high = page.surface_colour
        _scale(figure, (0.925, 0.48, 0.012, 0.155), name, low, high)


def _scale(figure: Figure, place: tuple[float, float, float, float], name: str, low: float, high: float) -> None:
    scale = figure.colorbar(ScalarMappable(Normalize(low, high), COLOUR_MAP), cax=figure.add_axes(place))
    scale.set_label(name, fontsize=7, labelpad=1)
    scale.ax.tick_params(labelsize=6, pad=1, length=2)


def _table(figure: Figure, rows: Sequence[TableRow]) -> float:
    """Draw the table; returns where it ends."""
    top = 0.435
    for words, x, side in (("", 0.06, "left"), ("value", 0.60, "right"), ("90 % interval", 0.80, "right")):
        _text(figure, x, top, words, fontsize=8, ha=side, color="#555555")
    for number, row in enumerate(rows, start=1):
        height = top - number * _LINE
        _text(figure, 0.06, height, row.name, fontsize=9)
        _text(figure, 0.60, height, row.value, fontsize=9, ha="right", weight="bold")
        _text(figure, 0.80, height, row.interval, fontsize=9, ha="right")
    return top - (len(rows) + 1.2) * _LINE


def _notes(figure: Figure, page: ReportPage, top: float) -> None:
    lines: list[tuple[str, str]] = []
    shown = [*page.warnings[:_MOST_WARNINGS]]
    if len(page.warnings) > _MOST_WARNINGS:
        shown.append(f"and {len(page.warnings) - _MOST_WARNINGS} more, in the case's files")
    for warning in shown:
        wrapped = textwrap.wrap(f"Warning: {warning}", 118, max_lines=3, placeholder=" ...")
        lines += [(line, "#a00000") for line in wrapped]
    for origin in page.origin:
        lines += [(line, "#333333") for line in textwrap.wrap(origin, 118, max_lines=3, placeholder=" ...")]
    step = min(0.0135, (top - 0.03) / max(len(lines), 1))
    for number, (line, colour) in enumerate(lines):
        _text(figure, 0.06, top - number * step, line, fontsize=7.5, color=colour)


def _text(figure: Figure, x: float, y: float, words: str, ha: str = "left", **style: object) -> None:
    # No mathematics: a "$" in a name is only that.
    figure.text(x, y, drawable(words), va="top", ha=ha, parse_math=False, **style)  # type: ignore[arg-type]


def _edged(axes: Axes, words: str, x: float, y: float, colour: str, side: str) -> None:
    edge = [withStroke(linewidth=2, foreground="black")]
    axes.text(x, y, words, color=colour, ha=side, va="center", transform=axes.transAxes, fontsize=8, path_effects=edge)


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 3]}..."
