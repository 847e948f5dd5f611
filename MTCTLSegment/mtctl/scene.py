"""A case in a MRML scene: what the worker found, as nodes; how they are shown; and back to arrays for the review.

Every function takes the scene or the nodes, so that Slicer and the browser reviewer use the same ones. Nothing here
needs Qt, the application or torch. Positions are LPS mm as everywhere else; MRML's RAS stays inside.

A case is found again, also after a saved scene was loaded, by what its nodes carry: the attribute `MTCTL.Role` and a
node reference to their scan. No two cases share a node except the colour table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtctl.case_maps import CaseMaps
from mtctl.errors import MtctlError
from mtctl.geometry import Triple, Volume
from mtctl.metrics import Mask
from mtctl.proposals import Proposal
from mtctl.regions import Region
from mtctl.worker_request import Result

Node = Any  # a vtkMRMLNode of the class that the name says
Scene = Any  # a vtkMRMLScene

#: Attribute of all nodes made here; its value is one of "segmentation", "uncertainty", "distance", "probability",
#: "regions", "surface", "preview", "record", "colors". A scan selector leaves out the volumes that have it.
ROLE = "MTCTL.Role"

#: The uncertainties that a case may have, by the names of the worker's maps; the first is shown at first.
KINDS = ("entropy", "mutual_information", "disagreement")

#: Id of the segment that holds the prediction, in our segmentation; the same as in a written .seg.nrrd.
SEGMENT_ID = "LeftAtrium"


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
        uncertainty: vtkMRMLScalarVolumeNode by kind, see KINDS.
        heatmap: The vtkMRMLScalarVolumeNode that is (or would be) shown, and to which painting is tied: one of
            `uncertainty`, or a copy that also marks where somebody else's segmentation differs from the prediction.
        kind: That of `heatmap`.
        distance: vtkMRMLScalarVolumeNode.
        probability: vtkMRMLScalarVolumeNode.
        regions: vtkMRMLTableNode.
        surface: vtkMRMLModelNode, the surface coloured by uncertainty; made by `color_surface`.
        preview: vtkMRMLSegmentationNode of a proposal; made by `show_preview`.
        record: Hidden vtkMRMLScriptedModuleNode with what has no node of its own; see `keep`.
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
    regions: Node | None
    surface: Node | None
    preview: Node | None
    record: Node | None
    folder: int | None


# --- cases ------------------------------------------------------------------------------------------------------------


def show_result(scene: Scene, scan: Node, result: Result, save_for_undo: Callable[[], None] = lambda: None) -> CaseNodes:
    """Turn the worker's answer into nodes, or update those of the same scan.

    Running again replaces maps and segment in place. A segment that was edited since (or in any way is not as it was
    predicted) is first copied to a backup segment beside it, hidden, "Left atrium before 06:12 (1)".

    Does not change slice views (`show_layers`) and makes no surface (`set_surface_visible`), which take longer.

    Args:
        scene: The scene of `scan`.
        scan: What was segmented.
        result: On the grid of `volume_of(scan)`.
        save_for_undo: Called once right before the segmentation changes; hand in the Segment Editor's
            `saveStateForUndo`, and this is one step of its history. Not called for a first result.

    Raises:
        SceneError: The scan was moved, replaced or taken out of the scene since it was handed to the worker.
    """
    raise NotImplementedError


def find_case(scene: Scene, scan: Node) -> CaseNodes | None:
    """The nodes of the case of that scan; None where it has none (about 1 ms)."""
    raise NotImplementedError


def cases(scene: Scene) -> tuple[CaseNodes, ...]:
    """All cases of the scene whose scan is still there, in the order in which they were made."""
    raise NotImplementedError


def missing(nodes: CaseNodes) -> str | None:
    """What a review of this case lacks because somebody deleted it, in a sentence that says what to do; or None."""
    raise NotImplementedError


def close_case(nodes: CaseNodes) -> None:
    """Remove everything that was made for the case, and give the slice views back what they showed before.

    The scan and somebody else's segmentation stay. Nodes that are gone already, also the scan, do no harm.
    """
    raise NotImplementedError


def keep(nodes: CaseNodes, name: str, document: Mapping[str, Any]) -> None:
    """Keep plain data with the case, so that a saved scene has it; `show_result` keeps "report".

    For example the `review_document` of a draft under "review".

    Raises:
        SceneError: The case's record was deleted.
    """
    raise NotImplementedError


def kept(nodes: CaseNodes, name: str) -> dict[str, Any] | None:
    """What `keep` kept under that name; None where there is nothing."""
    raise NotImplementedError


# --- to and from arrays -----------------------------------------------------------------------------------------------


def volume_of(scan: Node) -> Volume:
    """The voxels of a scalar volume node and where they lie in the patient, as a person sees them in the views.

    A linear transform that the scan is under counts: the grid is the moved one, and what `show_result` makes is put
    under the same transform, so that it stays on the scan whatever becomes of the transform.

    Returns:
        A copy-free view of the node's voxels (z, y, x) as they are (any type): do not write to it.

    Raises:
        SceneError: The node has no voxels, more than one value a voxel, or is under a warping transform.
        VolumeError: Its axes are not at right angles, with its transform.
    """
    raise NotImplementedError


def case_maps(nodes: CaseNodes, kind: str | None = None) -> CaseMaps:
    """What a `ReviewSession` reviews: the prediction as it was made, not as edited since.

    For somebody else's segmentation (`review_segmentation`): that as it was when its review began.

    Args:
        nodes: The case.
        kind: Of uncertainty; None for the one that is shown.

    Raises:
        SceneError: Something that is needed was deleted; the message is that of `missing`.
    """
    raise NotImplementedError


def mask_of(nodes: CaseNodes) -> Mask:
    """The reviewed segment as it is now: bool (z, y, x) on the scan's grid, whatever extent the segment has itself.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    raise NotImplementedError


def set_mask(nodes: CaseNodes, mask: Mask) -> None:
    """Write the reviewed segment; for undo, save the editor's state before.

    Args:
        nodes: The case.
        mask: bool (z, y, x) on the scan's grid.

    Raises:
        SceneError: The segment, its node or the scan was deleted, or the shape is another one.
    """
    raise NotImplementedError


def review_segmentation(nodes: CaseNodes, segmentation: Node, segment_id: str) -> CaseNodes:
    """Review a segment that exists already; for the prediction again: `nodes.segmentation` and SEGMENT_ID.

    A segment on the scan's grid (any extent) is reviewed and edited in place. One on another grid, or under another
    transform, is copied to the scan's grid as a new segment of `nodes.segmentation`, which is then reviewed: the
    original stays as it is. As it is now it is kept as the start of the review (`case_maps`).

    Returns:
        The nodes with `reviewed`, `segment_id` and `heatmap` as they are then.

    Raises:
        SceneError: There is no such segment, or it is empty on the scan's grid.
    """
    raise NotImplementedError


# --- displays ---------------------------------------------------------------------------------------------------------


def show_layers(nodes: CaseNodes, opacity: float = 0.7) -> None:
    """Scan as background and heatmap as foreground in all slice views of the scene; may be called again at any time.

    What the views showed before is remembered in the case and comes back with `close_case` or `hide_layers`.
    """
    raise NotImplementedError


def hide_layers(nodes: CaseNodes) -> None:
    """Give the slice views back what they showed before `show_layers`, unless the person changed it since."""
    raise NotImplementedError


def show_kind(nodes: CaseNodes, kind: str) -> CaseNodes:
    """Show another kind of uncertainty, with its own threshold.

    Returns:
        The nodes with `heatmap` and `kind` as they are then.

    Raises:
        SceneError: The case has no map of that kind.
    """
    raise NotImplementedError


def set_threshold(nodes: CaseNodes, threshold: float) -> None:
    """Show only what is at least so uncertain (0 to 1): one call of MRML, fast enough for a slider."""
    raise NotImplementedError


def threshold_of(nodes: CaseNodes) -> float:
    """The threshold at which the heatmap is shown.

    Raises:
        SceneError: The heatmap was deleted.
    """
    raise NotImplementedError


def set_opacity(nodes: CaseNodes, opacity: float) -> None:
    """How much the heatmap covers the scan, 0 to 1, in all slice views that show it."""
    raise NotImplementedError


def set_heatmap_visible(nodes: CaseNodes, visible: bool) -> None:
    """Show or hide the heatmap in the slice views; opacity and threshold stay."""
    raise NotImplementedError


def set_surface_visible(nodes: CaseNodes, visible: bool) -> None:
    """Show or hide the smoothed surface of the reviewed segmentation in 3-D; the first time takes 0.1 to 0.8 s."""
    raise NotImplementedError


def color_surface(nodes: CaseNodes) -> Node:
    """Show the surface coloured by uncertainty in 3-D in place of the plain one; call again after the mask changed.

    `set_surface_visible` goes back to the plain one, or to none.

    Returns:
        vtkMRMLModelNode with the uncertainty at its points.

    Raises:
        SceneError: Segment or heatmap was deleted, or the segment is empty.
    """
    raise NotImplementedError


def show_legend(nodes: CaseNodes, views: Sequence[Node]) -> Node:
    """Show the colours' meaning in these views (slice or 3-D view nodes) and no others.

    Returns:
        vtkMRMLColorLegendDisplayNode.
    """
    raise NotImplementedError


def jump(scene: Scene, lps: Triple) -> None:
    """Centre all slice views on a position, put the crosshair there, and turn every 3-D camera to it without tilting."""
    raise NotImplementedError


# --- regions and proposals --------------------------------------------------------------------------------------------


def fill_region_table(nodes: CaseNodes, regions: Sequence[Region]) -> None:
    """Write the region list into the case's table node, in the list's order; no effect where it was deleted.

    Columns: "Region", "State", "Volume (mL)", "Mean uncertainty", "Peak uncertainty", "Expected error (mL)",
    "Inside", "Outside" (voxels).
    """
    raise NotImplementedError


def state_of(region: Region) -> str:
    """One word for what was done with a region: "accepted", "edited", "visited" or "open"."""
    raise NotImplementedError


def show_preview(nodes: CaseNodes, proposal: Proposal) -> CaseNodes:
    """Show what a proposal would add and take away; replaces the preview before. The segmentation is not touched.

    It lives in a segmentation node of its own that is hidden from selectors, from undo and from saved scenes.

    Returns:
        The nodes with `preview`.

    Raises:
        SceneError: The segment, its node or the scan was deleted.
    """
    raise NotImplementedError


def remove_preview(nodes: CaseNodes) -> None:
    """Remove the preview; nothing happens where there is none."""
    raise NotImplementedError
