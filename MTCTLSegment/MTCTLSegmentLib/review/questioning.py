"""What the module's window does for the questions about the open review, see `QuestionDialogue`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mtctl.scene import SceneError
from MTCTLSegmentLib.jobs.warm_worker import WarmWorker
from MTCTLSegmentLib.review.case_review import CaseReview
from MTCTLSegmentLib.review.current_review import CurrentReview

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mtctl.review.answers import Answer, ShownQuestion
    from mtctl.worker.requests import QuestionedCase


class QuestionsInScene:
    """Shows questions about the open review in the scene, and applies answers to it."""

    def __init__(
        self, current: CurrentReview, worker: WarmWorker, settle: Callable[[], None],
        save_for_undo: Callable[[], None], answered: Callable[[], None], changed: Callable[[], None],
    ) -> None:  # fmt: skip
        """Show nothing yet.

        Args:
            current: The open review.
            worker: Is listened to once it was asked.
            settle: Notes a stroke that was made just now.
            save_for_undo: Called right before an answer is recorded.
            answered: Called right after.
            changed: Called when questions have come, or none can.
        """
        self._current, self._worker = current, worker
        self._settle, self._save_for_undo, self._answered, self._changed = settle, save_for_undo, answered, changed

    @property
    def review(self) -> CaseReview | None:
        """The open review."""
        return self._current.review

    @property
    def previews(self) -> bool:
        """Whether it is shown what an answer would change."""
        return self.review is not None and self.review.asked is not None

    def case(self) -> QuestionedCase:
        """Return the case as it was before any review.

        Raises:
            SceneError: There is none, the scan was deleted, or is under a warping transform.
        """
        return self._open().questioned()

    def listen(self) -> None:
        """Listen to the child."""
        self._worker.listen()

    def settle(self) -> None:
        """Record a stroke that was made just now."""
        self._settle()

    def look_at(self, question: ShownQuestion) -> None:
        """Go to the place of a question, and save that it was looked at."""
        self._open().look_at(question)
        self._current.save_draft()

    def preview(self, question: ShownQuestion | None) -> None:
        """Show what the opposite answer would change; None: show that no more."""
        if question is None:
            self._open().discard()
        else:
            self._open().preview_question(question)

    def keep(self, question: ShownQuestion) -> None:
        """Record that the segmentation is right there, as one undo step, and save the draft."""
        self._settle()  # A stroke of this very moment is a step of its own, before.
        self._open().keep(question, self._save_for_undo)
        self._current.save_and_notify()

    def answer(self, voxels: NDArray[np.int64], answer: Answer, question: ShownQuestion | None) -> None:
        """Change what an answer changes, record both, and save the draft."""
        self._open().answer(voxels, answer, question, self._save_for_undo)
        self._answered()

    def changed(self) -> None:
        """Show the questions."""
        self._changed()

    def _open(self) -> CaseReview:
        review = self.review
        if review is None:
            raise SceneError("There is no case under review: segment a scan first.")
        return review
