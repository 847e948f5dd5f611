"""The heatmap's colours, as in the figures: purple is low, yellow is high; rising in brightness, safe for all eyes."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray

from mtctl.scene.nodes import ROLE, Node, Scene, made_here

# Every sixteenth of viridis (van der Walt and Smith, public domain); straight lines between stay within 0.022 of it.
# Slicer has a table of that name, slicer-core has not: with our own, saved scenes look alike everywhere.
_ANCHORS = np.array(
    [
        (0.267, 0.005, 0.329),
        (0.282, 0.095, 0.417),
        (0.279, 0.175, 0.483),
        (0.259, 0.252, 0.525),
        (0.230, 0.322, 0.546),
        (0.199, 0.388, 0.555),
        (0.173, 0.449, 0.558),
        (0.149, 0.508, 0.557),
        (0.128, 0.567, 0.551),
        (0.121, 0.626, 0.533),
        (0.158, 0.684, 0.502),
        (0.246, 0.739, 0.452),
        (0.369, 0.789, 0.383),
        (0.516, 0.831, 0.294),
        (0.678, 0.864, 0.190),
        (0.846, 0.887, 0.100),
        (0.993, 0.906, 0.144),
    ]
)


def heatmap_colors() -> NDArray[np.float64]:
    """The 256 colours (256, 3), from uncertainty 0 to 1."""
    at, given = np.linspace(0, 1, 256), np.linspace(0, 1, len(_ANCHORS))
    return np.stack([np.interp(at, given, channel) for channel in _ANCHORS.T], axis=1)


def heatmap_table(scene: Scene) -> Node:
    """The scene's vtkMRMLColorTableNode of these colours; made when it is not there."""
    for node in made_here(scene):
        if node.GetAttribute(ROLE) == "colors":
            return node
    table = slicer.vtkMRMLColorTableNode()
    table.SetTypeToUser()
    table.SetName("Uncertainty (purple to yellow)")
    table.SetAttribute(ROLE, "colors")
    colors = heatmap_colors().tolist()
    table.SetNumberOfColors(len(colors))
    for index, (red, green, blue) in enumerate(colors):
        table.SetColor(index, f"{index / 255:.2f}", red, green, blue, 1.0)
    return scene.AddNode(table)
