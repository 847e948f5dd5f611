"""The paper's Figure 2 for any case: what each method made of it, in 2-D and 3-D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from mtctl.errors import MtctlError
from mtctl.evaluation.case_files import LABEL, SEGMENTATION, corrected, on_same_grid
from mtctl.evaluation.results import MethodResult
from mtctl.figures.box_plots import write_box_plots
from mtctl.figures.names import drawable
from mtctl.geometry import Geometry, Mask, Triple, Volume
from mtctl.io.volumes import read_mask, read_scan
from mtctl.preprocessing.network_grid import canonical_geometry
from mtctl.preprocessing.resampling import to_grid
from mtctl.system.files import make_folder, replacing

IMAGE = ".image.nrrd"

#: Of Okabe and Ito's colours, told apart by the colour-blind.
PREDICTION_COLOUR, TRUTH_COLOUR = "#E69F00", "#56B4E9"

_DPI = 200
_PANEL_INCHES = 2.5
_SMALLEST_SIDE_MM, _MARGIN_MM = 60.0, 10.0


class FigureError(MtctlError):
    """A figure cannot be drawn from what there is."""


@dataclass(frozen=True)
class ComparedMask:
    """One column of the figure."""

    name: str
    mask: Mask
    caption: str


@dataclass(frozen=True)
class CaseComparison:
    """A case and what each method made of it, all arrays (z, y, x) on one grid along the LPS axes."""

    case: str
    image: NDArray[np.float32]
    truth: Mask
    predictions: tuple[ComparedMask, ...]
    geometry: Geometry

    def slice_of_most_errors(self) -> int:
        """Return the index of the axial slice with most wrong voxels over all methods.

        Where there is none, return the one where the truth is largest.
        """
        wrong = sum((prediction.mask != self.truth).sum(axis=(1, 2)) for prediction in self.predictions)
        return int(np.argmax(wrong if np.any(wrong) else self.truth.sum(axis=(1, 2))))


def write_figures(
    folder: Path, methods: Sequence[MethodResult], truth: Path, case: str | None, spacing: Triple | None = None
) -> Iterator[Path]:
    """Write `metrics.png` and `comparison-<case>.png`, and yield each path once it is there.

    Args:
        folder: Made where it is absent.
        methods: In the order of the columns.
        truth: Folder of <case>.label.nrrd and <case>.image.nrrd.
        case: For the second figure; None: see `telling_case`.
        spacing: True one of the case's files, mm along their axes x, y, z; None for their own.

    Raises:
        MtctlError: There is no such case, its scan is absent, VTK or OpenGL is absent, or a file cannot be written.
    """
    make_folder(folder)
    chosen = case or telling_case(methods)
    path = folder / "metrics.png"
    write_box_plots(methods, path)
    yield path
    path = folder / f"comparison-{chosen}.png"
    write_case_comparison(load_case(methods, truth, chosen, spacing), path)
    yield path


def telling_case(methods: Sequence[MethodResult]) -> str:
    """The case, of those that all methods have, whose Dice differs most between methods; with one method, its worst.

    Raises:
        FigureError: They have no case in common.
    """
    cases = sorted(set.intersection(*(set(method.cases) for method in methods)))
    if not cases:
        raise FigureError("the methods have no case in common to draw; name the folders of results on the same scans")
    dice = np.array([[method.cases[case].segmentation.dice for method in methods] for case in cases])
    return cases[int(np.argmax(np.ptp(dice, axis=1) if len(methods) > 1 else -dice[:, 0]))]


def load_case(methods: Sequence[MethodResult], truth: Path, case: str, spacing: Triple | None = None) -> CaseComparison:
    """Return the scan, its expert mask and the methods' masks, brought onto a grid along the LPS axes of 0.625 mm.

    Arguments as for `write_figures`.

    Raises:
        FigureError: A method has no result for the case, or the scan is absent.
        MtctlError: A file cannot be read, or lies on another grid than the scan.
    """
    without = [method.name for method in methods if case not in method.cases]
    if without:
        raise FigureError(f"{case}: cannot be drawn, {', '.join(without)} has no usable result for it")
    image_file = truth / (case + IMAGE)
    if not image_file.exists():
        raise FigureError(f"{image_file}: the picture of a case needs its scan; put it beside the expert mask")
    scan = read_scan(image_file, spacing)
    image = scan.volume
    grid = canonical_geometry(image.geometry, (0.625, 0.625, 0.625))

    def mask(path: Path) -> Mask:
        volume = on_same_grid(corrected(read_mask(path, scan.filed), spacing), path, image, image_file)
        return np.asarray(to_grid(Volume(volume.array.astype(np.float32), volume.geometry), grid)[0] >= 0.5)

    predictions = tuple(
        ComparedMask(method.name, mask(method.folder / (case + SEGMENTATION)), _caption(method, case))
        for method in methods
    )
    true = mask(truth / (case + LABEL))
    if not true.any():
        raise FigureError(f"{truth / (case + LABEL)}: the mask is empty, there is no atrium to compare with")
    return CaseComparison(case, to_grid(image, grid)[0], true, predictions, grid)


def write_case_comparison(comparison: CaseComparison, path: Path) -> None:
    """The paper's Figure 2: a column for each method and one for the ground truth.

    First row: the axial slice with most errors (radiological view), predicted and true outline. Below: the surface from
    the front and from the back, coloured by its distance from the true one, with what it misses.

    Raises:
        FigureError: VTK is absent.
        RenderingError: OpenGL is.
    """
    try:
        from mtctl.figures import surfaces as surface
    except ImportError as error:
        raise FigureError(f"the 3-D picture needs VTK ({error}); install it with: pip install vtk") from error
    columns = (*comparison.predictions, ComparedMask("Ground truth", comparison.truth, ""))
    frame = surface.ViewRectangle.around([column.mask for column in columns], comparison.geometry)
    pixels = round(_PANEL_INCHES * _DPI)
    pictures = [
        surface.surface_pictures(column.mask, comparison.truth, comparison.geometry, frame, pixels)
        for column in columns
    ]
    heights = [_PANEL_INCHES, *[_PANEL_INCHES * frame.half_height / frame.half_width] * len(surface.VIEWPOINTS)]
    left, right, top, bottom, gap = 0.3, 1.0, 0.5, 0.6, 0.07  # inches
    width = left + (_PANEL_INCHES + gap) * len(columns) - gap + right
    height = top + sum(heights) + gap * len(surface.VIEWPOINTS) + bottom
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(heights), len(columns), height_ratios=heights, left=left / width, right=1 - right / width,
        top=1 - top / height, bottom=bottom / height, wspace=gap / _PANEL_INCHES, hspace=gap * 3 / sum(heights),
    )  # fmt: skip
    z = comparison.slice_of_most_errors()
    for number, (column, views) in enumerate(zip(columns, pictures, strict=True)):
        axes = figure.add_subplot(grid[0, number])
        outlines = [(comparison.truth[z], TRUTH_COLOUR)]
        if column.mask is not comparison.truth:
            outlines.append((column.mask[z], PREDICTION_COLOUR))
        _draw_slice(axes, comparison, outlines, z)
        axes.set_title(drawable(column.name), fontsize=12, fontweight="bold", pad=18, parse_math=False)
        axes.text(0.5, 1.02, column.caption, transform=axes.transAxes, ha="center", va="bottom", fontsize=9)
        for row, (view, picture) in enumerate(zip(surface.VIEWPOINTS, views, strict=True), start=1):
            axes = figure.add_subplot(grid[row, number])
            axes.imshow(picture)
            _without_frame(axes)
            for side, across in ((view.left, 0.02), (view.right, 0.98)):
                axes.text(across, 0.96, side, transform=axes.transAxes, fontsize=8, ha="center", va="top")
            if not number:
                axes.set_ylabel(f"{view.name} view", fontsize=9)
    height_mm = comparison.geometry.index_to_physical((0, 0, z))[2]
    figure.axes[0].set_ylabel(f"axial, z = {height_mm:.1f} mm", fontsize=9)
    low, high = bottom / height, (bottom + sum(heights[1:])) / height
    bar = figure.add_axes((1 - (right - 0.15) / width, low + 0.05 * (high - low), 0.13 / width, 0.9 * (high - low)))
    scale = Normalize(-surface.LIMIT_MM, surface.LIMIT_MM)
    figure.colorbar(ScalarMappable(scale, surface.COLOUR_MAP), cax=bar, extend="both")
    bar.set_ylabel("outside the true surface (mm)", fontsize=9)
    bar.tick_params(labelsize=9)
    figure.legend(
        handles=[
            Line2D([], [], color=PREDICTION_COLOUR, linewidth=2, label="prediction"),
            Line2D([], [], color=TRUTH_COLOUR, linewidth=2, label="ground truth"),
            Patch(color=surface.MISSED_COLOUR, alpha=0.35, label=f"true surface missed by > {surface.MISSED_MM:g} mm"),
        ],
        loc="lower center", bbox_to_anchor=(0.5, 0.17 / height), ncols=3, fontsize=10, frameon=False,
    )  # fmt: skip
    about = f"{drawable(comparison.case)}. The slice is the one with most wrong voxels over all methods."
    figure.text(0.5, 0.07 / height, about, fontsize=8, color="0.35", ha="center", parse_math=False)
    with replacing(path) as part:
        figure.savefig(part, dpi=_DPI, format="png")


def _draw_slice(axes: Axes, comparison: CaseComparison, outlines: Sequence[tuple[Mask, str]], z: int) -> None:
    geometry = comparison.geometry
    low, high = np.percentile(comparison.image, (1, 99.5))
    (x0, x1), (y0, y1), _ = geometry.extent()
    dx, dy = geometry.spacing[0] / 2, geometry.spacing[1] / 2
    axes.imshow(
        comparison.image[z], cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="bilinear",
        extent=(x0 - dx, x1 + dx, y1 + dy, y0 - dy),
    )  # fmt: skip
    x, y = np.linspace(x0, x1, geometry.size[0]), np.linspace(y0, y1, geometry.size[1])
    for outline, colour in outlines:
        if outline.any() and not outline.all():
            axes.contour(x, y, outline, [0.5], colors=[colour], linewidths=1.5)
    shown = np.logical_or.reduce([comparison.truth[z], *(prediction.mask[z] for prediction in comparison.predictions)])
    rows, columns = np.nonzero(shown)
    side = max(np.ptp(x[columns]), np.ptp(y[rows]), _SMALLEST_SIDE_MM - 2 * _MARGIN_MM) + 2 * _MARGIN_MM
    left, right = _window(x, x[columns], side)
    top, bottom = _window(y, y[rows], side)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_facecolor("black")
    _without_frame(axes)
    edge = [withStroke(linewidth=2, foreground="black")]  # blood pools are as white as the letters
    for letter, across, up in (("R", 0.03, 0.5), ("L", 0.97, 0.5), ("A", 0.5, 0.96), ("P", 0.5, 0.04)):
        axes.text(across, up, letter, transform=axes.transAxes, color="white", fontsize=8, ha="center", va="center",
                  path_effects=edge)  # fmt: skip


def _window(scan: NDArray[np.float64], shown: NDArray[np.float64], side: float) -> tuple[float, float]:
    """Return an interval of that length around what is shown, moved into the scan as far as it fits."""
    middle, half = (shown.min() + shown.max()) / 2, side / 2
    low, high = scan[0] + half, scan[-1] - half
    middle = np.clip(middle, low, high) if low < high else (low + high) / 2
    return float(middle - half), float(middle + half)


def _without_frame(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _caption(method: MethodResult, case: str) -> str:
    metrics = method.cases[case].segmentation
    return f"Dice {100 * metrics.dice:.1f} %, 95HD {metrics.hd95_mm:.1f} mm"
