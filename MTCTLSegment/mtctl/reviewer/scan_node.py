"""A scan as a node of the scene: its voxels, where they lie, and grey values as a radiologist would set them."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from mtctl.geometry import Geometry, Volume

#: Share of the voxels that may be black or white: noise and fat need no shades.
_CLIPPED = (0.005, 0.995)


def add_scan(scene: Any, volume: Volume, name: str) -> Any:
    """Add a vtkMRMLScalarVolumeNode with its display.

    Args:
        scene: The vtkMRMLScene.
        volume: The scan; its array is shared with the node where it is float32 in one piece, and must not change.
        name: Of the node.
    """
    array = np.ascontiguousarray(volume.array, dtype=np.float32)
    image = vtkImageData()
    image.SetDimensions(*volume.geometry.size)
    scalars = numpy_to_vtk(array.reshape(-1))
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    node.SetIJKToRASMatrix(_index_to_ras(volume.geometry))
    node.SetAndObserveImageData(image)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(*_grey_range(array))
    return node


def _grey_range(array: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.quantile(array.reshape(-1)[:: max(1, array.size // 200_000)], _CLIPPED).tolist()
    return low, high if high > low else low + 1.0


def _index_to_ras(geometry: Geometry) -> Any:
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.matrix * geometry.spacing
    matrix[:3, 3] = geometry.origin
    matrix[:2] *= -1  # LPS to RAS
    result = vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            result.SetElement(row, column, matrix[row, column])
    return result
