"""Which segmentation is reviewed against which uncertainty, and what a review lacks."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from mtctl.review.case_maps import CaseMaps
from mtctl.scene.displays import draw_as_heatmap, show_legend
from mtctl.scene.nodes import (
    SEGMENT_ID,
    CaseNodes,
    SceneError,
    add_part,
    find_case,
    is_foreign,
    is_in_scene,
    remember_kind,
    remember_reviewed,
)
from mtctl.scene.record import load_mask, remove_mask, store_mask
from mtctl.scene.segments import add_segment, fits, segment_mask, set_segment
from mtctl.scene.slice_layers import swap_heatmap
from mtctl.scene.types import Node
from mtctl.scene.volume_nodes import follow_scan, geometry_of, set_voxels, voxels_of

_COPY_OF = "MTCTL.CopyOf"  # tag of a copied segment: the original's node and segment id
_START = "start"  # of the review of somebody else's segmentation


def case_maps(nodes: CaseNodes, kind: str | None = None) -> CaseMaps:
    """Return what a `ReviewSession` reviews: the prediction as it was made, not as edited since.

    For somebody else's segmentation (`review_segmentation`): that as it was when its review began.

    Args:
        nodes: The case.
        kind: Of uncertainty; None for the one that is shown.

    Raises:
        SceneError: Something that is needed was deleted; the message is that of `missing`.
    """
    lacking = missing(nodes)
    if lacking is not None:
        raise SceneError(lacking)
    follow_scan(nodes)
    kind = nodes.kind if kind is None else kind
    _check_kind(nodes, kind)
    prediction, start = load_mask(nodes.record, "prediction"), load_mask(nodes.record, _START)
    assert prediction is not None and nodes.probability is not None
    maps = CaseMaps(
        segmentation=prediction,
        uncertainty=voxels_of(nodes.uncertainty[kind]),
        probability=voxels_of(nodes.probability),
        geometry=geometry_of(nodes.scan),
    )
    return maps if start is None else maps.reviewing(start)


def missing(nodes: CaseNodes) -> str | None:
    """Say what a review of this case lacks because somebody deleted it, and what to do; None where nothing is."""
    if not is_in_scene(nodes.scan):
        return "The scan was deleted: close this case."
    names = {
        "record of the prediction": nodes.record if load_mask(nodes.record, "prediction") is not None else None,
        "uncertainty map": nodes.heatmap,
        "distance map": nodes.distance,
        "probability map": nodes.probability,
    }
    gone = [name for name, node in names.items() if not is_in_scene(node)]
    if not is_in_scene(nodes.reviewed):
        gone.insert(0, "segmentation under review" if is_foreign(nodes.record) else "segmentation")
    elif nodes.reviewed.GetSegmentation().GetSegment(nodes.segment_id) is None:
        gone.insert(0, "reviewed segment")
    if not gone:
        return None
    listed = " and ".join(filter(None, [", ".join(gone[:-1]), gone[-1]]))
    verb = "was" if len(gone) == 1 else "were"
    remedy = "choose the segmentation to review" if gone == ["segmentation under review"] else "segment the scan again"
    return f"The {listed} of '{nodes.scan.GetName()}' {verb} deleted: {remedy}."


def review_segmentation(nodes: CaseNodes, segmentation: Node, segment_id: str) -> CaseNodes:
    """Review a segment that exists already; for the prediction again: `nodes.segmentation` and SEGMENT_ID.

    A segment on the scan's grid (any extent) is reviewed and edited in place. One on another grid, or under another
    transform, is copied to the scan's grid as a new segment of `nodes.segmentation`, which is then reviewed: the
    original stays as it is. Chosen again, it is that copy, with what was edited there, that is reviewed. As it is now
    it is kept as the start of the review (`case_maps`).

    Returns:
        The nodes with `reviewed`, `segment_id` and `heatmap` as they are then.

    Raises:
        SceneError: There is no such segment, it is empty on the scan's grid, or something of the case was deleted.
    """
    segment = segmentation.GetSegmentation().GetSegment(segment_id) if is_in_scene(segmentation) else None
    if segment is None:
        raise SceneError("The segment to review is not there any more: choose another one.")
    if not is_in_scene(nodes.record) or not is_in_scene(nodes.segmentation):
        raise SceneError(missing(nodes) or f"The segmentation of '{nodes.scan.GetName()}' was deleted: segment again.")
    if segmentation is nodes.segmentation and segment_id == SEGMENT_ID:
        remove_mask(nodes.record, _START)
        remember_reviewed(nodes, None, SEGMENT_ID)
        return update_heatmap(nodes)
    mask = segment_mask(segmentation, segment_id, nodes.scan)
    if not mask.any():
        raise SceneError(
            f"Segment '{segment.GetName()}' of '{segmentation.GetName()}' holds no voxel of '{nodes.scan.GetName()}': "
            "choose a segment of this scan."
        )
    if not fits(segmentation, segment_id, nodes.scan):
        ours, origin = nodes.segmentation.GetSegmentation(), f"{segmentation.GetID()} {segment_id}"
        segmentation, copied = nodes.segmentation, _copy_of(origin, ours)
        segment_id = copied or segment_id
        if copied is None:
            segment_id = ours.GenerateUniqueSegmentID("Copy")
            add_segment(segmentation, segment_id, f"{segment.GetName()} (copy)")
            ours.GetSegment(segment_id).SetTag(_COPY_OF, origin)
            set_segment(segmentation, segment_id, mask, nodes.scan)
        elif nodes.reviewed is segmentation and nodes.segment_id == segment_id:
            return update_heatmap(nodes)
        else:
            mask = segment_mask(segmentation, segment_id, nodes.scan)
    store_mask(nodes.record, _START, mask)
    remember_reviewed(nodes, None if segmentation is nodes.segmentation else segmentation, segment_id)
    return update_heatmap(nodes)


def show_kind(nodes: CaseNodes, kind: str) -> CaseNodes:
    """Show another kind of uncertainty, with its own threshold.

    Returns:
        The nodes with `heatmap` and `kind` as they are then.

    Raises:
        SceneError: The case has no map of that kind.
    """
    _check_kind(nodes, kind)
    shown = _updated(nodes)
    remember_kind(nodes, kind)
    return shown if shown.kind == kind and is_in_scene(shown.heatmap) else update_heatmap(nodes)


def update_heatmap(nodes: CaseNodes) -> CaseNodes:
    """Show the uncertainty of the chosen kind, with the differences where another segmentation is reviewed."""
    nodes = _updated(nodes)
    differences = next((node for node in [nodes.heatmap] if node not in nodes.uncertainty.values()), None)
    start = load_mask(nodes.record, _START)
    if start is None and differences is not None:
        nodes.scene.RemoveNode(differences)
        nodes = _updated(nodes)
    elif start is not None:
        if differences is None:
            volume = slicer.vtkMRMLScalarVolumeNode()
            volume.SetName(f"{nodes.scan.GetName()}: uncertainty and differences")
            differences = add_part(nodes.scene, nodes.scan, volume, "differences")
        set_voxels(differences, case_maps(nodes).uncertainty, nodes.scan)
        threshold = nodes.uncertainty[nodes.kind].GetDisplayNode().GetLowerThreshold()
        draw_as_heatmap(nodes.scene, differences, threshold)
        nodes = _updated(nodes)
    swap_heatmap(nodes)
    if is_in_scene(nodes.legend):
        views = [nodes.scene.GetNodeByID(view) for view in nodes.legend.GetViewNodeIDs()]
        visible = nodes.legend.GetVisibility()
        show_legend(nodes, [view for view in views if view is not None]).SetVisibility(visible)
        nodes = _updated(nodes)
    return nodes


def _updated(nodes: CaseNodes) -> CaseNodes:
    """Return the nodes of the same case as they are now."""
    return find_case(nodes.scene, nodes.scan) or nodes


def _copy_of(origin: str, segmentation: Any) -> str | None:
    """Return the id of the segment that was copied from `origin`; None where there is none."""
    for segment_id in segmentation.GetSegmentIDs():
        tag = vtk.reference("")
        if segmentation.GetSegment(segment_id).GetTag(_COPY_OF, tag) and str(tag) == origin:
            return str(segment_id)
    return None


def _check_kind(nodes: CaseNodes, kind: str) -> None:
    if kind not in nodes.uncertainty:
        there = ", ".join(nodes.uncertainty) or "none"
        raise SceneError(f"'{nodes.scan.GetName()}' has no {kind} map (it has: {there}): segment the scan again.")
