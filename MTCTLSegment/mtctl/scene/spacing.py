"""The spacing of a scan in a scene: corrected by hand, and set back to the file's; and which results it outdates.

Masks and maps go with the scan's voxels, so that nothing of them is lost. But a network that saw the scan squashed or
stretched saw something else: its result is out of date until the scan is segmented again, or has that spacing again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

from mtctl.geometry import Triple, spacing_text
from mtctl.io.given_spacing import same_spacing
from mtctl.scene.nodes import CaseNodes, find_case, is_in_scene
from mtctl.scene.types import Node, Scene
from mtctl.scene.volume_nodes import follow_scan
from mtctl.system.documents import DocumentError, parse_object
from mtctl.system.fields import Within, read_as

#: Attribute of a scan whose spacing was changed by hand: as its file has it. It is saved with the scene.
_FILED = "MTCTL.FileSpacing"

#: Attribute of the record of a case that was made with another spacing than the scan has: that one.
_MADE = "MTCTL.MadeWithSpacing"


_Millimetres = Annotated[float, Within(1e-6, 1e6)]


@dataclass(frozen=True)
class _Stored:
    """A spacing, mm along the axes i, j, k."""

    mm: tuple[_Millimetres, _Millimetres, _Millimetres]


def spacing_of(scan: Node) -> Triple:
    """Return the spacing of a volume node, mm along its own axes i, j, k, before any transform that it is under."""
    x, y, z = scan.GetSpacing()
    return x, y, z


def file_spacing_of(scan: Node) -> Triple:
    """Return the spacing that the scan's file has: its own, where nobody changed it by hand."""
    return _stored_spacing(scan, _FILED) or spacing_of(scan)


def set_spacing(scene: Scene, scan: Node, spacing: Triple) -> None:
    """Give a scan another spacing; its first voxel and its axes stay where they are, and its case goes with it.

    Args:
        scene: The scene of `scan`.
        scan: The volume node.
        spacing: mm along its axes; that of `file_spacing_of` takes every change back.
    """
    before, filed = spacing_of(scan), file_spacing_of(scan)
    if before == spacing:
        return
    nodes = find_case(scene, scan)
    scan.SetSpacing(spacing)
    scan.StorableModified()  # a scene that is saved asks for the scan's file to be written anew
    if same_spacing(spacing, filed):
        scan.RemoveAttribute(_FILED)
    else:
        scan.SetAttribute(_FILED, json.dumps(filed))
    if nodes is None:
        return
    follow_scan(nodes)
    if is_in_scene(nodes.segmentation):
        nodes.segmentation.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    if is_in_scene(nodes.record):
        made = _stored_spacing(nodes.record, _MADE) or before
        if same_spacing(made, spacing):
            clear_old_spacing(nodes.record)
        else:
            nodes.record.SetAttribute(_MADE, json.dumps(made))


def out_of_date(nodes: CaseNodes) -> str | None:
    """Say why a case's results do not hold for the scan as it is now, and what to do; None where they hold."""
    made = _stored_spacing(nodes.record, _MADE) if is_in_scene(nodes.record) else None
    if made is None:
        return None
    return (
        f"these results were made with the spacing {spacing_text(made)} mm, the scan now has "
        f"{spacing_text(spacing_of(nodes.scan))}: press Apply to segment it again"
    )


def clear_old_spacing(record: Node) -> None:
    """Forget the earlier spacing: the case was segmented anew, with the spacing that the scan has now."""
    record.RemoveAttribute(_MADE)


def _stored_spacing(node: Node, name: str) -> Triple | None:
    text = node.GetAttribute(name)
    try:
        return read_as(_Stored, parse_object(f'{{"mm": {text}}}', name), name).mm if text else None
    except DocumentError:  # Of a scene that somebody changed by hand.
        return None
