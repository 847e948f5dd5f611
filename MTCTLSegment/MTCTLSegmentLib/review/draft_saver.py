"""Drafts in the case store, so that a review survives when Slicer ends without saving the scene."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from mtctl.errors import MtctlError
from mtctl.review.state import ReviewState, Status
from MTCTLSegmentLib import settings
from MTCTLSegmentLib.jobs.store_job import StoreJob
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.case_review import CaseReview
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.review.store_requests import note_stored, opened_from, prediction_request, review_request

# From the first change that is not in the store yet: no more than this is lost, however long a person goes on.
_REST_MS = 45_000


@dataclass
class _Watched:
    """A review, and what of it is in the store.

    Attributes:
        review: The review.
        saved: The marks and edits in the store (`_work`); at first those with which the review began.
        place: Store and id of the case that holds its prediction; None if unknown.
        record: Number of the draft that was saved last, which the next one replaces; None if unknown.
        text: Text for the panel.
    """

    review: CaseReview
    saved: Any
    place: tuple[Path, str] | None = None
    record: int | None = None
    text: str = ""


class DraftSaver(Panel):
    """Save the drafts of changed reviews, also of suspended ones, one after the other."""

    def __init__(self, ui: Any, current: CurrentReview, job: StoreJob) -> None:
        super().__init__()
        self._ui, self._current, self._job = ui, current, job
        self._watched: dict[str, _Watched] = {}  # By the scan's node.
        self._timer = self.make_timer(_REST_MS, self.save)
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Close the panel and forget all reviews."""
        super().close()
        self._watched.clear()

    def refresh(self) -> None:
        """Start the timer if a review has changes that are not in the store."""
        review, here = self._current.review, slicer.mrmlScene.GetNodeByID
        self._watched = {scan: each for scan, each in self._watched.items() if here(scan) is each.review.nodes.scan}
        watched = None if review is None else self._watch(review)
        self._ui.draftLabel.text = "" if watched is None else watched.text
        self._ui.draftLabel.setVisible(bool(self._ui.draftLabel.text))
        if not self._timer.isActive() and settings.setting("caseStore") and any(map(_is_due, self._watched.values())):
            self._timer.start()

    def save(self) -> None:
        """Save the next draft that is due; try again later if the store is busy or saving fails."""
        store = settings.setting("caseStore")
        due = next(filter(_is_due, self._watched.values()), None)
        if due is not None and store and not self._job.running:
            self._save(due, Path(store))
        self.refresh()

    def save_prediction(self) -> None:
        """Save a segmentation that has just arrived, where its scan is a case of the store: training looks there.

        That of another scan is saved with the first draft of its review.
        """
        store, review = settings.setting("caseStore"), self._current.review
        if not store or review is None or not review.own:
            return
        case = opened_from(Path(store), review.nodes.scan)
        if case is None:
            return
        watched = self._watch(review)
        try:
            requests = [prediction_request(review)]
        except MtctlError:
            return  # The draft's request says why, when there is something to save.

        def done(answer: dict[str, Any]) -> None:
            watched.place = Path(store), case
            note_stored(Path(store), review.nodes.scan, answer)

        def failed(reason: str) -> None:
            text = _("The segmentation could not be saved in the case store: {reason}.")
            watched.text = text.format(reason=reason.rstrip("."))
            self.refresh()

        self._job.start(Path(store), review.session.maps.geometry, requests, done, failed, case)

    def flush(self) -> None:
        """Save all drafts that are due at once, as the scene is about to be closed."""
        self._timer.stop()
        store = settings.setting("caseStore")
        for watched in filter(_is_due, self._watched.values()):
            if store:
                self._save(watched, Path(store))
        self._watched.clear()

    def _watch(self, review: CaseReview) -> _Watched:
        scan = review.nodes.scan.GetID()
        known = self._watched.get(scan)
        if known is None or known.review is not review:  # Segmented anew, or another segmentation is checked.
            known = self._watched[scan] = _Watched(review, _work(review.session.state))
        return known

    def _save(self, watched: _Watched, store: Path) -> None:
        review, place = watched.review, watched.place
        known = place[1] if place is not None and place[0] == store else None
        draft = review_request(review, "draft", review.mask, settings.setting("reviewer"))
        if known and watched.record is not None:
            draft = replace(draft, content={**draft.content, "replaces": watched.record})
        try:
            requests = [draft] if known else [prediction_request(review), draft]
            case = known or opened_from(store, review.nodes.scan)
        except MtctlError as error:
            self._not_saved(watched, str(error))
            return
        watched.saved = _work(review.session.state)

        def done(answer: dict[str, Any]) -> None:
            watched.place, watched.record = (store, str(answer["case"])), int(answer["record"])
            watched.text = _("Draft saved {time}.").format(time=time.strftime("%H:%M"))
            if answer.get("held"):
                text = _("Another person has this case open ({who}): both reviews are kept, agree on one.")
                watched.text += " " + text.format(who=answer["held"])
            note_stored(store, review.nodes.scan, answer)
            self.refresh()

        def failed(reason: str) -> None:
            watched.place = None
            if review.session.state.status is not Status.DRAFT:
                return  # A decision was made meanwhile: a draft after it would open the case again.
            if known:  # The case may have been deleted from the store: once more with all that belongs to it.
                self._save(watched, store)
            else:
                self._not_saved(watched, reason)

        self._job.start(store, review.session.maps.geometry, requests, done, failed, case)

    def _not_saved(self, watched: _Watched, reason: str) -> None:
        watched.saved = None
        text = _("The draft could not be saved: {reason}. This is tried again; until then save the scene.")
        watched.text = text.format(reason=reason.rstrip("."))
        self.refresh()


def _is_due(watched: _Watched) -> bool:
    state = watched.review.session.state
    return state.status is Status.DRAFT and watched.saved != _work(state)


def _work(state: ReviewState) -> Any:
    """Return the edits and replies of a review, without what was looked at and the threshold."""
    return state.edits, state.replies
