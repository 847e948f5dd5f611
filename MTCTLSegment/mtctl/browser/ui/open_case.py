"""The case on the screen: its review, the segmentation as it is now, undo and redo. No views here."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from mtctl.browser.sources.base import OpenedCase
from mtctl.browser.ui.history import EditHistory
from mtctl.geometry import Mask
from mtctl.io.reports import likely_wrong_ml
from mtctl.review.answers import Answer, ShownQuestion, with_changed
from mtctl.review.case_maps import ReviewError
from mtctl.review.session import ReviewSession
from mtctl.review.state import Edit, summary


class CaseUnderReview:
    """A case that was segmented, under review.

    Attributes:
        key: Of the case in its source.
        name: For the person.
        session: The review.
        mask: The segmentation as it is now, (z, y, x); replaced, never changed in place.
        history: For undo and redo.
        report: The case's JSON.
    """

    def __init__(self, key: str, name: str, opened: OpenedCase) -> None:
        if opened.data is None or opened.session is None or opened.mask is None:
            raise ReviewError(f"{name}: segment the scan first")
        self.key, self.name = key, name
        self.session, self.mask = opened.session, opened.mask
        self.report = opened.data.report
        self.history = EditHistory()

    def edited(self, kind: str, mask: Mask) -> Edit | None:
        """Record that the segmentation was changed by hand; None where nothing changed.

        Raises:
            ReviewError: The mask is on another grid.
        """
        edit, given = self.session.record(kind, mask), self.session.replies_given
        if edit and self.history.add(kind, self.mask, mask, (given, given)):
            self.mask = mask.copy()
        return edit

    def undo(self) -> bool:
        """Take back the last edit or reply; return whether there was one."""
        return self._turn("undo", self.history.undo(self.mask))

    def redo(self) -> bool:
        """Bring back what was undone last; return whether there was something."""
        return self._turn("redo", self.history.redo(self.mask))

    def answer(self, voxels: NDArray[np.int64], answer: Answer, question: ShownQuestion | None) -> None:
        """Change what an answer changes, as one step of the history also where that is nothing.

        Args:
            voxels: Flat indices of the voxels that change side.
            answer, question: See `ReviewSession.answer`.
        """
        mask = with_changed(self.mask, voxels) if len(voxels) else self.mask
        before = self.session.replies_given
        self.session.answer(answer, mask, question)
        self.history.add("answer", self.mask, mask, (before, self.session.replies_given))
        self.mask = mask

    def keep(self, question: ShownQuestion) -> None:
        """Record that the segmentation is right at a question, as one step of the history."""
        before = self.session.replies_given
        self.session.keep(question)
        self.history.add("keep", self.mask, self.mask, (before, self.session.replies_given))

    def snapshot(self) -> tuple[ReviewSession, Mask]:
        """Return the review and the mask as they are now, to be written by a thread while the person goes on."""
        return copy.copy(self.session), self.mask

    def summary_text(self) -> str:
        """Return how the review stands, in words: see `review.state.summary`."""
        return summary(self.session.state.replies, likely_wrong_ml(self.report), self.likely_dice)

    @property
    def likely_dice(self) -> tuple[float, float] | None:
        """The 90 % interval of the Dice of the segmentation before the review; None where it is not known."""
        interval = self.report.get("case_score_interval")
        return (float(interval[0]), float(interval[1])) if isinstance(interval, list) and len(interval) == 2 else None

    @property
    def volume_ml(self) -> float:
        """Of the segmentation as it is now."""
        return float(np.count_nonzero(self.mask)) * self.session.maps.geometry.voxel_ml

    def _turn(self, kind: str, turned: tuple[Mask, int] | None) -> bool:
        if turned is None:
            return False
        self.mask, given = turned
        self.session.record(kind, self.mask, given)
        return True
