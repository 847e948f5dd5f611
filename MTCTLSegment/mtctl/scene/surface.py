"""The segmentation's surface in 3-D: plain, or coloured by the uncertainty to either side of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from mtctl.scene.displays import heatmap_table
from mtctl.scene.nodes import CaseNodes, SceneError, add_part, is_in_scene, part_of
from mtctl.scene.segments import reviewed_in
from mtctl.scene.types import Node
from mtctl.scene.volume_nodes import copy_transform, index_to_ras, transform_to_world, voxels_of

#: The surface runs where the network is undecided, so that the uncertainty at its points is high everywhere. How far
#: it is high to either side tells a sharp border from a doubtful one: the mean over so many mm along the normal.
DEPTH_MM = 3.0
_SAMPLES = 7

_ARRAY = "Uncertainty"


def set_surface_visible(nodes: CaseNodes, visible: bool) -> None:
    """Show or hide the smoothed surface of the reviewed segmentation in 3-D; the first time takes 0.1 to 0.8 s."""
    surface = part_of(nodes.scene, nodes.scan, "surface") if is_in_scene(nodes.scan) else nodes.surface
    if is_in_scene(surface):
        surface.GetDisplayNode().SetVisibility(False)
    if not is_in_scene(nodes.reviewed):
        return
    if not visible:
        _hide_plain(nodes, nodes.reviewed)
        return
    nodes.reviewed.CreateClosedSurfaceRepresentation()
    if nodes.reviewed.GetDisplayNode() is not None:
        nodes.reviewed.GetDisplayNode().SetVisibility3D(True)


def color_surface(nodes: CaseNodes) -> Node:
    """Show the surface coloured by uncertainty in 3-D in place of the plain one; call again after the mask changed.

    The colour is the mean uncertainty within DEPTH_MM to either side of the surface.

    `set_surface_visible` goes back to the plain one, or to none.

    Returns:
        vtkMRMLModelNode with the uncertainty at its points.

    Raises:
        SceneError: Segment or heatmap was deleted, or the segment is empty.
    """
    reviewed = reviewed_in(nodes)
    if not is_in_scene(nodes.heatmap):
        raise SceneError("The uncertainty map was deleted: segment the scan again.")
    surface = vtk.vtkPolyData()
    slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentClosedSurfaceRepresentation(
        reviewed, nodes.segment_id, surface, False
    )
    if not surface.GetNumberOfPoints():
        raise SceneError("The segment under review is empty: there is no surface to show.")
    surface = _with_normals(surface)
    values = numpy_to_vtk(_uncertainty_across(nodes, surface), deep=True)
    values.SetName(_ARRAY)
    surface.GetPointData().SetScalars(values)
    model = part_of(nodes.scene, nodes.scan, "surface") or _new_model(nodes)
    was_modified = model.StartModify()
    copy_transform(model, reviewed)
    model.SetAndObservePolyData(surface)
    model.EndModify(was_modified)
    _hide_plain(nodes, reviewed)
    model.GetDisplayNode().SetVisibility(True)
    return model


def _hide_plain(nodes: CaseNodes, segmentation: Node) -> None:
    ours = segmentation is nodes.segmentation
    if segmentation.GetDisplayNode() is not None:
        segmentation.GetDisplayNode().SetVisibility3D(False)
    if ours:  # else every stroke would make it anew, unseen, in 0.1 to 0.3 s
        segmentation.RemoveClosedSurfaceRepresentation()


def _new_model(nodes: CaseNodes) -> Node:
    model = slicer.vtkMRMLModelNode()
    model.SetName(f"{nodes.scan.GetName()}: uncertain surface")
    model = add_part(nodes.scene, nodes.scan, model, "surface")
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetAndObserveColorNodeID(heatmap_table(nodes.scene).GetID())
    display.SetActiveScalar(_ARRAY, vtk.vtkAssignAttribute.POINT_DATA)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(0.0, 1.0)
    display.SetScalarVisibility(True)
    display.SetVisibility2D(False)
    return model


def _with_normals(surface: Any) -> Any:
    if surface.GetPointData().GetNormals() is not None:
        return surface
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _uncertainty_across(nodes: CaseNodes, surface: Any) -> NDArray[np.float32]:
    """Return the mean uncertainty across the surface at each of its points."""
    from scipy.ndimage import map_coordinates  # A window imports this file before it is open.

    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    normals = vtk_to_numpy(surface.GetPointData().GetNormals()).astype(np.float64)
    to_index = np.linalg.inv(transform_to_world(nodes.heatmap) @ index_to_ras(nodes.heatmap)) @ transform_to_world(
        nodes.reviewed
    )
    total = np.zeros(len(points))
    for depth in np.linspace(-DEPTH_MM, DEPTH_MM, _SAMPLES):
        index = (points + depth * normals) @ to_index[:3, :3].T + to_index[:3, 3]
        total += map_coordinates(voxels_of(nodes.heatmap), index.T[::-1], order=1, mode="nearest")
    return (total / _SAMPLES).astype(np.float32)
