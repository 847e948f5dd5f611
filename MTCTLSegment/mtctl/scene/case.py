"""What a segmentation found, as the nodes of a case: made, updated and removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from mtctl.geometry import Geometry, Mask, same_place
from mtctl.inference.result import Result
from mtctl.scene.displays import (
    draw_as_heatmap,
    draw_as_outline,
    draw_in_grey,
    has_display,
)
from mtctl.scene.nodes import (
    ROLE,
    SEGMENT_ID,
    CaseNodes,
    SceneError,
    add_part,
    find_case,
    is_in_scene,
    nodes_with_role,
    parts_of,
)
from mtctl.scene.record import load_mask, store_document, store_mask
from mtctl.scene.reviewed_segment import update_heatmap
from mtctl.scene.segments import add_segment, segment_mask, set_segment
from mtctl.scene.slice_layers import hide_layers
from mtctl.scene.spacing import clear_old_spacing
from mtctl.scene.subject_hierarchy import put_in_folder, remove_folder, remove_item
from mtctl.scene.types import Node, Scene
from mtctl.scene.volume_nodes import copy_transform, set_voxels, volume_of
from mtctl.uncertainty.kinds import NAMES


def show_result(
    scene: Scene, scan: Node, result: Result, save_for_undo: Callable[[], None] = lambda: None
) -> CaseNodes:
    """Turn the result of a segmentation into nodes, or update those of the same scan.

    Running again replaces maps and segment in place. A segment that was edited since (or in any way is not as it was
    predicted) is first copied to a backup segment beside it, hidden, "Left atrium before 06:12 (1)".

    Does not change slice views (`show_layers`) and makes no surface (`set_surface_visible`), which take longer.

    Args:
        scene: The scene of `scan`.
        scan: What was segmented.
        result: On the grid of `volume_of(scan)`. The nodes take over its maps' memory: do not write to them any more.
        save_for_undo: Called once right before the segmentation changes; hand in the Segment Editor's
            `saveStateForUndo`, and this is one step of its history. Not called for a first result.

    Raises:
        SceneError: The scan was moved, replaced or taken out of the scene since it was handed to the worker.
    """
    _check_grid(scan, result.geometry)
    parts = {role: node for role, node in _by_role(find_case(scene, scan)).items() if is_in_scene(node)}
    name = scan.GetName()

    def volume(role: str, array: NDArray[np.float32], label: str, kind: str | None = None) -> Node:
        node = parts.get(kind or role)
        if node is None:
            node = slicer.vtkMRMLScalarVolumeNode()
            node.SetName(f"{name}: {label}")
            set_voxels(node, array, scan)
            return add_part(scene, scan, node, role, kind)
        set_voxels(node, array, scan)
        return node

    record = parts.get("record") or _new_record(scene, scan)
    threshold = float(result.report.get("threshold", 0.5))
    for kind in [kind for kind in NAMES if kind in result.maps]:
        array = result.maps[kind]
        node = volume("uncertainty", array, kind.replace("_", " "), kind)
        if not has_display(node):
            draw_as_heatmap(scene, node, _threshold_like(result.maps.get("entropy", array), threshold, array))
    for role, low in (("distance", -1.0), ("probability", 0.0)):
        if role in result.maps:  # the browser reviewer shows none of them
            draw_in_grey(scene, volume(role, result.maps[role], f"{role} map"), low, 1.0)
    _show_segmentation(scene, scan, parts.get("segmentation"), record, result.segmentation != 0, save_for_undo)
    nodes = _found(scene, scan)
    store_document(nodes, "report", result.report)
    clear_old_spacing(record)
    put_in_folder(scene, scan, parts_of(nodes))
    return update_heatmap(_found(scene, scan))


def close_case(nodes: CaseNodes) -> None:
    """Remove everything that was made for the case, and give the slice views back what they showed before.

    The scan and somebody else's segmentation stay. Nodes that are gone already, also the scan, do no harm.
    """
    hide_layers(nodes)
    for node in parts_of(nodes):
        remove_item(nodes.scene, node)
        # MRML leaves what belongs to a node behind.
        for owned in [*_owned(node, "Display"), *_owned(node, "Storage"), node]:
            nodes.scene.RemoveNode(owned)
    remove_folder(nodes.scene, nodes.folder)
    if not any(node.GetAttribute(ROLE) != "colors" for node in nodes_with_role(nodes.scene)):
        for table in list(nodes_with_role(nodes.scene)):
            nodes.scene.RemoveNode(table)


def _check_grid(scan: Node, wanted: Geometry) -> None:
    if not is_in_scene(scan):
        raise SceneError("The scan was deleted while it was segmented: load it again.")
    if not same_place(volume_of(scan).geometry, wanted):
        raise SceneError(
            f"'{scan.GetName()}' was moved or replaced while it was segmented, so that the result does not fit it any "
            "more: segment it again."
        )


def _owned(node: Node, what: str) -> list[Node]:
    if not hasattr(node, f"GetNumberOf{what}Nodes"):
        return []
    count = getattr(node, f"GetNumberOf{what}Nodes")()
    return [each for each in (getattr(node, f"GetNth{what}Node")(index) for index in range(count)) if is_in_scene(each)]


def _by_role(nodes: CaseNodes | None) -> dict[str, Node | None]:
    if nodes is None:
        return {}
    single = ("segmentation", "distance", "probability", "record")
    return {**nodes.uncertainty, **{role: getattr(nodes, role) for role in single}}


def _found(scene: Scene, scan: Node) -> CaseNodes:
    nodes = find_case(scene, scan)
    assert nodes is not None
    return nodes


def _new_record(scene: Scene, scan: Node) -> Node:
    record = slicer.vtkMRMLScriptedModuleNode()
    record.SetName(f"{scan.GetName()}: record")
    record = add_part(scene, scan, record, "record")
    record.SetHideFromEditors(True)
    return record


def _threshold_like(known: NDArray[np.float32], threshold: float, other: NDArray[np.float32]) -> float:
    """Return the threshold at which `other` shows as many voxels as `known` does at its threshold."""
    if other is known:
        return threshold
    every_eighth = (slice(None, None, 2),) * 3  # will do for where a slider starts
    count = int(np.count_nonzero(known[every_eighth] >= threshold))
    values = other[every_eighth]
    values = values[values > 0]
    count = min(count, values.size)
    return float(np.partition(values, values.size - count)[values.size - count]) if count else threshold


def _show_segmentation(
    scene: Scene, scan: Node, node: Node | None, record: Node, mask: Mask, save_for_undo: Callable[[], None]
) -> None:
    """Write the prediction into its segment, after a copy of what was edited there."""
    predicted = load_mask(record, "prediction")
    if node is None:
        node = slicer.vtkMRMLSegmentationNode()
        node.SetName(f"{scan.GetName()}: left atrium")
        node = add_part(scene, scan, node, "segmentation")
        node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    copy_transform(node, scan)
    draw_as_outline(node)
    if node.GetSegmentation().GetSegment(SEGMENT_ID) is None:
        if node.GetSegmentation().GetNumberOfSegments():
            save_for_undo()
        add_segment(node, SEGMENT_ID, "Left atrium")
        set_segment(node, SEGMENT_ID, mask, scan)
    else:
        current = segment_mask(node, SEGMENT_ID, scan)
        if not np.array_equal(current, mask):
            save_for_undo()
            edited = current.any() and (predicted is None or not np.array_equal(current, predicted))
            if edited:
                _back_up(node)
            set_segment(node, SEGMENT_ID, mask, scan)
    store_mask(record, "prediction", mask)


def _back_up(segmentation: Node) -> None:
    ours = segmentation.GetSegmentation()
    copy: Any = slicer.vtkSegment()
    copy.DeepCopy(ours.GetSegment(SEGMENT_ID))
    number = sum(ours.GetNthSegmentID(index).startswith("Backup") for index in range(ours.GetNumberOfSegments())) + 1
    copy.SetName(f"{copy.GetName()} before {time.strftime('%H:%M')} ({number})")
    backup = ours.GenerateUniqueSegmentID(f"Backup{number}")
    ours.AddSegment(copy, backup)
    segmentation.GetDisplayNode().SetSegmentVisibility(backup, False)
