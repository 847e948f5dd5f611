"""The rows of a cohort's table: one for every case that was done or failed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from mtctl.io.inputs import ScanInput
from mtctl.io.reports import likely_wrong_ml

DONE = "done"

FAILED = "failed"

#: Begins the error of a case that has results but a report that cannot be used.
UNREADABLE = "report unreadable: "


@dataclass(frozen=True)
class Row:
    """One case; the columns of cohort.csv in their order. What a failed case does not have is None.

    Attributes:
        case: Stem of its results; of an input that failed its name (`row_name`).
        status: `DONE` or `FAILED`.
        flagged: Whether somebody must look at it.
        case_score: Expected Dice, 0 to 1.
        case_score_low, case_score_high: Its 90 % interval.
        volume_ml: Of the atrium.
        volume_ml_low, volume_ml_high: Its 90 % interval; reports of earlier versions have none.
        likely_wrong_ml: What of it is likely wrong.
        uncertainty_in_band: Mean within 3 mm of the surface.
        seconds: Time it took.
        model: Id and version.
        warnings: What the report warns of.
        error: Why it failed.
    """

    case: str
    status: str
    flagged: bool | None = None
    case_score: float | None = None
    case_score_low: float | None = None
    case_score_high: float | None = None
    volume_ml: float | None = None
    volume_ml_low: float | None = None
    volume_ml_high: float | None = None
    likely_wrong_ml: float | None = None
    uncertainty_in_band: float | None = None
    seconds: float | None = None
    model: str = ""
    warnings: str = ""
    error: str = ""


def unreadable_row(stem: str, reason: object) -> Row:
    """Return the row of a case whose report cannot be used."""
    return Row(stem, FAILED, error=f"{UNREADABLE}{reason}; segment the scan again")


def row_name(source: ScanInput) -> str:
    """Return the name of an input that failed: its file's.

    A folder's may be a patient's, so one is made from its place.
    """
    return f"folder-{_folder_code(source)}" if source.folder else source.path.name


def row_name_with_folder(source: ScanInput) -> str:
    """Return a name that tells files of one name apart: in many cohorts every patient's folder holds such a file."""
    return f"{source.path.name} (file-{_folder_code(source)})"


def done_row(stem: str, report: dict[str, Any]) -> Row:
    """Return the row of a case with a report.

    Raises:
        KeyError, TypeError, ValueError: It is the report of something else.
    """
    for name in ("case_score", "case_score_interval", "flagged"):
        if report.get(name) is None:
            raise KeyError(name)
    low, high = report["case_score_interval"]
    volumes = report.get("volume_ml_interval") or (None, None)
    wrong = likely_wrong_ml(report)
    smallest, largest = (None if volume is None else round(volume, 1) for volume in volumes)
    return Row(
        case=stem,
        status=DONE,
        flagged=bool(report["flagged"]),
        case_score=report["case_score"],
        case_score_low=low,
        case_score_high=high,
        volume_ml=round(report["volume_ml"], 1),
        volume_ml_low=smallest,
        volume_ml_high=largest,
        likely_wrong_ml=None if wrong is None else round(wrong, 2),
        uncertainty_in_band=report["uncertainty"]["in_band_mean"],
        seconds=round(sum(report["seconds"].values()), 2),
        model=f"{report['model']['id']} {report['model']['version']}",
        warnings="; ".join(report["warnings"]),
    )


def _folder_code(source: ScanInput) -> str:
    return hashlib.sha256(os.fsencode(os.path.abspath(source.path))).hexdigest()[:8]
