"""Which case is in the views: that of the scan that is looked at, and no other."""

from __future__ import annotations

from mtctl.scene.nodes import ROLE, CaseNodes, cases, is_in_scene, nodes_with_role
from mtctl.scene.slice_layers import composites, hide_layers
from mtctl.scene.surface import set_surface_visible
from mtctl.scene.types import Node, Scene

#: Attribute of a segmentation that was hidden with its case, and is shown with it again.
_HIDDEN = "MTCTL.HiddenWithCase"


def hide_cases(scene: Scene) -> None:
    """Take all cases out of the views, also what is left of those whose scan was deleted.

    So nothing of one lies over another scan. Slice views get back what they showed before.
    """
    for nodes in cases(scene):
        hide_layers(nodes)
        set_surface_visible(nodes, False)
        _hide_segmentation(nodes.reviewed)
    parts = {node.GetID(): node for node in nodes_with_role(scene) if node.GetAttribute(ROLE) != "colors"}
    for view in composites(scene):
        if view.GetForegroundVolumeID() in parts:
            view.SetForegroundVolumeID(None)
    for node in parts.values():
        role = node.GetAttribute(ROLE)
        if role == "legend":
            node.SetVisibility(False)
        elif role == "segmentation":
            _hide_segmentation(node)
        elif role == "surface":
            node.SetDisplayVisibility(False)
        elif role == "preview":
            scene.RemoveNode(node)


def unhide_case(nodes: CaseNodes) -> None:
    """Show the segmentation under review, and the other one of the case where it was hidden with it."""
    for node in (nodes.segmentation, nodes.reviewed):
        if is_in_scene(node) and (node is nodes.reviewed or node.GetAttribute(_HIDDEN) is not None):
            node.SetDisplayVisibility(True)
            node.RemoveAttribute(_HIDDEN)


def is_in_views(nodes: CaseNodes) -> bool:
    """Return whether some slice view shows the scan, or a map of its case."""
    shown = {node.GetID() for node in (nodes.scan, nodes.heatmap, *nodes.uncertainty.values()) if is_in_scene(node)}
    return any({view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()} & shown for view in composites(nodes.scene))


def _hide_segmentation(node: Node | None) -> None:
    if is_in_scene(node) and node.GetDisplayVisibility():
        node.SetAttribute(_HIDDEN, "true")
        node.SetDisplayVisibility(False)
