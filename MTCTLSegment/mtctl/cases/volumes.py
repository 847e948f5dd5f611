"""The volumes of a case: what their files are called, and how they are written and read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.records import REPORT, SEGMENTATION, CaseError, Record
from mtctl.geometry import Geometry, Mask, Volume
from mtctl.inference.result import Result
from mtctl.io.checksums import mask_sum
from mtctl.io.reports import checked_report
from mtctl.io.volumes import VolumeError, read_map, read_mask, write_segmentation, write_volume
from mtctl.system.files import write_json
from mtctl.system.staging import DamagedError
from mtctl.uncertainty.kinds import NAMES

#: The maps that a case may have.
MAPS = ("probability", "distance", *NAMES)

#: Names of scanners' and files' in a report of `mtctl segment`, which may name a patient.
_NOT_STORED = ("input", "fingerprint")


def file_of(map_name: str) -> str:
    """Return the file name of a map."""
    return f"{map_name.replace('_', '-')}.nrrd"


def check_mask(mask: Mask, geometry: Geometry, case: str) -> Mask:
    """Return the mask as bool.

    Raises:
        CaseError: It is on another grid than the scan.
    """
    if mask.shape != geometry.shape:
        raise CaseError(
            f"{case}: the segmentation has {mask.shape} voxels, the scan {geometry.shape} (z, y, x); resample it first"
        )
    return np.asarray(mask, dtype=bool)


def write_prediction(folder: Path, result: Result) -> Mapping[str, Any]:
    """Write the files of a prediction; return the content of its record.

    Raises:
        DocumentError: Its report could not be read back.
    """
    checked_report(dict(result.report), "the report of the segmentation")
    for name in MAPS:
        if name in result.maps:
            write_volume(Volume(np.asarray(result.maps[name], np.float32), result.geometry), folder / file_of(name))
    report = {name: value for name, value in result.report.items() if name not in _NOT_STORED}
    write_json(folder / REPORT, report)
    summary = {name: report[name] for name in ("model", "threshold", "case_score", "flagged") if name in report}
    return summary | write_mask(folder, np.asarray(result.segmentation, dtype=bool), result.geometry)


def write_mask(folder: Path, mask: Mask, geometry: Geometry) -> dict[str, Any]:
    """Write a segmentation; return what its record says of it."""
    write_segmentation(Volume(mask, geometry), folder / SEGMENTATION)
    return {"segmentation_sha256": mask_sum(mask), "volume_ml": round(float(mask.sum()) * geometry.voxel_ml, 3)}


def stored_mask(record: Record, name: str, geometry: Geometry) -> Mask:
    """Read a mask of a record, checked, (z, y, x) bool.

    Raises:
        DamagedError: It is missing, torn or changed.
    """
    return _array(record.path(name), read_mask, geometry).astype(bool)


def stored_map(path: Path, geometry: Geometry) -> NDArray[np.float32]:
    """Read a scan or map from a file that was checked, (z, y, x).

    Raises:
        DamagedError: It cannot be read, or is on another grid.
    """
    return _array(path, read_map, geometry)


def _array(path: Path, read: Any, geometry: Geometry) -> NDArray[Any]:
    try:
        array: NDArray[Any] = read(path).array
    except VolumeError as error:
        raise DamagedError(str(error)) from error
    if array.shape != geometry.shape:
        raise DamagedError(f"{path}: is not on the grid of its scan; restore it from a backup")
    return array
