"""Where painting is allowed, as a volume that the Segment Editor can be tied to."""

from __future__ import annotations

import numpy as np
import slicer

from mtctl.evaluation.segmentation_metrics import Mask
from mtctl.scene.nodes import CaseNodes, Node, SceneError, add_part, is_there, part_of
from mtctl.scene.volume_nodes import set_voxels


def paintable_node(nodes: CaseNodes, allowed: Mask) -> Node:
    """A volume that is 1 where painting is allowed and 0 elsewhere.

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
    if not is_there(nodes.scan):
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
