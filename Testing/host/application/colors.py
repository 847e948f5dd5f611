"""Colour tables that the application ships and bare slicer-core does not."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

NAMES = ("Inferno", "Plasma", "Viridis", "Magma")
LABEL_COLORS = ("GenericColors", "GenericAnatomyColors")  # what label volumes are shown with


def write_color_files(share: Path) -> None:
    """Writes ``ColorFiles/Inferno.txt`` and its like, which the Colors logic turns into the application's nodes.

    Their IDs follow from the file names, as in the application: ``vtkMRMLColorTableNodeFileInferno.txt``.
    """
    folder = share / "ColorFiles"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        _write(folder / f"{name}.txt", matplotlib.colormaps[name.lower()](range(256), bytes=True))
    distinct = matplotlib.colormaps["tab20"]
    labels = np.array([distinct(index % 20, bytes=True) for index in range(256)])
    labels[0] = 0  # the background is clear
    for name in LABEL_COLORS:
        _write(folder / f"{name}.txt", labels)


def _write(path: Path, colors: np.ndarray) -> None:
    rows = [f"{index} {index} {red} {green} {blue} {alpha}" for index, (red, green, blue, alpha) in enumerate(colors)]
    lines = [f"# Color table file {path.name}", f"# {len(rows)} values", *rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
