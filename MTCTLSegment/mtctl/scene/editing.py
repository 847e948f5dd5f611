"""What editing needs, in nodes that neither undo nor a saved scene knows.

That is where painting is allowed, for the Segment Editor, and what a proposal would change, before it is applied.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import slicer

from mtctl.geometry import Mask
from mtctl.scene.nodes import CaseNodes, SceneError, add_part, is_in_scene, part_of
from mtctl.scene.segments import mask_of, set_segment
from mtctl.scene.types import Node
from mtctl.scene.volume_nodes import copy_transform, set_voxels

if TYPE_CHECKING:
    from mtctl.review.proposals import Proposal

#: Sky blue and white: neither in the heatmap, nor grey or red as the outline; told apart by the colour-blind too.
_SEGMENTS = {"added": ("Would be added", (0.35, 0.75, 1.0)), "removed": ("Would be taken away", (1.0, 1.0, 1.0))}


def paintable_node(nodes: CaseNodes, allowed: Mask) -> Node:
    """Return a volume node that is 1 where painting is allowed and 0 elsewhere.

    For the editor's intensity mask with a range of 1 to 2: whole numbers are compared with the range as whole numbers,
    so that 0.5 would be 0 and allow everything, and the editor replaces a range of equal ends by one of its own.

    For a region; for a threshold `nodes.heatmap` will do. One node a case, filled anew by every call. It is no part of
    saved scenes, but selectors know it, since the editor's own does not take hidden nodes.

    Args:
        nodes: The case.
        allowed: bool (z, y, x) on the scan's grid. Its memory is taken over: do not write to it any more.

    Raises:
        SceneError: The scan was deleted, or the mask is of another shape.
    """
    if not is_in_scene(nodes.scan):
        raise SceneError("The scan was deleted: close this case.")
    shape = nodes.scan.GetImageData().GetDimensions()[::-1]
    if allowed.shape != shape:
        raise SceneError(
            f"The mask has {allowed.shape} voxels, the scan {shape} (z, y, x): they do not belong together."
        )
    volume = part_of(nodes.scene, nodes.scan, "paintable")
    made = volume is None
    if made:
        volume = slicer.vtkMRMLScalarVolumeNode()
        volume.SetName(f"{nodes.scan.GetName()}: where painting is allowed")
        volume.SetSaveWithScene(False)
        volume.SetUndoEnabled(False)
    set_voxels(volume, np.ascontiguousarray(allowed, dtype=bool).view(np.uint8), nodes.scan)
    return add_part(nodes.scene, nodes.scan, volume, "paintable") if made else volume


def show_preview(nodes: CaseNodes, proposal: Proposal) -> CaseNodes:
    """Show what a proposal would add and take away; replaces the preview before. The segmentation is not touched.

    It lives in a segmentation node of its own that is hidden from selectors, from undo and from saved scenes.

    Returns:
        The nodes with `preview`.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    before = mask_of(nodes)
    after = before.copy()
    after[proposal.box] = proposal.mask
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
