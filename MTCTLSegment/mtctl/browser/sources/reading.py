"""Read a case from its files: the maps that its review needs."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.browser.sources.result_folder import FolderCase, FolderError, report_of
from mtctl.errors import MtctlError
from mtctl.geometry import Geometry, Map, Mask, Volume, same_grid
from mtctl.io.given_spacing import given_spacing_of
from mtctl.io.volumes import read_map, read_mask, read_scan
from mtctl.review.case_maps import CaseMaps, probability_of

log = logging.getLogger(__name__)

#: Bytes of a map that is worth the detour; one of 640 x 640 x 88 voxels has 144 MB, one of the training data's crops 9.
_LARGE = 1 << 26


@dataclass(frozen=True)
class CaseData:
    """What the files of a case hold.

    Attributes:
        scan: The scan.
        maps: What a review needs.
        report: The case's JSON; empty where there is none.
        remarks: What a person should know of the scan's file, in sentences, where the report does not say it.
    """

    scan: Volume
    maps: CaseMaps
    report: dict[str, Any]
    remarks: tuple[str, ...] = ()


def read_case(case: FolderCase) -> CaseData:
    """Read a case that was segmented.

    Raises:
        FolderError: Results are missing, or lie on another grid than the scan.
        VolumeError: A file cannot be read.
    """
    if not case.segmented:
        lacking = " and ".join(sorted({"seg", "uncertainty"} - case.results.keys()))
        raise FolderError(f"{case.stem}: the {lacking} file is missing; segment the scan (again)")
    report = report_of(case)
    loaded = read_scan(case.scan, given_spacing_of(report))
    scan, said = loaded.volume, report.get("warnings", [])
    mask = _on_grid(read_mask(case.results["seg"], scan.geometry), scan.geometry, case.results["seg"]) != 0
    uncertainty = _map(case, "uncertainty", scan.geometry)
    if "probability" in case.results:
        probability = _map(case, "probability", scan.geometry)
    elif report.get("uncertainty", {}).get("kind", "entropy") == "entropy":
        probability = probability_of(uncertainty, mask)
    else:
        probability = mask.astype(np.float32)
    maps = CaseMaps(mask, np.clip(uncertainty, 0, 1), memory_mapped(probability), scan.geometry)
    return CaseData(scan, maps, report, tuple(one for one in loaded.remarks if one not in said))


def read_distance(case: FolderCase, maps: CaseMaps) -> Map:
    """Read the prediction's signed distance map, (z, y, x); 1 in the mask and -1 around it where there is none.

    No review needs it: a file that cannot be used is as good as none.
    """
    if "distance" in case.results:
        try:
            return _map(case, "distance", maps.geometry)
        except MtctlError as error:
            log.warning("the distance map is left out: %s", error)
    return np.where(maps.segmentation, np.float32(1), np.float32(-1))


def read_corrected(case: FolderCase, geometry: Geometry) -> Mask | None:
    """Read the segmentation as the review left it; None where nothing was edited.

    Raises:
        FolderError, VolumeError: It cannot be used.
    """
    if not case.corrected.is_file() or case.corrected.is_symlink():
        return None
    return _on_grid(read_mask(case.corrected, geometry), geometry, case.corrected) != 0


def memory_mapped(array: Map) -> Map:
    """Return the same map (z, y, x), read-only; a large one in a temporary file that is removed with it.

    Raises:
        OSError: The disk is full.
    """
    if array.nbytes < _LARGE:
        return array
    with tempfile.TemporaryFile(prefix="mtctl-map-") as file:
        file.write(np.ascontiguousarray(array).data)
        file.flush()
        return np.memmap(file, dtype=np.float32, mode="r", shape=array.shape)


def _map(case: FolderCase, kind: str, geometry: Geometry) -> Map:
    path = case.results[kind]
    return _on_grid(read_map(path), geometry, path).astype(np.float32, copy=False)


def _on_grid(volume: Volume, geometry: Geometry, path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    if not same_grid(volume.geometry, geometry):
        raise FolderError(f"{path.name}: lies on another grid than the scan; segment this scan again")
    return volume.array
