"""Section 5: the decision on the case, and the case store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from mtctl import scene
from mtctl.review.state import Status
from MTCTLSegmentLib import settings
from MTCTLSegmentLib.error_display import errors_shown
from MTCTLSegmentLib.jobs.store_job import StoreJob
from MTCTLSegmentLib.panel import Panel
from MTCTLSegmentLib.review.case_review import CaseReview
from MTCTLSegmentLib.review.current_review import CurrentReview
from MTCTLSegmentLib.review.store_requests import note_stored, opened_from, prediction_request, review_request
from MTCTLSegmentLib.widgets.folder_edit import FolderEdit


class FinishPanel(Panel):
    """Accept or reject the case; either decision is saved at once.

    Attributes:
        storeEdit: The field with the case store.
    """

    def __init__(
        self, ui: Any, current: CurrentReview, job: StoreJob, settle: Callable[[], None], decided: Callable[[], None]
    ) -> None:
        """Decide nothing yet.

        Args:
            ui: The module's widgets.
            current: The open review.
            job: Writes into the store.
            settle: Notes a stroke that was made just now.
            decided: Called right after a decision: what is under way must not change the case any more.
        """
        super().__init__()
        self._ui, self._current, self._job = ui, current, job
        self._settle, self._decided = settle, decided
        self._saving: CaseReview | None = None
        self._saving_text = ""
        self._remark_of: Any = None  # The scan that the typed remark is about.
        self.storeEdit = FolderEdit(ui.storeEdit, self._store_chosen)
        self.show_settings()
        self.connect(
            (ui.reviewerEdit, "textChanged(QString)", self._signed),
            (ui.acceptCaseButton, "clicked()", self.accept),
            (ui.rejectCaseButton, "clicked()", self.reject),
        )
        self.listen(current, self.refresh)

    def close(self) -> None:
        """Revoke a decision that is not saved yet, after the store job was closed, and close the panel."""
        if self._saving is not None:
            self._saving.session.reopen_case()
        self.storeEdit.close()
        super().close()

    def show_settings(self) -> None:
        """Show the case store, which MTCTLTrain may have changed, and the reviewer."""
        settings.show("caseStore", self._ui.storeEdit)
        self._ui.reviewerEdit.text = settings.setting("reviewer")

    def refresh(self) -> None:
        """Show the decision, if there is one."""
        review = self._current.review
        ui = self._ui
        ui.finishSection.enabled = review is not None
        for button in (ui.acceptCaseButton, ui.rejectCaseButton):
            button.enabled = review is not None and self._saving is None
        if review is not None and review.nodes.scan is not self._remark_of:
            self._remark_of, ui.reasonEdit.text = review.nodes.scan, ""
        if review is not None and review is not self._saving:
            status = review.session.state.status
            ui.finishLabel.text = {
                Status.ACCEPTED: _("Accepted and saved. Any change opens the case again."),
                Status.REJECTED: _("Rejected and saved: {reason}").format(reason=review.session.state.reason),
                Status.DRAFT: "",
            }[status]
        else:
            ui.finishLabel.text = self._saving_text if review is not None else ""

    def accept(self) -> None:
        """Accept the segmentation as it is now."""
        with errors_shown():
            review, store = self._current.review, self._chosen_store()
            if review is None or store is None:
                return
            self._settle()
            review.discard()
            review.session.accept_case()
            self._decided()
            self._save(review, store, "accept")

    def reject(self) -> None:
        """Reject the case as unusable."""
        with errors_shown():
            review, store = self._current.review, self._chosen_store()
            if review is None or store is None:
                return
            self._settle()
            review.discard()
            review.session.reject_case(self._ui.reasonEdit.text)
            self._decided()
            self._save(review, store, "reject")

    def _save(self, review: CaseReview, store: Path, operation: str) -> None:
        try:
            mask, case = scene.mask_of(review.nodes), opened_from(store, review.nodes.scan)
            # The store may be another one than before, or the case deleted from it: what it has is not stored again.
            decision = review_request(review, operation, mask, settings.setting("reviewer"))
            requests, geometry = [prediction_request(review), decision], review.session.maps.geometry
            self._job.start(store, geometry, requests, partial(self._saved, store), self._not_saved, case)
        except Exception:  # The segment was deleted, or the disk is full: a decision that is not saved is none.
            review.session.reopen_case()
            self._current.save_and_notify()
            raise
        self._saving, self._saving_text = review, _("Saving into {folder} ...").format(folder=store)
        self._current.save_and_notify()

    def _saved(self, store: Path, answer: dict[str, Any]) -> None:
        review, self._saving = self._saving, None
        if review is not None:
            note_stored(store, review.nodes.scan, answer)
        self._current.save_and_notify()
        if review is self._current.review:
            self._ui.finishLabel.text += " " + _("Case {case}, version {version}.").format(
                case=answer["case"], version=answer.get("version", "")
            )

    def _not_saved(self, reason: str) -> None:
        review, self._saving = self._saving, None
        if review is not None:
            review.session.reopen_case()
        self._current.save_and_notify()
        slicer.util.errorDisplay(_("The case was not saved: {reason}").format(reason=reason))

    def _chosen_store(self) -> Path | None:
        edit = self._ui.storeEdit
        path = str(edit.currentPath).strip()
        if not Path(path).is_absolute():
            path = qt.QFileDialog.getExistingDirectory(edit, _("Folder of the case store: cases are saved there"))
            if not path:
                return None
            edit.currentPath = path
        self._store_chosen(path)
        return Path(path)

    def _store_chosen(self, path: str) -> None:
        settings.remember("caseStore", path)
        self._current.notify()

    def _signed(self, name: str) -> None:
        settings.remember("reviewer", name.strip())
