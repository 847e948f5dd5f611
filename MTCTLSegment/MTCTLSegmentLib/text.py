"""Numbers as text, each with the form of its noun that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from mtctl.worker.requests import SegmentationProgress


def stage_text(stage: str) -> str:
    """Return what happens in one of `mtctl.worker.time_left.STAGES`."""
    return {
        "start": _("Starting the segmentation process"),
        "send": _("Handing over the scan"),
        "load": _("Loading the model"),
        "locate": _("Finding the atrium"),
        "prepare": _("Preparing the scan"),
        "network": _("Segmenting"),
        "maps": _("Computing the uncertainty"),
        "save": _("Collecting the results"),
        "receive": _("Fetching the results"),
    }.get(stage, stage)


def time_text(seconds: float) -> str:
    """Return the time left, as "about 20 seconds left", never more exact than it is known."""
    if seconds < 2:
        return _("a moment left")
    if seconds < 10:
        return _("a few seconds left")
    if seconds < 55:
        return _("about {count} seconds left").format(count=5 * round(seconds / 5))
    minutes = round(seconds / 60)
    return _("about a minute left") if minutes <= 1 else _("about {count} minutes left").format(count=minutes)


def progress_text(progress: SegmentationProgress) -> str:
    """Return stage and time left, as "Segmenting, about 20 seconds left"."""
    text = stage_text(progress.stage)
    return text if progress.seconds_left is None else f"{text}, {time_text(progress.seconds_left)}"
