"""The results of a phantom in a folder, as `mtctl segment` writes them, made without a network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from support.wall_phantom import WallPhantom

from mtctl.geometry import Volume
from mtctl.io.volumes import write_segmentation, write_volume
from mtctl.review.case_maps import CaseMaps
from mtctl.uncertainty.maps import binary_entropy


def write_results(phantom: WallPhantom, folder: Path, case: str = "a", kind: str = "entropy") -> CaseMaps:
    """Write segmentation, uncertainty and report, and <case>.image.nrrd to the folder `scans` beside it.

    Returns:
        The maps that a review of these results begins with.
    """
    scans = folder.parent / "scans"
    for place in (folder, scans):
        place.mkdir(parents=True, exist_ok=True)
    geometry = phantom.scan.geometry
    entropy = binary_entropy(phantom.probability)
    write_volume(phantom.scan, scans / f"{case}.image.nrrd")
    write_segmentation(Volume(phantom.mask.astype(np.uint8), geometry), folder / f"{case}.seg.nrrd")
    write_volume(Volume(entropy, geometry), folder / f"{case}.uncertainty.nrrd")
    report = {"input": f"{case}.image.nrrd", "uncertainty": {"kind": kind}, "warnings": [], "fingerprint": "0"}
    (folder / f"{case}.json").write_text(json.dumps(report), encoding="utf-8")
    return CaseMaps(phantom.mask, entropy, phantom.probability, geometry)
