"""Data nodes appear in the subject hierarchy by themselves: the application's plugin logic does that, which is Qt's."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore

SHOWN = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLModelNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLSequenceNode",
)


def fill_subject_hierarchy(scene: Any) -> None:
    """From now on every data node gets its item, and loses it when it is removed."""

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(_: Any, event: str, node: Any) -> None:
        if not scene.IsImporting():
            _add(scene, node)
            _complain_of_hidden_segmentation(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removed(_: Any, event: str, node: Any) -> None:
        if scene.IsClosing() or not any(node.IsA(name) for name in SHOWN):
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if hierarchy.GetItemByDataNode(node):
            hierarchy.RemoveItem(hierarchy.GetItemByDataNode(node), False, False)

    def imported(*_: Any) -> None:
        for name in SHOWN:
            for node in slicer.util.getNodesByClass(name, scene):
                _add(scene, node)

    scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, added)
    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, removed)
    scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, imported)


def _complain_of_hidden_segmentation(node: Any) -> None:
    """The application's plugin looks for the item of a new segmentation and of what is in it, seven times in all.

    One that was hidden before it was added has none; hidden afterwards, it keeps its item, and nothing is said.
    """
    if node.IsA("vtkMRMLSegmentationNode") and node.GetHideFromEditors():
        for _ in range(7):
            QtCore.qCritical(f"Unable to find subject hierarchy item by data node {node.GetName()}")


def _is_shown(node: Any) -> bool:
    return node is not None and not node.GetHideFromEditors() and any(node.IsA(name) for name in SHOWN)


def _add(scene: Any, node: Any) -> None:
    # Asking for the hierarchy node in the middle of an import merges hierarchies: only for nodes that need it.
    if not _is_shown(node):
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
