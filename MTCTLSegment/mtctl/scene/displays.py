"""How heatmap and segmentation are drawn: the colours, the displays of the nodes, the legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
from numpy.typing import NDArray

from mtctl.scene.nodes import ROLE, CaseNodes, SceneError, add_part, is_in_scene, nodes_with_role, part_of
from mtctl.scene.types import Node, Scene
from mtctl.uncertainty.kinds import BY_NAME

#: Title of the colours where somebody else's segmentation is checked: it is 1 wherever that differs from the model's.
DIFFERENCES_LEGEND = "Differences and uncertainty"

#: Smoothing of the closed surface; Slicer's own default, written down so that every scene draws alike.
_SMOOTHING = "0.5"

# The heatmap's colours, as in the figures: purple is low, yellow is high; rising in brightness, safe for all eyes.
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
    """Return the 256 colours (256, 3), from uncertainty 0 to 1."""
    at, given = np.linspace(0, 1, 256), np.linspace(0, 1, len(_ANCHORS))
    return np.stack([np.interp(at, given, channel) for channel in _ANCHORS.T], axis=1)


def heatmap_table(scene: Scene) -> Node:
    """Return the scene's vtkMRMLColorTableNode of these colours; make it where it is missing."""
    for node in nodes_with_role(scene):
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


def set_threshold(nodes: CaseNodes, threshold: float) -> None:
    """Show only what is at least so uncertain (0 to 1): one call of MRML, fast enough for a slider."""
    if is_in_scene(nodes.heatmap):
        if not has_display(nodes.heatmap):
            draw_as_heatmap(nodes.scene, nodes.heatmap, threshold)
        # A value that is equal shall be shown: MRML keeps doubles, the voxels are float32.
        nodes.heatmap.GetDisplayNode().SetLowerThreshold(float(np.float32(threshold)))


def threshold_of(nodes: CaseNodes) -> float:
    """Return the threshold at which the heatmap is shown.

    Raises:
        SceneError: The heatmap was deleted.
    """
    if not is_in_scene(nodes.heatmap):
        raise SceneError("The uncertainty map was deleted: segment the scan again.")
    return round(float(nodes.heatmap.GetDisplayNode().GetLowerThreshold()), 6)


def show_legend(nodes: CaseNodes, views: Sequence[Node]) -> Node:
    """Show the colours' meaning in these views (slice or 3-D view nodes) and no others.

    Returns:
        vtkMRMLColorLegendDisplayNode.

    Raises:
        SceneError: The heatmap was deleted.
    """
    if not is_in_scene(nodes.heatmap):
        raise SceneError("The uncertainty map was deleted: segment the scan again.")
    before = part_of(nodes.scene, nodes.scan, "legend")
    if before is not None:
        nodes.scene.RemoveNode(before)
    if nodes.scene.GetClassNameByTag("ColorLegendDisplay") is None:  # the browser's scene does not know it by itself
        nodes.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
    legend = slicer.vtkMRMLColorLegendDisplayNode()
    legend.SetName(f"{nodes.scan.GetName()}: legend")
    differences = nodes.heatmap.GetAttribute(ROLE) == "differences"
    legend.SetTitleText(DIFFERENCES_LEGEND if differences else BY_NAME[nodes.kind].legend)
    legend.SetLabelFormat("%4.2f")
    legend.SetNumberOfLabels(5)
    legend.SetSize(0.08, 0.3)
    legend.SetPosition(0.98, 0.06)
    for view in views:
        legend.AddViewNodeID(view.GetID())
    legend = add_part(nodes.scene, nodes.scan, legend, "legend")
    legend.SetAndObservePrimaryDisplayNode(nodes.heatmap.GetDisplayNode())
    legend.SetAndObserveColorNodeID(nodes.heatmap.GetDisplayNode().GetColorNodeID())
    nodes.heatmap.AddAndObserveDisplayNodeID(legend.GetID())
    legend.Modified()  # the views have looked at it before it belonged to a volume
    return legend


def has_display(volume: Node) -> bool:
    """Return whether a map has a display with colours: a person's choice of colours is kept."""
    return volume.GetDisplayNode() is not None and volume.GetDisplayNode().GetColorNode() is not None


def draw_as_heatmap(scene: Scene, volume: Node, threshold: float) -> None:
    """Show a map in the heatmap's colours, from 0 to 1, where it reaches the threshold."""
    display = _display(scene, volume, 0.0, 1.0)
    was_modified = display.StartModify()
    display.SetAndObserveColorNodeID(heatmap_table(scene).GetID())
    display.SetThreshold(float(np.float32(threshold)), 1)
    display.SetApplyThreshold(True)
    display.SetInterpolate(False)  # what lights up are the voxels that may be painted, no more and no less
    display.EndModify(was_modified)


def draw_in_grey(scene: Scene, volume: Node, low: float, high: float) -> None:
    """Give a map that is not the heatmap a display, for who wants to look at it."""
    _display(scene, volume, low, high).SetDefaultColorMap()


def _display(scene: Scene, volume: Node, low: float, high: float) -> Node:
    """Return the display node of a map; make it where it is missing.

    Slicer's default one would first look for the best window through all voxels: 0.6 s each for a full-field scan.
    """
    display = volume.GetDisplayNode()
    if display is None:
        display = slicer.vtkMRMLScalarVolumeDisplayNode()
        display.AutoWindowLevelOff()
        display.AutoThresholdOff()
        display.SetWindowLevelMinMax(low, high)
        display = scene.AddNode(display)
        volume.SetAndObserveDisplayNodeID(display.GetID())
    return display


def draw_as_outline(segmentation: Node) -> None:
    """Show an outline along the voxels in 2-D, and a smooth surface in 3-D once there is one."""
    segmentation.GetSegmentation().SetConversionParameter("Smoothing factor", _SMOOTHING)
    if segmentation.GetDisplayNode() is not None:
        return
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    was_modified = display.StartModify()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    # Cut out of the smooth surface, the outline would not show which voxels belong to the atrium.
    display.SetPreferredDisplayRepresentationName2D("Binary labelmap")
    display.SetPreferredDisplayRepresentationName3D("Closed surface")
    display.EndModify(was_modified)
