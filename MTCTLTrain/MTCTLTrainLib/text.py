"""Numbers and states as a person says them."""

from __future__ import annotations

from slicer.i18n import tr as _

from MTCTLSegmentLib.text import time_words
from MTCTLTrainLib.runs.run_progress import RunStory
from MTCTLTrainLib.runs.training_run import Phase, Standing


def duration_words(seconds: float) -> str:
    """ "about 20 minutes": never more exact than it is known."""
    if seconds < 55:
        return _("less than a minute")
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("about a minute") if minutes <= 1 else _("about {count} minutes").format(count=minutes)
    return _("about {count:.1f} hours").format(count=seconds / 3600)


def left_words(seconds: float) -> str:
    """ "about 20 minutes left"."""
    if seconds < 90 * 60:
        return time_words(seconds)
    return _("about {count:.1f} hours left").format(count=seconds / 3600)


def state_words(standing: Standing, story: RunStory) -> str:
    """The headline of a run."""
    if standing.phase is Phase.STARTING:
        return _("Starting: loading the network")
    if standing.phase is Phase.RUNNING:
        if story.comparing:
            return _("Comparing the old and the new model on held-out cases")
        return _("Training") if story.iteration else _("Reading the first cases")
    if standing.phase is Phase.FINISHED:
        return _("Finished")
    if standing.phase is Phase.FAILED:
        return _("It could not go on")
    return _("Ended before it was finished") if standing.reason else _("Stopped")


def place_words(story: RunStory) -> str:
    """ "training 1 of 2, iteration 120 of 600, on cpu"."""
    parts = []
    if story.folds > 1:
        parts.append(_("training {fold} of {folds}").format(fold=story.fold, folds=story.folds))
    if story.of:
        parts.append(_("iteration {done} of {all}").format(done=story.iteration, all=story.of))
    if story.device:
        parts.append(_("on {device}").format(device=story.device))
    return ", ".join(parts)


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def date_words(iso: str) -> str:
    """Date and time as in a list, without the seconds; UTC as the store has it."""
    return iso[:16].replace("T", " ")
