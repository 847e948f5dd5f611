"""The terminologies that the application loads at start, cut down to what a left atrium needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_terminologies(share: Path) -> None:
    """Writes the three files that the Terminologies logic looks for; without them it complains at every start."""
    for name, content in _files().items():
        (share / f"{name}.term.json").write_text(json.dumps(content), encoding="utf-8")


def _files() -> dict[str, Any]:
    heart = [_code("Heart", "80891009", color=[206, 110, 84]), _code("Left atrium", "82471001", color=[200, 90, 90])]
    tissue = {**_code("Tissue", "85756007"), "Type": [_code("Tissue", "85756007", color=[128, 174, 128])]}
    organs = {**_code("Anatomical Structure", "123037004"), "showAnatomy": False, "Type": heart}
    regions = {
        "AnatomicContextName": "Anatomic codes - DICOM master list",
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/anatomic-context-schema.json#",
        "AnatomicCodes": {"AnatomicRegion": heart},
    }
    return {
        "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy": _segments(
            "Segmentation category and type - 3D Slicer General Anatomy list", organs, tissue
        ),
        "SegmentationCategoryTypeModifier-DICOM-Master": _segments(
            "Segmentation category and type - DICOM master list", organs, tissue
        ),
        "AnatomicRegionAndModifier-DICOM-Master": regions,
    }


def _segments(name: str, *categories: dict[str, Any]) -> dict[str, Any]:
    return {
        "SegmentationCategoryTypeContextName": name,
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/segment-context-schema.json#",
        "SegmentationCodes": {"Category": list(categories)},
    }


def _code(meaning: str, value: str, color: list[int] | None = None) -> dict[str, Any]:
    code: dict[str, Any] = {"CodeMeaning": meaning, "CodingSchemeDesignator": "SCT", "CodeValue": value}
    return code if color is None else code | {"recommendedDisplayRGBValue": color}
