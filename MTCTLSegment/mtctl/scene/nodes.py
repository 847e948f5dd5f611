"""The nodes of a case: how they are marked, and found again by their marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from mtctl.errors import MtctlError
from mtctl.scene.subject_hierarchy import folder_of
from mtctl.scene.types import Node, Scene
from mtctl.uncertainty.kinds import NAMES

#: Attribute of all nodes made here; its value is one of "segmentation", "uncertainty", "differences", "distance",
#: "probability", "surface", "preview", "legend", "record", "colors"; scenes of earlier versions hold "regions", too. A
#: scan selector leaves out the volumes that have it.
ROLE = "MTCTL.Role"

#: Attributes of a scan that was opened from a case store: the case's id, the folder of the store, and the number of the
#: record (prediction, draft or decision) that was the case's last. Accepting it adds a version to that case.
CASE, CASE_STORE, CASE_RECORD = "MTCTL.Case", "MTCTL.CaseStore", "MTCTL.CaseRecord"

#: Id of the segment that holds the prediction, in our segmentation; the same as in a written .seg.nrrd.
SEGMENT_ID = "LeftAtrium"

_SCAN = "MTCTL.Scan"  # role of the reference from every node of a case to its scan
_KIND = "MTCTL.Kind"
_REVIEWED = "MTCTL.Reviewed"  # of the record: reference to somebody else's segmentation, and attribute: which segment


class SceneError(MtctlError):
    """The scene cannot be used like that."""


@dataclass(frozen=True)
class CaseNodes:
    """The nodes of one case. None (or missing from a mapping) is what is not there, or not there any more.

    Get a fresh one from `find_case` after something was added or deleted.

    Attributes:
        scene: Where they are.
        scan: vtkMRMLScalarVolumeNode.
        segmentation: vtkMRMLSegmentationNode made here, with the prediction, as edited.
        reviewed: vtkMRMLSegmentationNode that is under review: `segmentation`, or somebody else's.
        segment_id: The segment of `reviewed` that is under review.
        uncertainty: vtkMRMLScalarVolumeNode by kind, see `kinds.NAMES`.
        heatmap: The vtkMRMLScalarVolumeNode that is (or would be) shown, and to which painting is tied: one of
            `uncertainty`, or a copy that also marks where somebody else's segmentation differs from the prediction.
        kind: That of `heatmap`.
        distance: vtkMRMLScalarVolumeNode.
        probability: vtkMRMLScalarVolumeNode.
        surface: vtkMRMLModelNode, the surface coloured by uncertainty; made by `color_surface`.
        preview: vtkMRMLSegmentationNode of what an answer would change; made by `show_preview`.
        legend: vtkMRMLColorLegendDisplayNode; made by `show_legend`.
        record: Hidden vtkMRMLScriptedModuleNode with what has no node of its own; see `store_document`.
        folder: Subject hierarchy item of the case; None where the scene has no subject hierarchy.
    """

    scene: Scene
    scan: Node
    segmentation: Node | None
    reviewed: Node | None
    segment_id: str
    uncertainty: Mapping[str, Node]
    heatmap: Node | None
    kind: str
    distance: Node | None
    probability: Node | None
    surface: Node | None
    preview: Node | None
    legend: Node | None
    record: Node | None
    folder: int | None


def find_case(scene: Scene, scan: Node) -> CaseNodes | None:
    """Return the nodes of the case of that scan; None where it has none (about 1 ms)."""
    parts = [node for node in nodes_with_role(scene) if node.GetNodeReference(_SCAN) is scan]
    return _case(scene, scan, parts) if parts else None


def cases(scene: Scene) -> tuple[CaseNodes, ...]:
    """Return all cases of the scene whose scan is still there, in the order in which they were made."""
    by_scan: dict[str, list[Node]] = {}
    for node in nodes_with_role(scene):
        if node.GetNodeReference(_SCAN) is not None:
            by_scan.setdefault(node.GetNodeReferenceID(_SCAN), []).append(node)
    return tuple(_case(scene, scene.GetNodeByID(scan), parts) for scan, parts in by_scan.items())


def remember_reviewed(nodes: CaseNodes, segmentation: Node | None, segment_id: str) -> None:
    """Remember which segment is under review; None for the case's own segmentation."""
    record = record_of(nodes)
    record.SetNodeReferenceID(_REVIEWED, None if segmentation is None else segmentation.GetID())
    record.SetAttribute(_REVIEWED + ".Segment", segment_id)
    record.SetAttribute(_REVIEWED + ".Foreign", None if segmentation is None else "true")


def is_foreign(record: Node | None) -> bool:
    """Return whether somebody else's segmentation is under review, by the record of the case."""
    return record is not None and record.GetAttribute(_REVIEWED + ".Foreign") is not None


def remember_kind(nodes: CaseNodes, kind: str) -> None:
    """Remember which kind of uncertainty is shown."""
    record_of(nodes).SetAttribute(_KIND, kind)


def record_of(nodes: CaseNodes) -> Node:
    """Return the record of a case.

    Raises:
        SceneError: It was deleted.
    """
    if not is_in_scene(nodes.record):
        raise SceneError(f"The record of '{nodes.scan.GetName()}' was deleted: segment the scan again.")
    return nodes.record


def is_in_scene(node: Node | None) -> TypeGuard[Any]:
    """Return whether a node is (still) in a scene."""
    return node is not None and node.GetScene() is not None


def add_part(scene: Scene, scan: Node, node: Node, role: str, kind: str | None = None) -> Node:
    """Put a new node into the scene as a part of the scan's case.

    Its marks come first: whoever observes new nodes (selectors, subject hierarchy) shall see them.
    """
    node.SetAttribute(ROLE, role)
    if kind is not None:
        node.SetAttribute(_KIND, kind)
    node.SetNodeReferenceID(_SCAN, scan.GetID())
    return scene.AddNode(node)


def nodes_with_role(scene: Scene) -> Iterator[Node]:
    """Return all nodes with a role."""
    nodes = scene.GetNodes()
    everything = [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]
    return (node for node in everything if node.GetAttribute(ROLE) is not None)


def part_of(scene: Scene, scan: Node, role: str) -> Node | None:
    """Return the node of that role, also when it was made since the case's nodes were looked up."""
    return next(
        (n for n in nodes_with_role(scene) if n.GetAttribute(ROLE) == role and n.GetNodeReference(_SCAN) is scan), None
    )


def parts_of(nodes: CaseNodes) -> list[Node]:
    """Return all nodes that were made for the case and are still there, also when its scan is not."""
    named = [*nodes.uncertainty.values()] + [getattr(nodes, name) for name in _SINGLE] + [nodes.heatmap]
    found = {id(node): node for node in named if is_in_scene(node)}
    if is_in_scene(nodes.scan):
        found |= {id(node): node for node in nodes_with_role(nodes.scene) if node.GetNodeReference(_SCAN) is nodes.scan}
    return list(found.values())


_SINGLE = ("legend", "surface", "preview", "segmentation", "distance", "probability", "record")


def _case(scene: Scene, scan: Node, parts: list[Node]) -> CaseNodes:
    single: dict[str, Node] = {}
    uncertainty: dict[str, Node] = {}
    for node in parts:
        role = node.GetAttribute(ROLE)
        if role == "uncertainty":
            uncertainty.setdefault(node.GetAttribute(_KIND), node)
        else:
            single.setdefault(role, node)
    uncertainty = {kind: uncertainty[kind] for kind in NAMES if kind in uncertainty}
    record = single.get("record")
    kind = (None if record is None else record.GetAttribute(_KIND)) or next(iter(uncertainty), NAMES[0])
    own = single.get("segmentation")
    return CaseNodes(
        scene=scene,
        scan=scan,
        reviewed=record.GetNodeReference(_REVIEWED) if record is not None and is_foreign(record) else own,
        segment_id=(record and record.GetAttribute(_REVIEWED + ".Segment")) or SEGMENT_ID,
        uncertainty=uncertainty,
        heatmap=single.get("differences", uncertainty.get(kind)),
        kind=kind,
        folder=folder_of(scene, parts),
        **{name: single.get(name) for name in _SINGLE},
    )
