"""The segment under review, as an array on the scan's grid and back, and segments that come from elsewhere."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from mtctl.geometry import Mask
from mtctl.io.segments import LEFT_ATRIUM
from mtctl.scene.nodes import CaseNodes, SceneError, is_in_scene
from mtctl.scene.types import Node
from mtctl.scene.volume_nodes import Matrix, array_of, follow_scan, index_to_ras, labelmap, transform_to_world

#: As in the figures: absent from the heatmap's colours and from grey.
SEGMENT_COLOR = (1.0, 0.3, 0.3)

#: A tag of the reviewed segment, see `set_replies_given`.
_REPLIES_GIVEN = "MTCTL.RepliesGiven"

#: Grids of one scan that went through different files differ by less, in voxels.
_SAME_VOXEL = 1e-3


def mask_of(nodes: CaseNodes) -> Mask:
    """Return the reviewed segment as it is now, bool (z, y, x) on the scan's grid, whatever its own extent is.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    return segment_mask(reviewed_in(nodes), nodes.segment_id, nodes.scan)


def set_mask(nodes: CaseNodes, mask: Mask) -> None:
    """Write the reviewed segment; for undo, save the editor's state before.

    Args:
        nodes: The case.
        mask: bool (z, y, x) on the scan's grid.

    Raises:
        SceneError: The segment, its node or the scan was deleted, or the shape is another one.
    """
    segmentation = reviewed_in(nodes)
    shape = nodes.scan.GetImageData().GetDimensions()[::-1]
    if mask.shape != shape:
        raise SceneError(f"The mask has {mask.shape} voxels, the scan {shape} (z, y, x): they do not belong together.")
    set_segment(segmentation, nodes.segment_id, mask, nodes.scan)


def set_replies_given(nodes: CaseNodes, number: int) -> None:
    """Note with the reviewed segment how many replies had been given when its voxels were as they are.

    Here Slicer's own undo and that of the replies meet. The history of the Segment Editor is the only one: a reply is a
    step of it (`saveStateForUndo`), also one that changes no voxel, and each step holds the segment's tags beside its
    voxels. So Z and Y go through strokes, kept places and answers in the order in which the person made them, and what
    comes back says itself which replies it had.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    _reviewed_segment(nodes).SetTag(_REPLIES_GIVEN, str(number))


def replies_given(nodes: CaseNodes) -> int | None:
    """Return what was noted by `set_replies_given`; None where nothing was.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    noted = vtk.reference("")
    found = _reviewed_segment(nodes).GetTag(_REPLIES_GIVEN, noted)
    return int(str(noted)) if found and re.fullmatch("[0-9]{1,9}", str(noted)) else None


def _reviewed_segment(nodes: CaseNodes) -> Any:
    return reviewed_in(nodes).GetSegmentation().GetSegment(nodes.segment_id)


def segment_mask(segmentation: Node, segment_id: str, scan: Node) -> Mask:
    """Return any segment as bool (z, y, x) on the scan's grid; where the grids differ, by the nearest voxel.

    Raises:
        SceneError: One of them is under a warping transform.
    """
    mask = np.zeros(scan.GetImageData().GetDimensions()[::-1], dtype=bool)
    if segmentation.GetSegmentation().GetSourceRepresentationName() != "Binary labelmap":
        image = slicer.vtkOrientedImageData()  # a surface, drawn by somebody else: made voxels, the node as it is
        if not slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentBinaryLabelmapRepresentation(
            segmentation, segment_id, image, 0
        ):
            return mask
        label = 1
    else:
        image = segmentation.GetBinaryLabelmapInternalRepresentation(segment_id)
        label = segmentation.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    if image is None or image.GetPointData().GetScalars() is None or not image.GetNumberOfPoints():
        return mask
    steps = steps_between(segmentation, image, scan)
    if not _is_whole(steps):
        image, label = _resampled(image, label, steps, mask.shape), 1
        steps = np.eye(4)
    extent = image.GetExtent()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) == label
    there, here = [], []
    for axis, count in zip((2, 1, 0), mask.shape, strict=True):
        first = extent[2 * axis] + round(steps[axis, 3])
        low, high = max(first, 0), min(first + extent[2 * axis + 1] - extent[2 * axis] + 1, count)
        here.append(slice(low, max(low, high)))
        there.append(slice(low - first, max(low, high) - first))
    mask[tuple(here)] = values[tuple(there)]
    return mask


def set_segment(segmentation: Node, segment_id: str, mask: Mask, scan: Node) -> None:
    """Write a mask (z, y, x) on the scan's grid into a segment.

    One whose voxels are others by now (a person gave the segmentation a finer grid, or moved it by itself) gets those
    of the scan; segments that share its voxels keep theirs.

    SegmentModified is fired as for a stroke of the Segment Editor.
    """
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    hit = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if not len(hit[0]):
        logic.ClearSegment(segmentation, segment_id)
        segment.Modified()
        return
    box = tuple(slice(int(each[0]), int(each[-1]) + 1) for each in hit)
    matrix, start = _grid_in(segmentation, scan), (box[2].start, box[1].start, box[0].start)
    image = segmentation.GetBinaryLabelmapInternalRepresentation(segment_id)
    if image is not None and image.GetPointData().GetScalars() is not None and image.GetNumberOfPoints():
        steps = steps_between(segmentation, image, scan)
        if _is_whole(steps):
            # It may count its voxels from another corner: keep to its own grid, or Slicer would resample the others.
            offset = np.rint(steps[:3, 3]).astype(int).tolist()
            start = (start[0] - offset[0], start[1] - offset[1], start[2] - offset[2])
            matrix = _matrix(image)
        else:
            segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)
    logic.SetBinaryLabelmapToSegment(labelmap(mask[box], start, matrix), segmentation, segment_id)
    segment.Modified()


def add_segment(segmentation: Node, segment_id: str, name: str) -> None:
    """Add an empty left atrium."""
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(*SEGMENT_COLOR)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), LEFT_ATRIUM)
    segmentation.GetSegmentation().AddSegment(segment, segment_id)


def reviewed_in(nodes: CaseNodes) -> Node:
    """Return the segmentation node under review, after it followed the scan.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    if not is_in_scene(nodes.scan):
        raise SceneError("The scan was deleted: close this case.")
    if not is_in_scene(nodes.reviewed) or nodes.reviewed.GetSegmentation().GetSegment(nodes.segment_id) is None:
        raise SceneError(
            f"The segmentation of '{nodes.scan.GetName()}' was deleted: choose another one, or segment the scan again."
        )
    follow_scan(nodes)
    return nodes.reviewed


def fits(segmentation: Node, segment_id: str, scan: Node) -> bool:
    """Return whether a segment can be edited in place: its voxels are the scan's, with no transform between."""
    if segmentation.GetSegmentation().GetSourceRepresentationName() != "Binary labelmap":
        return False
    image = segmentation.GetBinaryLabelmapInternalRepresentation(segment_id)
    return image is not None and _is_whole(steps_between(segmentation, image, scan))


def steps_between(segmentation: Node, image: Any, scan: Node) -> Matrix:
    """Return the 4x4 matrix from voxel indices of a segment's image to those of the scan.

    Raises:
        SceneError: One of them is under a warping transform.
    """
    ours = transform_to_world(scan) @ index_to_ras(scan)
    return np.asarray(np.linalg.inv(ours) @ transform_to_world(segmentation) @ _matrix(image), dtype=np.float64)


def _grid_in(segmentation: Node, scan: Node) -> Matrix:
    """Return the 4x4 matrix from voxel indices of the scan to the segmentation's own RAS, before its transform."""
    theirs, ours = transform_to_world(segmentation), transform_to_world(scan)
    if np.array_equal(theirs, ours):  # to the last digit
        return index_to_ras(scan)
    return np.asarray(np.linalg.inv(theirs) @ ours @ index_to_ras(scan), dtype=np.float64)


def _matrix(image: Any) -> Matrix:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return array_of(matrix)


def _is_whole(steps: Matrix) -> bool:
    """Return whether voxels fall on voxels, along the same axes."""
    wanted = np.eye(4)
    wanted[:3, 3] = np.rint(steps[:3, 3])
    off = np.abs(steps - wanted)
    # A difference of direction grows with the distance: a thousand voxels away it is still a quarter of a voxel.
    return bool(off[:, :3].max() * 1000 < 0.25 and off[:, 3].max() < _SAME_VOXEL)


def _resampled(image: Any, label: int, steps: Matrix, shape: tuple[int, ...]) -> Any:
    """Return a segment's image on the grid of the scan, in its indices, 1 inside."""
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) == label
    extent, out = image.GetExtent(), slicer.vtkOrientedImageData()
    source = labelmap(values, (extent[0], extent[2], extent[4]), steps)
    target = labelmap(np.zeros(shape, dtype=np.uint8), (0, 0, 0), np.eye(4))
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(source, target, out)
    return out
