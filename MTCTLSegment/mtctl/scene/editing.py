"""What an answer would change, in a node that neither undo nor a saved scene knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from numpy.typing import NDArray

from mtctl.review.answers import Side, with_changed
from mtctl.scene.nodes import CaseNodes, add_part, is_in_scene, part_of
from mtctl.scene.segments import mask_of, set_segment
from mtctl.scene.types import Node
from mtctl.scene.volume_nodes import copy_transform

#: What would be on either side: neither in the heatmap, nor grey or red as the outline; told apart by the colour-blind.
_SKY_BLUE, _WHITE = (0.35, 0.75, 1.0), (1.0, 1.0, 1.0)
_COLORS: dict[Side, tuple[float, float, float]] = {"inside": _SKY_BLUE, "outside": _WHITE}

_SEGMENTS = {"added": ("Would be added", _COLORS["inside"]), "removed": ("Would be taken away", _COLORS["outside"])}


def preview_color(side: Side) -> str:
    """Return the colour in which `show_preview` draws what would be on a side, as style sheets write it: "#59bfff"."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in _COLORS[side])


def show_preview(nodes: CaseNodes, voxels: NDArray[np.int64]) -> CaseNodes:
    """Show what would be added and taken away; replaces the preview before. The segmentation is not touched.

    It lives in a segmentation node of its own that is hidden from selectors, from undo and from saved scenes.

    Args:
        nodes: The case.
        voxels: Flat indices of the voxels (z, y, x) that would change side.

    Returns:
        The nodes with `preview`.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    before = mask_of(nodes)
    after = with_changed(before, voxels)
    preview = part_of(nodes.scene, nodes.scan, "preview") or _new_preview(nodes)
    copy_transform(preview, nodes.scan)
    for name, mask in {"added": after & ~before, "removed": before & ~after}.items():
        set_segment(preview, name, mask, nodes.scan)
    return replace(nodes, preview=preview)


def remove_preview(nodes: CaseNodes) -> None:
    """Remove the preview; nothing happens where there is none."""
    preview = part_of(nodes.scene, nodes.scan, "preview") if is_in_scene(nodes.scan) else nodes.preview
    if is_in_scene(preview):
        nodes.scene.RemoveNode(preview)


def _new_preview(nodes: CaseNodes) -> Node:
    preview = slicer.vtkMRMLSegmentationNode()
    preview.SetName(f"{nodes.scan.GetName()}: preview")
    preview.SetSaveWithScene(False)
    preview.SetUndoEnabled(False)
    preview = add_part(nodes.scene, nodes.scan, preview, "preview")
    # Not before: the application looks for the subject hierarchy item of a segmentation that was added, and prints
    # seven errors where a hidden one has none.
    preview.SetHideFromEditors(True)
    preview.SetReferenceImageGeometryParameterFromVolumeNode(nodes.scan)
    for segment_id, (name, color) in _SEGMENTS.items():
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(*color)
        preview.GetSegmentation().AddSegment(segment, segment_id)
    preview.CreateDefaultDisplayNodes()
    display = preview.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility3D(False)
    display.SetOpacity2DFill(0.55)
    display.SetSliceIntersectionThickness(2)
    return preview
