"""The questions about a review, one rule for every window: when the child process is asked, which question is looked
at, and what becomes of an answer on its way. No torch, no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtctl.review.case_maps import ReviewError
from mtctl.worker.requests import QuestionHandlers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mtctl.geometry import Mask
    from mtctl.guidance.outlook import Outlook
    from mtctl.review.answers import Answer, Point, Said, ShownQuestion
    from mtctl.worker.client import WorkerClient
    from mtctl.worker.question_host import QuestionedReview, QuestionHost


@dataclass(frozen=True)
class _QuestionedState:
    """What questions are about. Review and mask are compared as objects."""

    review: QuestionedReview
    mask: Mask
    said: Said

    def is_still(self, other: _QuestionedState | None) -> bool:
        return other is not None and self.review is other.review and self.mask is other.mask and self.said == other.said


class QuestionDialogue:
    """Ask the child process, keep what it says, and apply answers.

    Attributes:
        questions: Those worth asking, most to be expected first.
        at: Place in the list of the question that is looked at; None: none is.
        outlook: How sure the segmentation is; None: not known yet.
        problem: Why there are no questions, in words, or "".
    """

    def __init__(self, host: QuestionHost, client: WorkerClient) -> None:
        """Ask nothing yet.

        Args:
            host: Where the case and the questions are shown.
            client: Takes the questions; its owner closes it.
        """
        self._host, self._client = host, client
        self._review: QuestionedReview | None = None
        self._number: int | None = None  # Of the request whose answer is waited for.
        self._forget()

    def _forget(self) -> None:
        """Drop all that belongs to a review."""
        self._drop()
        self.questions: list[ShownQuestion] = []
        self.at: int | None = None
        self.outlook: Outlook | None = None
        self.problem = ""
        self._listed: list[ShownQuestion] = []  # As they came; those of places that were kept since are among them.
        self._listed_mask: Mask | None = None  # What they are about.
        self._kept: tuple[Point, ...] = ()  # As the review had them when it was looked at last,
        self._mask: Mask | None = None  # and the segmentation then.
        self._asked: _QuestionedState | None = None  # What the questions are about, or were asked for last.
        self._given: tuple[Answer, ShownQuestion | None] | None = None  # An answer on its way.
        self._go = True  # Whether the views go to the first question of the list that comes.
        self._wanted: Point | None = None  # Or to the one at this place: its answer was withdrawn.

    @property
    def current(self) -> ShownQuestion | None:
        """The question that is looked at."""
        return self.questions[self.at] if self.at is not None else None

    @property
    def answering(self) -> bool:
        """Whether what an answer changes is being worked out."""
        return self._given is not None

    @property
    def running(self) -> bool:
        """Whether the child has still to say something."""
        return self._number is not None

    @property
    def asking(self) -> bool:
        """Whether the list is being worked out, or is to be."""
        return self.running or self.due

    @property
    def due(self) -> bool:
        """Whether the list is of another state than the present one, and is to be asked for."""
        state = self._state()
        return state is not None and not self.problem and not state.is_still(self._asked)

    def follow(self) -> None:
        """Take note of the open review, which may be another, or have changed."""
        if self._host.review is not self._review:
            self._review = self._host.review
            self._forget()
        state, asked = self._state(), self._asked
        if state is None or asked is None:
            return
        if state.mask is not self._mask:
            self._wanted = None
        if state.mask is not asked.mask:
            self._go = False  # The person is at work: the views stay where they are.
            self._hide()
        if withdrawn := [place for place in self._kept if place not in state.said.kept]:
            self._wanted = withdrawn[-1]
            if state.is_still(asked) and not self.running:
                self._show_list(self._listed)  # As if nothing had been said.
        self._kept, self._mask = state.said.kept, state.mask

    def ask(self) -> None:
        """Ask about the present state, after an answer on its way; raises MtctlError where the case cannot be read."""
        self._drop()
        state = self._asked = self._state()
        if state is None:
            return
        number, given = 0, self._given

        def heard(then: Callable[[Any], None], last: bool = False) -> Callable[[Any], None]:
            def call(content: object) -> None:
                if self._number != number:  # A newer one was asked meanwhile.
                    return
                if last:
                    self._number = None
                try:
                    then(content)
                finally:
                    self._host.changed()

            return call

        handlers = QuestionHandlers(
            answered=heard(self._answered),
            outlook=heard(self._outlook_came),
            done=heard(self._came, last=True),
            failed=heard(self._failed, last=True),
        )
        try:
            case = self._host.case()
        except Exception:
            self._given = None
            raise
        answer = given[0] if given else None
        self._number = number = self._client.ask(case, state.mask, state.said, answer, handlers)
        self._host.listen()

    def ask_again(self) -> None:
        """Ask once more after a failure; raises as `ask` does."""
        self.problem, self._asked = "", None
        self.ask()

    def fail(self, message: str) -> None:
        """Note that nothing can be heard of what was asked."""
        self._drop()
        self._failed(message)
        self._host.changed()

    def leave(self) -> None:
        """Let go of what is under way, as the case is left or decided on: it is asked for again afterwards."""
        if self.running:
            self._drop()
            self._asked = None
        self._given = None

    def take_back(self) -> bool:
        """Let go of an answer on its way, which is what the person did last; return whether there was one."""
        if not self.answering:
            return False
        self.leave()
        self._host.changed()
        return True

    def stay(self) -> None:
        """Leave the views where they are when questions come: the person looks at something else."""
        self._go, self._wanted = False, None

    def step(self, by: int) -> None:
        """Go to another question, after the last to the first."""
        self._wanted = None
        if self.questions:
            start = self.at if self.at is not None else min(-by, 0)
            self._look_at((start + by) % len(self.questions))
            self._host.changed()

    def keep(self) -> None:
        """Record that the segmentation is right at the present question, and go to the next."""
        question, at = self.current, self.at
        if question is None or at is None or self.answering:
            return
        self._host.keep(question)
        self.questions = [one for one in self.questions if one is not question]
        self._go, self._wanted = True, None
        if self.questions:
            self._look_at(at % len(self.questions))
        else:
            self.at = None
            self._hide()
        self._host.changed()

    def change(self) -> None:
        """Give the opposite answer to the present question."""
        question = self.current
        if question is not None and not self.answering:
            self.give(question.answer, question)
            self._go = True

    def give(self, answer: Answer, question: ShownQuestion | None = None) -> None:
        """Give an answer: the segmentation changes as soon as the child has said how.

        Args:
            answer: Its places as they are in the review.
            question: Which question it answers; None: nobody asked.

        Raises:
            MtctlError: A place lies out of the scan, or as `ask`.
        """
        review = self._host.review
        if self.answering or review is None:
            return
        geometry = review.session.maps.geometry
        for index in geometry.physical_to_index(answer.clicks).reshape(-1, 3).round():
            if not all(0 <= at < size for at, size in zip(index, geometry.size, strict=True)):
                raise ReviewError("that place lies out of the scan: click on it")
        self._host.settle()
        self._given, self._wanted = (answer, question), None
        self.problem = ""
        self.ask()
        self._host.changed()

    def _answered(self, voxels: NDArray[np.int64]) -> None:
        self._host.settle()  # A stroke of this very moment counts, too.
        asked, given = self._asked, self._given
        if given is None or asked is None or not asked.is_still(self._state()):
            return  # The segmentation has changed since: it is asked again, for what it is now.
        self._given = None
        answer, question = given
        if question is not None:
            self.questions, self.at = [], None
        self._asked = None  # The change that follows is no stroke.
        self._host.answer(voxels, answer, question)
        self._asked = self._state()  # The questions that come are of this state.

    def _outlook_came(self, outlook: Outlook) -> None:
        if self._is_present():
            self.outlook = outlook

    def _came(self, questions: list[ShownQuestion]) -> None:
        if self._is_present():
            self._listed, self._listed_mask = questions, self._asked.mask if self._asked else None
            self._show_list(questions)

    def _failed(self, message: str) -> None:
        self._given, self.problem = None, message
        self._listed, self.questions, self.at = [], [], None
        self._hide()

    def _state(self) -> _QuestionedState | None:
        review = self._host.review
        return None if review is None else _QuestionedState(review, review.mask, review.session.said)

    def _is_present(self) -> bool:
        return self._asked is not None and self._asked.is_still(self._state())

    def _drop(self) -> None:
        """Hear nothing more of what was asked. A child that is at it goes on: ending it would cost seconds."""
        if self._number is not None:
            self._client.withdraw(self._number)
        self._number = None

    def _show_list(self, questions: list[ShownQuestion]) -> None:
        looked_at, shown = self.current, self._host.previews
        same = [n for n, one in enumerate(questions) if looked_at and one.click == looked_at.click]
        back = [n for n, one in enumerate(questions) if one.place == self._wanted]
        self.questions, self.at = list(questions), None
        if back:
            self._look_at(back[0])
        elif same:
            self.at = same[0]
            if shown or self._go:
                self._preview(questions[same[0]])
        elif questions and self._go:
            self._look_at(0)
        else:
            self._hide()
        self._go, self._wanted = False, None

    def _look_at(self, index: int) -> None:
        review, question = self._host.review, self.questions[index]
        if review is None:
            return
        self.at = index
        review.session.look_at(question.place)
        self._host.look_at(question)
        if review.mask is self._listed_mask:
            self._preview(question)  # Else it would change something else now.

    def _preview(self, question: ShownQuestion) -> None:
        if len(question.voxels):
            self._host.preview(question)
        else:
            self._hide()

    def _hide(self) -> None:
        if self._host.previews:
            self._host.preview(None)
