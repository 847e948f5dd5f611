"""A scan, and a segmentation that a person vouches for, as nodes: what is in a file or store, put into a scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtk import vtkImageData
from vtk.util.numpy_support import numpy_to_vtk

from mtctl.geometry import Mask, Volume
from mtctl.scene.displays import draw_as_outline
from mtctl.scene.nodes import SEGMENT_ID
from mtctl.scene.segments import add_segment, set_segment
from mtctl.scene.types import Node, Scene
from mtctl.scene.volume_nodes import copy_transform, set_grid

#: Fraction of the voxels that may be black or white: noise and fat need no shades.
_CLIPPED = (0.005, 0.995)


def add_scan(scene: Scene, volume: Volume, name: str, attributes: Mapping[str, str] | None = None) -> Node:
    """Add a vtkMRMLScalarVolumeNode with its display, on exactly the grid of the volume.

    Args:
        scene: The vtkMRMLScene.
        volume: The scan; its array is shared with the node where it is float32 in one piece, and must not change.
        name: Of the node.
        attributes: Of the node; they are there before anybody sees it.
    """
    array = np.ascontiguousarray(volume.array, dtype=np.float32)
    image = vtkImageData()
    image.SetDimensions(*volume.geometry.size)
    scalars: Any = numpy_to_vtk(array.reshape(-1))
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    set_grid(node, volume.geometry)
    node.SetAndObserveImageData(image)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(*_grey_range(array))
    return node


def add_label(scene: Scene, scan: Node, mask: Mask, name: str, attributes: Mapping[str, str] | None = None) -> Node:
    """Add a mask (z, y, x) that was not made here as a vtkMRMLSegmentationNode with one segment, SEGMENT_ID.

    It is no part of the scan's case: `review_segmentation` reviews it as somebody else's.

    Args: See `add_scan`.
    """
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(name)
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    node = scene.AddNode(node)
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    copy_transform(node, scan)
    draw_as_outline(node)
    add_segment(node, SEGMENT_ID, "Left atrium")
    set_segment(node, SEGMENT_ID, mask, scan)
    return node


def _grey_range(array: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.quantile(array.reshape(-1)[:: max(1, array.size // 200_000)], _CLIPPED).tolist()
    return low, high if high > low else low + 1.0
