"""The questions about the open review: asked for anew whenever the segmentation or what was said of it has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtctl.guidance.outlook import Outlook
from mtctl.review.answers import Answer, Said, ShownQuestion
from mtctl.worker.requests import QuestionHandlers
from MTCTLSegmentLib.jobs.question_job import QuestionJob
from MTCTLSegmentLib.review.case_review import CaseReview
from MTCTLSegmentLib.review.current_review import CurrentReview

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mtctl.geometry import Mask


@dataclass(frozen=True)
class _QuestionedState:
    """What questions are about. Review and mask are compared as objects: a mask is never changed in place."""

    review: CaseReview
    mask: Mask
    said: Said

    def is_still(self, other: _QuestionedState | None) -> bool:
        return other is not None and self.review is other.review and self.mask is other.mask and self.said == other.said


class Questioning:
    """Ask the child process, keep what it says, and apply answers; `changed` is called when something has come.

    Attributes:
        questions: Those worth asking, most to be expected first.
        at: Place in the list of the question that is looked at; None: none is.
        outlook: How sure the segmentation is; None: not known yet.
        problem: Why there are no questions, in words, or "".
    """

    def __init__(
        self, current: CurrentReview, job: QuestionJob, settle: Callable[[], None], save_for_undo: Callable[[], None],
        answered: Callable[[], None], changed: Callable[[], None],
    ) -> None:  # fmt: skip
        """Ask nothing yet.

        Args:
            current: The open review.
            job: Asks the child.
            settle: Notes a stroke that was made just now.
            save_for_undo: Called right before an answer changes the segmentation.
            answered: Called right after.
            changed: Called when questions have come, or none can.
        """
        self._current, self._job = current, job
        self._settle, self._save_for_undo, self._tell_answered, self._changed = settle, save_for_undo, answered, changed
        self._review: CaseReview | None = None
        self._forget()

    def _forget(self) -> None:
        self._job.drop()
        self.questions: list[ShownQuestion] = []
        self.at: int | None = None
        self.outlook: Outlook | None = None
        self.problem = ""
        self._asked: _QuestionedState | None = None  # What the questions are about, or were asked for last.
        self._answer: tuple[Answer, ShownQuestion | None] | None = None  # Given, and on its way.
        self._go = True  # Whether the views go to the first question of the list that comes.

    @property
    def current(self) -> ShownQuestion | None:
        """The question that is looked at."""
        return self.questions[self.at] if self.at is not None else None

    @property
    def answering(self) -> bool:
        """Whether what an answer changes is being worked out."""
        return self._answer is not None

    @property
    def asking(self) -> bool:
        """Whether the list is being worked out, or is to be."""
        return self._job.running or self.due

    @property
    def due(self) -> bool:
        """Whether the list is of another state than the present one, and is to be asked for."""
        state = self._state()
        return state is not None and not self.problem and not state.is_still(self._asked)

    def follow(self) -> None:
        """Take note of the open review, which may be another, or have changed."""
        if self._current.review is not self._review:
            self._review = self._current.review
            self._forget()
        state = self._state()
        if state is not None and self._asked is not None and state.mask is not self._asked.mask:
            self._go = False  # The person is at work: the views stay where they are.

    def ask(self) -> None:
        """Ask for the questions of the present state, after an answer where one is on its way.

        Raises:
            SceneError: The scan was deleted, or is under a warping transform.
        """
        state = self._asked = self._state()
        if state is None:
            return
        case, answer = state.review.questioned(), self._answer
        handlers = QuestionHandlers(
            answered=self._answered, outlook=self._outlook_came, done=self._came, failed=self._failed
        )
        self._job.ask(case, state.mask, state.said, answer[0] if answer else None, handlers)

    def ask_again(self) -> None:
        """Ask once more after a failure."""
        self.problem, self._asked = "", None
        self.ask()

    def leave(self) -> None:
        """Let go of what is under way, as the module is left or the scene goes: it is asked for again on return."""
        if self._job.running:
            self._job.drop()
            self._asked = None
        self._answer = None

    def step(self, by: int) -> None:
        """Go to another question, after the last to the first."""
        if self.questions:
            start = self.at if self.at is not None else min(-by, 0)
            self._look_at((start + by) % len(self.questions))

    def keep(self) -> None:
        """Record that the segmentation is right at the present question, and go to the next."""
        question, review = self.current, self._current.review
        if question is None or review is None or self.at is None or self.answering:
            return
        review.session.keep(question)
        self.questions = [one for one in self.questions if one is not question]
        self._go = True
        if self.questions:
            self._look_at(self.at % len(self.questions))
        else:
            self.at = None
            review.discard()

    def change(self) -> None:
        """Give the opposite answer to the present question."""
        question = self.current
        if question is not None:
            self.give(question.answer, question)
            self._go = True

    def give(self, answer: Answer, question: ShownQuestion | None = None) -> None:
        """Give an answer: the segmentation changes as soon as the child has said how.

        Args:
            answer: Its places as they are in the review.
            question: Which question it answers; None: nobody asked.

        Raises:
            SceneError: As `ask`.
        """
        if self.answering or self._current.review is None:
            return
        self._settle()
        self._answer = answer, question
        self.problem = ""
        self.ask()

    def _state(self) -> _QuestionedState | None:
        review = self._current.review
        if review is None or self._current.parameters is None:
            return None
        return _QuestionedState(review, review.mask, review.session.said)

    def _look_at(self, index: int) -> None:
        review = self._current.review
        if review is None:
            return
        self.at = index
        question = self.questions[index]
        review.look_at(question)
        if self._asked is not None and review.mask is self._asked.mask:  # Else what it would change is not known.
            review.preview_question(question)

    # --- what the child says ------------------------------------------------------------------------------------------

    def _answered(self, voxels: NDArray[np.int64]) -> None:
        self._settle()  # A stroke of this very moment counts, too.
        asked, review, given = self._asked, self._current.review, self._answer
        if asked is None or review is None or given is None or not asked.is_still(self._state()):
            return  # The segmentation has changed since: it is asked again, for what it is now.
        self._answer = None
        answer, question = given
        review.answer(voxels, answer, question, self._save_for_undo)
        if question is not None:
            self.questions, self.at = [], None
        self._asked = self._state()  # The questions that come are of this state.
        self._tell_answered()

    def _outlook_came(self, outlook: Outlook) -> None:
        if self._asked is not None and self._asked.is_still(self._state()):
            self.outlook = outlook

    def _came(self, questions: list[ShownQuestion]) -> None:
        review = self._current.review
        if review is None or self._asked is None or not self._asked.is_still(self._state()):
            return
        looked_at, shown = self.current, review.asked is not None
        same = [n for n, one in enumerate(questions) if looked_at and one.click == looked_at.click]
        self.questions, self.at = questions, None
        if same:
            self.at = same[0]
            if shown or self._go:
                review.preview_question(questions[same[0]])
        elif questions and self._go:
            self._look_at(0)
        elif review.asked is not None:
            review.discard()
        self._go = False
        self._changed()

    def _failed(self, message: str) -> None:
        self._answer = None
        self.problem = message
        self.questions, self.at = [], None
        if self._current.review is not None and self._current.review.asked is not None:
            self._current.review.discard()
        self._changed()
