"""What the slice views show: scan and heatmap, and what a person had there before; where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mtctl.geometry import Triple
from mtctl.scene.nodes import CaseNodes, is_in_scene, part_of
from mtctl.scene.types import Node, Scene
from mtctl.scene.volume_nodes import follow_scan
from mtctl.system.documents import DocumentError, parse_object
from mtctl.system.fields import Share, read_as

# Attributes of the record.
_HIDDEN = "MTCTL.HeatmapHidden"
_OPACITY = "MTCTL.Opacity"
_BEFORE = "MTCTL.Before."  # and the name of a view: what it showed

_FIRST_OPACITY = 0.7


def show_layers(nodes: CaseNodes, opacity: float | None = None) -> None:
    """Show scan and heatmap in all slice views of the scene, as background and foreground; call it at any time.

    What the views showed before is remembered in the case and comes back with `close_case` or `hide_layers`.

    Args:
        nodes: The case.
        opacity: Of the heatmap; None: as it was set last (`set_opacity`).
    """
    if not is_in_scene(nodes.scan):
        return
    follow_scan(nodes)
    for view in composites(nodes.scene):
        _remember(nodes, view)
        was_modified = view.StartModify()
        view.SetBackgroundVolumeID(nodes.scan.GetID())
        view.SetForegroundVolumeID(_shown(nodes))
        view.SetForegroundOpacity(opacity_of(nodes) if opacity is None else opacity)
        view.EndModify(was_modified)
    if opacity is not None:
        _remember_opacity(nodes, opacity)


def hide_layers(nodes: CaseNodes) -> None:
    """Give the slice views back what they showed before `show_layers`, unless the person changed it since.

    The scan stays where a view showed nothing before.
    """
    record = nodes.record
    if not is_in_scene(record):
        _clear(nodes)
        return
    for view in composites(nodes.scene):
        role = _BEFORE + view.GetLayoutName()
        text = record.GetAttribute(role)
        if text is None:
            continue
        was_modified = view.StartModify()
        foreground = view.GetForegroundVolumeID()
        if foreground is None or _is_case_map(nodes, foreground):  # none: the heatmap is hidden, or was deleted
            view.SetForegroundVolumeID(record.GetNodeReferenceID(role + ".Foreground"))
            view.SetForegroundOpacity(_opacity_before(text))
        background = record.GetNodeReferenceID(role + ".Background")
        if background is not None and is_in_scene(nodes.scan) and view.GetBackgroundVolumeID() == nodes.scan.GetID():
            view.SetBackgroundVolumeID(background)
        view.EndModify(was_modified)
        record.RemoveAttribute(role)
        for layer in (".Background", ".Foreground"):
            record.RemoveNodeReferenceIDs(role + layer)
    _clear(nodes)


def set_opacity(nodes: CaseNodes, opacity: float) -> None:
    """Set how much the heatmap covers the scan, 0 to 1, in all slice views that show it."""
    _remember_opacity(nodes, opacity)
    for view in _views_of_case_maps(nodes):
        view.SetForegroundOpacity(opacity)


def opacity_of(nodes: CaseNodes) -> float:
    """Return how much the heatmap covers the scan, 0 to 1."""
    text = nodes.record.GetAttribute(_OPACITY) if is_in_scene(nodes.record) else None
    return _FIRST_OPACITY if text is None else _opacity_before(f'{{"opacity": {text}}}')


def set_heatmap_visible(nodes: CaseNodes, visible: bool) -> None:
    """Show or hide the heatmap in the slice views, and its legend; opacity and threshold stay."""
    if is_in_scene(nodes.record):
        nodes.record.SetAttribute(_HIDDEN, None if visible else "true")
    legend = part_of(nodes.scene, nodes.scan, "legend") if is_in_scene(nodes.scan) else None
    if legend is not None:
        legend.SetVisibility(visible)
    for view in composites(nodes.scene):
        if is_in_scene(nodes.scan) and view.GetBackgroundVolumeID() == nodes.scan.GetID():
            current = view.GetForegroundVolumeID()
            if current is None or _is_case_map(nodes, current):
                view.SetForegroundVolumeID(_shown(nodes))
                view.SetForegroundOpacity(opacity_of(nodes))


def swap_heatmap(nodes: CaseNodes) -> None:
    """Show the case's heatmap wherever another of its volumes is the foreground."""
    for view in _views_of_case_maps(nodes):
        view.SetForegroundVolumeID(_shown(nodes))


def jump(scene: Scene, lps: Triple) -> None:
    """Centre all slice views on a position, put the crosshair there, and turn 3-D cameras to it without tilting."""
    ras = (-lps[0], -lps[1], lps[2])
    for view in _of_class(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByCentering(*ras)
    for crosshair in _of_class(scene, "vtkMRMLCrosshairNode"):
        # Thick, for thin lines are lost on a yellow heatmap; small, for long ones would be in 3-D too, and the camera
        # would go back to have them in sight. A person's own choice stays.
        if crosshair.GetCrosshairMode() in (crosshair.NoCrosshair, crosshair.ShowSmallBasic):
            crosshair.SetCrosshairMode(crosshair.ShowSmallBasic)
            crosshair.SetCrosshairThickness(crosshair.Thick)
        crosshair.SetCrosshairRAS(*ras)
    for camera in _of_class(scene, "vtkMRMLCameraNode"):
        way = np.array(ras) - camera.GetFocalPoint()
        was_modified = camera.StartModify()
        camera.SetPosition(*(way + camera.GetPosition()).tolist())
        camera.SetFocalPoint(*ras)
        camera.EndModify(was_modified)


def composites(scene: Scene) -> list[Node]:
    """Return the nodes that say which layers each slice view shows."""
    return list(_of_class(scene, "vtkMRMLSliceCompositeNode"))


@dataclass(frozen=True)
class _Before:
    """What is remembered of a view."""

    opacity: Share


def _opacity_before(text: str) -> float:
    try:
        return read_as(_Before, parse_object(text, "the view"), "the view").opacity
    except DocumentError:  # Of a scene that somebody changed by hand.
        return _FIRST_OPACITY


def _of_class(scene: Scene, name: str) -> Iterator[Node]:
    return (scene.GetNthNodeByClass(index, name) for index in range(scene.GetNumberOfNodesByClass(name)))


def _shown(nodes: CaseNodes) -> str | None:
    hidden = is_in_scene(nodes.record) and nodes.record.GetAttribute(_HIDDEN) is not None
    return nodes.heatmap.GetID() if is_in_scene(nodes.heatmap) and not hidden else None


def _is_case_map(nodes: CaseNodes, volume: str | None) -> bool:
    maps = [*nodes.uncertainty.values(), nodes.heatmap, nodes.distance, nodes.probability]
    return volume is not None and any(is_in_scene(node) and node.GetID() == volume for node in maps)


def _views_of_case_maps(nodes: CaseNodes) -> list[Node]:
    return [view for view in composites(nodes.scene) if _is_case_map(nodes, view.GetForegroundVolumeID())]


def _remember(nodes: CaseNodes, view: Node) -> None:
    """Remember what the view shows now, unless that is this case already."""
    record, role = nodes.record, _BEFORE + view.GetLayoutName()
    known = is_in_scene(record) and record.GetAttribute(role) is not None
    foreground = view.GetForegroundVolumeID()
    same_scan = view.GetBackgroundVolumeID() == nodes.scan.GetID()
    if not is_in_scene(record) or (known and same_scan and (foreground is None or _is_case_map(nodes, foreground))):
        return
    if not _is_case_map(nodes, foreground):
        record.SetNodeReferenceID(role + ".Foreground", foreground)
    record.SetNodeReferenceID(role + ".Background", view.GetBackgroundVolumeID())
    record.SetAttribute(role, json.dumps({"opacity": view.GetForegroundOpacity()}))


def _remember_opacity(nodes: CaseNodes, opacity: float) -> None:
    if is_in_scene(nodes.record):
        nodes.record.SetAttribute(_OPACITY, f"{opacity:g}")


def _clear(nodes: CaseNodes) -> None:
    """Take the maps of the case out of all slice views."""
    for view in _views_of_case_maps(nodes):
        view.SetForegroundVolumeID(None)
