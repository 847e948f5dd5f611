"""Transforms, somebody else's segmentation, and where the voxels of a segment lie, in a scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-mtctl[slicer]")

import vtk  # noqa: E402
from support.scene_example import rotation  # noqa: E402

from mtctl import scene  # noqa: E402
from mtctl.scene.segments import set_segment  # noqa: E402


def transform(world: Any, matrix: np.ndarray) -> Any:
    node = world.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    vtk_matrix = vtk.vtkMatrix4x4()
    vtk_matrix.DeepCopy(matrix.ravel().tolist())
    node.SetMatrixTransformToParent(vtk_matrix)
    return node


def moving(angle: float = 20.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(angle, -7, 33)
    matrix[:3, 3] = 12.5, -40, 7.25
    return matrix


def segments_in_patient(nodes: scene.CaseNodes, segment_id: str = scene.SEGMENT_ID) -> np.ndarray:
    """LPS positions of a segment's voxels, by MRML's own export."""
    image = slicer.vtkOrientedImageData()
    assert nodes.segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    values = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    matrix, points = vtk.vtkMatrix4x4(), []
    image.GetImageToWorldMatrix(matrix)
    parent = vtk.vtkMatrix4x4()
    if nodes.segmentation.GetParentTransformNode():
        nodes.segmentation.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    dimensions, extent = image.GetDimensions(), image.GetExtent()
    for flat in np.flatnonzero(values):
        z, y, x = np.unravel_index(flat, dimensions[::-1])
        ras = matrix.MultiplyPoint((x + extent[0], y + extent[2], z + extent[4], 1.0))
        ras = parent.MultiplyPoint(ras)
        points.append((-ras[0], -ras[1], ras[2]))
    return np.array(sorted(np.round(points, 4).tolist()))


def other_segmentation(world: Any, scan: Any, mask: np.ndarray, name: str = "by hand") -> Any:
    """Somebody else's segmentation, on the grid of the scan."""
    node = world.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    node.CreateDefaultDisplayNodes()
    node.GetSegmentation().AddEmptySegment("drawn", "drawn")
    set_segment(node, "drawn", mask, scan)
    return node
