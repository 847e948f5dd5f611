"""The report of a case, <stem>.json, as it is read back; it is made by `inference.report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mtctl.geometry import Geometry, Triple
from mtctl.preprocessing.region_of_interest import Box
from mtctl.system.documents import read_object
from mtctl.system.fields import Longest, Matching, Share, Within, read_as

#: A volume that no organ, and no scan, exceeds.
_Millilitres = Annotated[float, Within(0.0, 1e6)]
_CubicMillimetres = Annotated[float, Within(0.0, 1e9)]
_Seconds = Annotated[float, Within(0.0, 1e9)]


@dataclass(frozen=True)
class _Place:
    """An uncertain region: reports of earlier versions list them."""

    expected_error_mm3: _CubicMillimetres = 0.0


@dataclass(frozen=True)
class _Uncertainty:
    kind: Annotated[str, Matching(r"[a-z_-]{1,40}", "a kind of uncertainty")] = "entropy"
    mean: Annotated[float, Within(0.0, 1.01)] = 0.0
    in_band_mean: Annotated[float, Within(0.0, 1.01)] = 0.0


@dataclass(frozen=True)
class _RegionOfInterest:
    box_mm_lps: Box | None = None
    chosen_by: str = ""


@dataclass(frozen=True)
class _Report:
    """The fields of a report that this program reads, any of which may be missing; see `inference.report`."""

    input: str = ""
    geometry: Geometry | None = None
    model: Mapping[str, str] | None = None
    region_of_interest: _RegionOfInterest | None = None
    volume_ml: _Millilitres = 0.0
    volume_ml_interval: tuple[_Millilitres, _Millilitres] | None = None
    uncertainty: _Uncertainty | None = None
    case_score: Share | None = None
    case_score_interval: tuple[Share, Share] | None = None
    flagged: bool | None = None
    threshold: Share | None = None
    likely_wrong_ml: _Millilitres | None = None
    regions: Annotated[tuple[_Place, ...], Longest(10_000)] = ()
    warnings: Annotated[tuple[str, ...], Longest(1000)] = ()
    seconds: Mapping[str, _Seconds] | None = None
    spacing_in_file: Triple | None = None
    scan_sha256: str = ""
    fingerprint: Any = ""


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.

    Raises:
        FileNotFoundError: There is none.
        DocumentError: It cannot be used, or is a JSON file of something else.
    """
    return checked_report(read_object(path), str(path))


def checked_report(report: dict[str, Any], source: str) -> dict[str, Any]:
    """Return a report unchanged, after a look at the fields that are read.

    Raises:
        DocumentError: One has another type, or lies out of its bounds.
    """
    read_as(_Report, report, source)
    return report


def likely_wrong_ml(report: Mapping[str, Any]) -> float | None:
    """Return how much of the segmentation is likely wrong, mL, by a checked report; None where it does not say so.

    Reports of earlier versions say it of each of their regions.
    """
    if report.get("likely_wrong_ml") is not None:
        return float(report["likely_wrong_ml"])
    if report.get("regions") is None:
        return None
    return sum(float(region.get("expected_error_mm3", 0.0)) for region in report["regions"]) / 1000
