"""What the page says, from what the engine knows: plain values for the page's state."""

from __future__ import annotations

from typing import Any

from mtctl.browser.sources.base import WorkListEntry
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.errors import counted
from mtctl.worker.requests import SegmentationProgress

#: Of `time_left.STAGES`.
_STAGE_TITLES = {
    "start": "Starting",
    "load": "Loading the model",
    "locate": "Looking for the atrium",
    "prepare": "Preparing the scan",
    "network": "Segmenting",
    "maps": "Estimating the uncertainty",
    "save": "Handing over the result",
    "receive": "Fetching the result",
}


def case_state(case: CaseUnderReview) -> dict[str, Any]:
    """Return the state of the case on the screen."""
    state, report = case.session.state, case.report
    return {
        "key": case.key,
        "name": case.name,
        "segmented": True,
        "text": case.summary_text(),
        "volume": f"{case.volume_ml:.1f} mL",
        "flagged": bool(report.get("flagged")),
        "warnings": [str(warning) for warning in report.get("warnings", [])],
        "status": state.status.value,
        "reason": state.reason,
        "undo": case.history.can_undo,
        "redo": case.history.can_redo,
    }


def unsegmented_state(key: str, name: str) -> dict[str, Any]:
    """Return the state of a scan that was not segmented yet."""
    return {"key": key, "name": name, "segmented": False, "text": "not segmented yet", "warnings": []}


def work_list_state(entries: list[WorkListEntry]) -> dict[str, Any]:
    """Return the work list and what is left of it."""
    left = sum(entry.stage.is_open for entry in entries)
    of = counted(len(entries), "case")
    return {
        "cases": [
            {
                "key": entry.key,
                "name": entry.name,
                "stage": entry.stage.value,
                "text": entry.text,
                "held": entry.held,
            }
            for entry in entries
        ],
        "remaining": f"{left} of {of} left" if left else f"{of}, nothing left" if entries else "no cases yet",
    }


def progress_state(progress: SegmentationProgress) -> dict[str, Any]:
    """Return the state of a segmentation under way."""
    left = progress.seconds_left
    return {
        "stage": _STAGE_TITLES.get(progress.stage, progress.stage.capitalize()),
        "percent": round(100 * progress.overall),
        "left": "" if left is None else f"about {max(1, round(left))} s left",
    }


def notice(words: str, kind: str = "bad") -> dict[str, str] | None:
    """Return what the page shows until it is read: "bad" or "good" news; None for an empty sentence."""
    return {"text": as_sentence(words), "kind": kind} if words else None


def as_sentence(words: str) -> str:
    """Return words of an error with a capital letter."""
    return words[:1].upper() + words[1:]
