"""Numbers and states as text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from slicer.i18n import tr as _

from MTCTLSegmentLib.text import time_text
from MTCTLTrainLib.runs.run_progress import RunProgress
from MTCTLTrainLib.runs.training_run import Phase, TrainingStatus

# The name that a store gives a case by its scan's checksum.
_BY_CHECKSUM = re.compile(r"case-([0-9a-f]{12}(?:-\d+)?)")

# The digits of a checksum that are shown, or as many more as tell the cases apart.
_DIGITS = 6


def short_names(ids: Iterable[str]) -> dict[str, str]:
    """Return short names of cases by their ids, no two alike: "076ed2" for "case-076ed2f896fd", others as they are."""
    found = {id: match.group(1) if (match := _BY_CHECKSUM.fullmatch(id)) else id for id in ids}
    digits = _DIGITS
    while True:
        names = {id: name if name == id else name[:digits] for id, name in found.items()}
        if len(set(names.values())) == len(names):
            return names
        digits += 1


def case_count_text(count: int) -> str:
    """Return a number of cases, as "1 case" or "3 cases"."""
    return _("1 case") if count == 1 else _("{count} cases").format(count=count)


def duration_text(seconds: float) -> str:
    """Return a duration, as "about 20 minutes", never more exact than it is known."""
    if seconds < 55:
        return _("less than a minute")
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("about a minute") if minutes <= 1 else _("about {count} minutes").format(count=minutes)
    return _("about {count:.1f} hours").format(count=seconds / 3600)


def left_text(seconds: float) -> str:
    """Return the time left, as "about 20 minutes left"."""
    if seconds < 90 * 60:
        return time_text(seconds)
    return _("about {count:.1f} hours left").format(count=seconds / 3600)


def state_text(status: TrainingStatus, progress: RunProgress) -> str:
    """Return the headline of a run."""
    if status.phase is Phase.STARTING:
        return _("Starting: loading the network")
    if status.phase is Phase.RUNNING:
        if progress.comparing:
            return _("Comparing the old and the new model on held-out cases")
        return _("Training") if progress.iteration else _("Reading the first cases")
    if status.phase is Phase.FINISHED:
        return _("Finished")
    if status.phase is Phase.FAILED:
        return _("It could not go on")
    return _("Ended before it was finished") if status.reason else _("Stopped")


def place_text(progress: RunProgress) -> str:
    """Return the position of a run, as "training 1 of 2, iteration 120 of 600, on cpu"."""
    parts = []
    if progress.folds > 1:
        parts.append(_("training {fold} of {folds}").format(fold=progress.fold, folds=progress.folds))
    if progress.of and progress.iteration:  # Before the first step it is not known how many fit into the minutes.
        parts.append(_("iteration {done} of {all}").format(done=progress.iteration, all=progress.of))
    if progress.device:
        parts.append(_("on {device}").format(device=progress.device))
    return ", ".join(parts)


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def date_text(iso: str) -> str:
    """Return date and time without the seconds, in UTC as in the store."""
    return iso[:16].replace("T", " ")
