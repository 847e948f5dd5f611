"""The subject hierarchy folder of a case; a scene need not have a subject hierarchy."""

from __future__ import annotations

from collections.abc import Iterable

from mtctl.scene.types import Node, Scene

_CASE = "MTCTL.Case"  # attribute of the folder's item


def put_in_folder(scene: Scene, scan: Node, parts: Iterable[Node]) -> None:
    """Put the visible nodes of a case into a folder beside the scan: in its study, where DICOM export looks for it.

    What a person has moved elsewhere stays there.
    """
    hierarchy = _hierarchy(scene)
    if hierarchy is None:
        return
    top = hierarchy.GetSceneItemID()
    beside = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(scan) or hierarchy.CreateItem(top, scan))
    parts = [node for node in parts if not node.GetHideFromEditors() and not node.IsA("vtkMRMLDisplayNode")]
    folder = folder_of(scene, parts)
    if folder is None:
        folder = hierarchy.CreateFolderItem(beside, f"{scan.GetName()}: left atrium")
        hierarchy.SetItemAttribute(folder, _CASE, "true")
    for node in parts:
        item = hierarchy.GetItemByDataNode(node)
        if not item:
            hierarchy.CreateItem(folder, node)
        elif hierarchy.GetItemParent(item) in (top, beside):  # where the application puts new nodes by itself
            hierarchy.SetItemParent(item, folder)


def folder_of(scene: Scene, parts: Iterable[Node]) -> int | None:
    """Return the folder item that the nodes of a case lie in; None where there is none."""
    hierarchy = _hierarchy(scene)
    if hierarchy is None:
        return None
    for node in parts:
        item = hierarchy.GetItemByDataNode(node)
        parent = hierarchy.GetItemParent(item) if item else 0
        if parent and hierarchy.GetItemAttribute(parent, _CASE):
            return int(parent)
    return None


def remove_item(scene: Scene, node: Node) -> None:
    """Remove the item of a node that is about to be deleted: the application does that by itself, others do not."""
    hierarchy = _hierarchy(scene)
    if hierarchy is not None and hierarchy.GetItemByDataNode(node):
        hierarchy.RemoveItem(hierarchy.GetItemByDataNode(node), False, True)


def remove_folder(scene: Scene, folder: int | None) -> None:
    """Remove the folder of a case, unless a person has put something else into it."""
    hierarchy = _hierarchy(scene)
    if hierarchy is not None and folder is not None and not hierarchy.GetNumberOfItemChildren(folder):
        hierarchy.RemoveItem(folder)


def _hierarchy(scene: Scene) -> Node | None:
    return scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
