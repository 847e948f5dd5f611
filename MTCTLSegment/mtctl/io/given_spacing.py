"""A voxel spacing that a person gives because a file's header says it wrongly: as text, and in a case's report.

`geometry.with_spacing` and `volumes.read_scan` put it in place of the file's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtctl.geometry import Triple, VolumeError, spacing_text

#: Spacings that may be given, mm: finer and coarser ones are slips of the pen.
_GIVEN_MM = (0.1, 20.0)

#: In a report, where the spacing was given by hand: what the scan's file says, mm along its axes x, y, z.
_IN_FILE = "spacing_in_file"


def parse_spacing(text: str) -> Triple:
    """Return a spacing from "0.625,0.625,1.25" or "0.625 0.625 1.25": mm along the array's axes x, y, z.

    Raises:
        VolumeError: It is not three numbers from 0.1 to 20.
    """
    try:
        x, y, z = map(float, text.replace(",", " ").split())
    except ValueError:
        raise VolumeError(f"spacing {text!r}: give three numbers in mm, x,y,z, such as 0.625,0.625,1.25") from None
    low, high = _GIVEN_MM
    if not all(low <= value <= high for value in (x, y, z)):  # NaN is outside, too
        raise VolumeError(f"spacing {text!r}: each of the three numbers has to lie between {low:g} and {high:g} mm")
    return x, y, z


def same_spacing(first: Sequence[float], second: Sequence[float]) -> bool:
    """Return whether two spacings differ by rounding only."""
    return bool(np.allclose(first, second, rtol=1e-3, atol=0))


def with_given_spacing(report: Mapping[str, Any], used: Sequence[float], filed: Sequence[float]) -> dict[str, Any]:
    """Return the report of a scan whose spacing may have been given by hand; where it is the file's own, as it is.

    Args:
        report: What was said of the scan so far.
        used: The spacing that was used, mm along the file's axes x, y, z.
        filed: The one that the file has.
    """
    if same_spacing(used, filed):
        return dict(report)
    remark = f"the spacing {spacing_text(used)} was given by hand; the file says {spacing_text(filed)}"
    return {**report, _IN_FILE: list(filed), "warnings": [*report.get("warnings", []), remark]}


def with_spacing_of(report: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a scan segmented anew on the grid of an earlier report, which knows the file's spacing."""
    used = given_spacing_of(before)
    return dict(report) if used is None else with_given_spacing(report, used, before[_IN_FILE])


def given_spacing_of(report: Mapping[str, Any]) -> Triple | None:
    """Return the spacing that was given by hand when a report was made; None: the file's own was used."""
    if _IN_FILE not in report:
        return None
    try:
        (x, y, z), (_, _, _) = map(float, report["geometry"]["spacing"]), map(float, report[_IN_FILE])
    except (KeyError, TypeError, ValueError):
        return None
    return x, y, z
