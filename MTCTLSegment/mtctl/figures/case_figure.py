"""The paper's Figure 3 for any case: scan with outline, scan with uncertainty, uncertainty alone, in three planes."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image

from mtctl.figures.names import drawable
from mtctl.geometry import Mask
from mtctl.system.files import replacing

#: Purple is low, yellow is high, as in the paper; even in brightness and safe for the colour-blind.
COLOUR_MAP = "viridis"

#: Outline of the mask; absent from the colour map and from grey.
OUTLINE = "#ff4d4d"

#: Below this the overlay is clear, so that the anatomy shows; an uncertainty of 0.1 is a probability of 0.013 or 0.987.
_CLEAR_BELOW = 0.1


#: Under this key the PNG file says where its first two panels lie.
_AXIAL_ROW = "mtctl axial row"


@dataclass(frozen=True)
class CasePicture:
    """One case on an LPS-aligned isotropic grid, all arrays (z, y, x).

    Attributes:
        image: Intensities.
        mask: The segmentation.
        uncertainty: In [0, 1].
        scale: What the uncertainty is, written at the colour scale.
        title: First line.
        subtitle: Second line.
    """

    image: NDArray[np.float32]
    mask: Mask
    uncertainty: NDArray[np.float32]
    scale: str
    title: str
    subtitle: str


def write_case_figure(view: CasePicture, path: Path) -> None:
    """Write the figure of a case as PNG.

    Rows: axial, sagittal, coronal plane through the middle of the segmentation, as radiologists look at them (patient's
    right on the left; anterior on the left in sagittal planes). Columns: scan with outline, scan with
    uncertainty, uncertainty alone with its scale.
    """
    centre = _centre(view.mask)
    planes = (
        ("axial", 0, ("R", "L", "A", "P"), False),
        ("sagittal", 2, ("A", "P", "S", "I"), True),
        ("coronal", 1, ("R", "L", "S", "I"), True),
    )
    heights = [_plane(view.image, axis, centre, flip).shape for _, axis, _, flip in planes]
    figure = Figure(figsize=(12.6, 0.9 + 4 * sum(rows / columns for rows, columns in heights)), facecolor="black")
    FigureCanvasAgg(figure)
    # No mathematics: a "$" in a file's name is only that.
    figure.text(0.02, 0.995, drawable(view.title), color="white", fontsize=13, va="top", parse_math=False)
    figure.text(0.02, 0.965, view.subtitle, color="#cccccc", fontsize=10, va="top", parse_math=False)
    grid = figure.add_gridspec(
        3, 4, width_ratios=[1, 1, 1, 0.04], height_ratios=[rows / columns for rows, columns in heights],
        left=0.02, right=0.94, bottom=0.01, top=0.915, wspace=0.03, hspace=0.04,
    )  # fmt: skip
    low, high = np.percentile(view.image, (1, 99.5))
    grey = {"cmap": "gray", "vmin": low, "vmax": max(high, low + 1e-6), "interpolation": "bilinear"}
    for row, (name, axis, sides, flip) in enumerate(planes):
        image = _plane(view.image, axis, centre, flip)
        uncertainty = _plane(view.uncertainty, axis, centre, flip)
        mask = _plane(view.mask, axis, centre, flip)
        for column in range(3):
            axes = figure.add_subplot(grid[row, column])
            axes.set_axis_off()
            if column < 2:
                axes.imshow(image, **grey)
            if column == 1:
                opacity = np.clip((uncertainty - _CLEAR_BELOW) / 0.3, 0, 0.85)
                axes.imshow(uncertainty, cmap=COLOUR_MAP, vmin=0, vmax=1, alpha=opacity, interpolation="nearest")
            if column == 2:
                axes.imshow(uncertainty, cmap=COLOUR_MAP, vmin=0, vmax=1, interpolation="bilinear")
            if column == 0:
                if mask.any() and not mask.all():
                    axes.contour(mask, [0.5], colors=[OUTLINE], linewidths=1.4)
                _write(axes, name, 0.02, 0.955, "white", "left")
            _letters(axes, sides)
    bar = figure.add_subplot(grid[:, 3])
    scale = figure.colorbar(ScalarMappable(Normalize(0, 1), COLOUR_MAP), cax=bar)
    scale.set_label(view.scale, color="white")
    scale.ax.tick_params(colors="white")
    with replacing(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # A name in a script that the font lacks shows as boxes.
        figure.savefig(part, dpi=110, format="png", facecolor="black", metadata={_AXIAL_ROW: _row_place(figure)})


def axial_thumbnail(path: Path, height: int = 128) -> bytes | None:
    """Return the axial slice of a case's figure, with outline and with uncertainty, as a small JPEG.

    Args:
        path: As `write_case_figure` wrote it.
        height: Of the thumbnail, pixels.

    Returns:
        The JPEG, or None where there is no such figure.
    """
    try:
        with Image.open(path) as picture:
            left, upper, right, lower = (float(share) for share in picture.info[_AXIAL_ROW].split())
            columns, rows = picture.size
            row = picture.crop(
                (round(left * columns), round(upper * rows), round(right * columns), round(lower * rows))
            )
            small = row.convert("RGB").resize(
                (round(height * row.width / row.height), height), Image.Resampling.LANCZOS
            )
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        return None
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=75)
    return stream.getvalue()


def _row_place(figure: Figure) -> str:
    """Return the left, upper, right and lower end of the first two panels, as shares of the figure."""
    first, second = figure.axes[:2]
    for axes in (first, second):
        axes.apply_aspect()
    left, right = first.get_position(), second.get_position()
    return f"{left.x0:.5f} {1 - left.y1:.5f} {right.x1:.5f} {1 - left.y0:.5f}"


def _centre(mask: Mask) -> tuple[int, int, int]:
    """Return the middle of the mask, or of the volume where the mask is empty."""
    if not mask.any():
        return mask.shape[0] // 2, mask.shape[1] // 2, mask.shape[2] // 2
    z, y, x = (round(float(index.mean())) for index in np.nonzero(mask))
    return z, y, x


def _plane(array: NDArray[Any], axis: int, centre: tuple[int, int, int], flip: bool) -> NDArray[Any]:
    plane = np.take(array, centre[axis], axis=axis)
    return plane[::-1] if flip else plane


def _letters(axes: Axes, sides: tuple[str, str, str, str]) -> None:
    left, right, top, bottom = sides
    for letter, x, y in ((left, 0.02, 0.5), (right, 0.98, 0.5), (top, 0.5, 0.96), (bottom, 0.5, 0.04)):
        _write(axes, letter, x, y, "#ffd866", "center")


def _write(axes: Axes, text: str, x: float, y: float, colour: str, side: str) -> None:
    # Edged in black: blood pools are as white as the letters.
    edge = [withStroke(linewidth=2, foreground="black")]
    axes.text(x, y, text, color=colour, ha=side, va="center", transform=axes.transAxes, path_effects=edge, fontsize=9)
