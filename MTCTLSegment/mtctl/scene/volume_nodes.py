"""Where voxels lie, in MRML's RAS and in our LPS; voxels in and out of volume nodes; what goes where the scan goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from mtctl.geometry import Geometry, Volume
from mtctl.scene.nodes import CaseNodes, SceneError, is_in_scene
from mtctl.scene.types import Node

Matrix = NDArray[np.float64]

#: LPS to RAS and back.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def volume_of(scan: Node) -> Volume:
    """Return the voxels of a scalar volume node and where they lie in the patient, as the views show them.

    A linear transform that the scan is under counts: the grid is the moved one, and what `show_result` makes is put
    under the same transform, so that it stays on the scan when the transform changes (and after another move of the
    scan comes after it as soon as masks, maps or layers are asked for: `follow_scan`).

    Returns:
        A copy-free view of the node's voxels (z, y, x) as they are (any type): do not write to it.

    Raises:
        SceneError: The node has no voxels, more than one value a voxel, or is under a warping transform.
        VolumeError: Its axes are not at right angles, with its transform.
    """
    return Volume(voxels_of(scan), geometry_of(scan))


def voxels_of(volume: Node) -> NDArray[Any]:
    """Return the voxels (z, y, x) of a volume node, not copied.

    Raises:
        SceneError: There are none, or more than one value a voxel.
    """
    image = volume.GetImageData()
    scalars = None if image is None else image.GetPointData().GetScalars()
    if scalars is None or not scalars.GetNumberOfTuples():
        raise SceneError(f"'{volume.GetName()}' has no voxels: load the scan again.")
    if scalars.GetNumberOfComponents() != 1:
        raise SceneError(
            f"'{volume.GetName()}' has {scalars.GetNumberOfComponents()} values a voxel (a colour or vector volume): "
            "choose a scan with one grey value a voxel."
        )
    return vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])


def geometry_of(volume: Node) -> Geometry:
    """Return the grid of a volume node in the patient, in LPS.

    Raises:
        SceneError: It is under a warping transform.
        VolumeError: Its axes are not at right angles, with its transform.
    """
    moved = transform_to_world(volume)
    size = volume.GetImageData().GetDimensions()
    if np.array_equal(moved, np.eye(4)):  # to the last digit what the file says, without a detour over a matrix
        directions = vtk.vtkMatrix4x4()
        volume.GetIJKToRASDirectionMatrix(directions)
        columns, spacing, origin = array_of(directions), volume.GetSpacing(), np.array([*volume.GetOrigin(), 1.0])
    else:
        matrix = moved @ index_to_ras(volume)
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
        columns, spacing, origin = matrix / np.append(lengths, 1.0), tuple(lengths.tolist()), matrix[:, 3]
    x, y, z = (FLIP @ origin)[:3].tolist()
    direction = (FLIP @ columns)[:3, :3] + 0.0  # turns the -0.0 of the flip into 0.0
    return Geometry(size, spacing, (x + 0.0, y + 0.0, z + 0.0), tuple(direction.ravel().tolist()))


def index_to_ras(volume: Node) -> Matrix:
    """Return the 4x4 matrix from voxel indices i, j, k of a volume node to its own RAS, before its transform."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return array_of(matrix)


def transform_to_world(node: Node) -> Matrix:
    """Return the 4x4 matrix from a node's own RAS to that of the patient: the transform that it is under.

    Raises:
        SceneError: The transform is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise SceneError(
            f"'{node.GetName()}' is under the warping transform '{transform.GetName()}': harden the transform, or take "
            "it away, first."
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return array_of(matrix)


def set_voxels(volume: Node, array: NDArray[Any], scan: Node) -> None:
    """Fill a volume node with an array (z, y, x) on the grid of the scan, and put it under the scan's transform.

    The array is not copied (five maps of a full-field scan are 700 MB): VTK keeps it alive as long as it needs it.
    """
    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel()))
    was_modified = volume.StartModify()
    copy_grid(volume, scan)
    copy_transform(volume, scan)
    volume.SetAndObserveImageData(image)
    volume.EndModify(was_modified)


def set_grid(volume: Node, geometry: Geometry) -> None:
    """Put a volume node on a grid, exactly: a matrix times the spacing would lose the last digits."""
    directions = np.eye(4)
    directions[:3, :3] = FLIP[:3, :3] @ geometry.matrix
    volume.SetIJKToRASDirectionMatrix(matrix_of(directions))
    volume.SetSpacing(geometry.spacing)
    volume.SetOrigin((FLIP[:3, :3] @ geometry.origin).tolist())


def copy_grid(volume: Node, scan: Node) -> None:
    """Copy spacing, origin and directions exactly; CopyOrientation, by way of a product, loses the last digits."""
    directions = vtk.vtkMatrix4x4()
    scan.GetIJKToRASDirectionMatrix(directions)
    volume.SetIJKToRASDirectionMatrix(directions)
    volume.SetSpacing(scan.GetSpacing())
    volume.SetOrigin(scan.GetOrigin())


def copy_transform(node: Node, scan: Node) -> None:
    """Put a node under the transform that the scan is under."""
    if node.GetTransformNodeID() != scan.GetTransformNodeID():
        node.SetAndObserveTransformNodeID(scan.GetTransformNodeID())


def follow_scan(nodes: CaseNodes) -> None:
    """Put maps, segmentation, surface and preview back onto the scan after it was moved.

    That is: put under another transform, taken out of one, or the transform hardened. Nothing happens otherwise; a
    segmentation that a person has moved by itself, and somebody else's, stay where they are.
    """
    volumes = [*nodes.uncertainty.values(), nodes.heatmap, nodes.distance, nodes.probability]
    volumes = [volume for volume in volumes if is_in_scene(volume)]
    if not volumes or not is_in_scene(nodes.scan):
        return
    before, after = index_to_ras(volumes[0]), index_to_ras(nodes.scan)
    transforms = volumes[0].GetTransformNodeID(), nodes.scan.GetTransformNodeID()
    if transforms[0] == transforms[1] and np.array_equal(before, after):
        return
    for volume in volumes:
        was_modified = volume.StartModify()
        copy_grid(volume, nodes.scan)
        copy_transform(volume, nodes.scan)
        volume.EndModify(was_modified)
    for node in (nodes.segmentation, nodes.preview, nodes.surface):
        if is_in_scene(node) and node.GetTransformNodeID() == transforms[0]:
            if not np.array_equal(before, after):
                node.ApplyTransformMatrix(matrix_of(after @ np.linalg.inv(before)))
            copy_transform(node, nodes.scan)


def labelmap(mask: NDArray[Any], start: tuple[int, int, int], matrix: Matrix) -> Any:
    """Return a copy of a mask (z, y, x) as vtkOrientedImageData.

    Args:
        mask: 0 outside.
        start: Index x, y, z of its first voxel.
        matrix: 4x4, from indices to RAS.
    """
    image = slicer.vtkOrientedImageData()
    ends = [first + count - 1 for first, count in zip(start, mask.shape[::-1], strict=True)]
    image.SetExtent(start[0], ends[0], start[1], ends[1], start[2], ends[2])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(mask, dtype=np.uint8).ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(matrix_of(matrix))
    return image


def array_of(matrix: Any) -> Matrix:
    """Return a vtkMatrix4x4 as an array (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrix_of(array: Matrix) -> Any:
    """Return an array (4, 4) as a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(array.ravel().tolist())
    return matrix
