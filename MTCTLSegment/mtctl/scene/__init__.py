"""A case in a MRML scene: what the worker found, as nodes; how they are shown; and back to arrays for the review.

Every function takes the scene or the nodes, so that Slicer and the browser reviewer use the same ones. Nothing here
needs Qt, the application or torch. Positions are LPS mm as everywhere else; MRML's RAS stays inside. The scene must
have Slicer's Segmentations logic, which knows how to make surfaces.

A case is found again, also after a saved scene was loaded, by what its nodes carry: the attribute `MTCTL.Role` and a
node reference to their scan. No two cases share a node except the colour table.

Import these names from here: the files of this package may be split or merged.
"""

from __future__ import annotations

from mtctl.scene.case import close_case, show_result
from mtctl.scene.displays import set_threshold, show_legend, threshold_of
from mtctl.scene.editing import preview_color, remove_preview, show_preview
from mtctl.scene.nodes import (
    CASE,
    CASE_RECORD,
    CASE_STORE,
    ROLE,
    SEGMENT_ID,
    CaseNodes,
    SceneError,
    cases,
    find_case,
)
from mtctl.scene.record import load_document, store_document
from mtctl.scene.reviewed_segment import case_maps, missing, review_segmentation, show_kind
from mtctl.scene.scan_nodes import add_label, add_scan
from mtctl.scene.segments import mask_of, replies_given, set_mask, set_replies_given
from mtctl.scene.slice_layers import (
    composites,
    hide_layers,
    jump,
    opacity_of,
    set_heatmap_visible,
    set_opacity,
    show_layers,
)
from mtctl.scene.spacing import file_spacing_of, out_of_date, set_spacing, spacing_of
from mtctl.scene.surface import color_surface, set_surface_visible
from mtctl.scene.types import Node
from mtctl.scene.visible_cases import hide_cases, is_in_views, unhide_case
from mtctl.scene.volume_nodes import follow_scan, volume_of

__all__ = [
    "CASE",
    "CASE_RECORD",
    "CASE_STORE",
    "ROLE",
    "SEGMENT_ID",
    "CaseNodes",
    "Node",
    "SceneError",
    "add_label",
    "add_scan",
    "case_maps",
    "cases",
    "close_case",
    "color_surface",
    "composites",
    "file_spacing_of",
    "find_case",
    "follow_scan",
    "hide_cases",
    "hide_layers",
    "is_in_views",
    "jump",
    "load_document",
    "mask_of",
    "missing",
    "opacity_of",
    "out_of_date",
    "preview_color",
    "remove_preview",
    "replies_given",
    "review_segmentation",
    "set_heatmap_visible",
    "set_mask",
    "set_opacity",
    "set_replies_given",
    "set_spacing",
    "set_surface_visible",
    "set_threshold",
    "show_kind",
    "show_layers",
    "show_legend",
    "show_preview",
    "show_result",
    "spacing_of",
    "store_document",
    "threshold_of",
    "unhide_case",
    "volume_of",
]
