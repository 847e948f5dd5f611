"""The questions about the case on the screen: asked of the warm child process, and asked anew after each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.tabs import CLIENT
from mtctl.geometry import Mask, Triple, Volume
from mtctl.guidance.outlook import Outlook, outlook_words, question_words
from mtctl.review import proposals
from mtctl.review.answers import Said, ShownQuestion
from mtctl.review.case_maps import RegionPart
from mtctl.review.proposals import Proposal
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import QuestionedCase, QuestionHandlers

#: Seconds after the last change: a person who strokes, or keeps several places, goes on.
_AFTER = 0.3

#: Seconds between two looks at the child.
_PERIOD = 0.05

#: Nothing is asked; the page's state as it begins.
NO_QUESTIONS: dict[str, Any] = {"text": "", "outlook": "", "at": None, "count": 0, "busy": False, "failed": False}


class QuestionPage(Protocol):
    """What the questions do with the page.

    Attributes:
        state: trame's; "questions" is shown in the strip.
        scan: The scan on the screen.
    """

    state: Any
    scan: Volume | None

    def discard(self) -> None:
        """Remove every preview."""

    def look_at(self, place: Triple) -> None:
        """Centre the views on a place, LPS mm."""

    def preview_question(self, proposal: Proposal | None) -> None:
        """Show what the opposite answer would change; None: nothing. A proposal that is previewed stays."""

    def review_changed(self) -> None:
        """Show the review and save it soon."""

    def answered(self, tab: str) -> None:
        """Show the segmentation that a tab's answer changed, and save the review soon."""

    def report(self, error: Exception) -> str:
        """Show what went wrong; return the sentence."""


@dataclass(frozen=True)
class _Stand:
    """What questions are about. A mask is never changed in place, so that it is compared as an object."""

    mask: Mask
    said: Said

    def is_still(self, other: _Stand | None) -> bool:
        return other is not None and self.mask is other.mask and self.said == other.said


@dataclass(frozen=True)
class _Given:
    """The opposite answer to a question, given by a tab and on its way."""

    question: ShownQuestion
    tab: str


class PageQuestions:
    """Asks the child process from the event loop, shows what it says, and applies answers."""

    def __init__(self, page: QuestionPage, client: WorkerClient, device: str) -> None:
        """Ask nothing yet.

        Args:
            page: Where the case and the questions are shown.
            client: Takes the questions; its owner closes it.
            device: One of `device.DEVICES`.
        """
        self._page, self._client, self._device = page, client, device
        self._number: int | None = None  # Of the request whose answer is waited for.
        self._poller: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._case: CaseUnderReview | None = None
        self._forget()

    def _forget(self) -> None:
        """Drop all that belongs to a case."""
        self._stop_timer()
        self._drop_request()
        self._key = uuid4().hex  # Names the case for the child.
        self._questions: list[ShownQuestion] = []
        self._at: int | None = None
        self._outlook: Outlook | None = None
        self._problem = ""
        self._asked: _Stand | None = None  # What the questions are about, or were asked for last.
        self._given: _Given | None = None
        self._shown = False  # Whether a question is previewed.
        self._go = True  # Whether the views go to the first question of the list that comes.

    def follow(self, case: CaseUnderReview | None) -> None:
        """Take note of how the case on the screen stands; None: there is none that may be changed."""
        if case is not self._case:
            self._forget()
            self._case = case
        stand = self._stand()
        if stand is not None and self._asked is not None and stand.mask is not self._asked.mask:
            self._go = False  # The person is at work: the views stay where they are.
            self._hide()
        if self._is_due():
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(_AFTER, self._ask)
        self._show()

    def stay(self) -> None:
        """Leave the views where they are when questions come: the person looks at something else."""
        self._go = False

    def keep(self) -> None:
        """Record that the segmentation is right at the present question, and go to the next."""
        question, case = self._current, self._case
        if question is None or case is None or self._at is None or self._given:
            return
        case.session.keep(question)
        self._questions = [one for one in self._questions if one is not question]
        self._go = True
        if self._questions:
            self._look_at(self._at % len(self._questions))
        else:
            self._at = None
            self._hide()
        self._page.review_changed()

    def change(self) -> None:
        """Give the opposite answer to the present question: what it changes comes from the child."""
        question = self._current
        if question is not None and self._given is None:
            self._given, self._go = _Given(question, CLIENT.get()), True
            self._ask()

    def next(self) -> None:
        """Go to the question after the present one, after the last to the first."""
        self._step(1)

    def previous(self) -> None:
        """Go to the question before the present one, before the first to the last."""
        self._step(-1)

    def again(self) -> None:
        """Ask once more after a failure."""
        if self._problem:
            self._problem, self._asked = "", None
            self._ask()

    def leave(self) -> None:
        """Let go of an answer that is on its way, as the case is decided on; questions are asked for again."""
        self._drop_request()
        self._asked = self._given = None

    def close(self) -> None:
        """Wait for nothing any more."""
        self._case = None
        self._forget()
        if self._poller:
            self._poller.cancel()

    # --- asking -------------------------------------------------------------------------------------------------------

    @property
    def _current(self) -> ShownQuestion | None:
        return self._questions[self._at] if self._at is not None else None

    def _stand(self) -> _Stand | None:
        return _Stand(self._case.mask, self._case.session.said) if self._case else None

    def _is_due(self) -> bool:
        stand = self._stand()
        return stand is not None and not self._problem and not stand.is_still(self._asked)

    def _drop_request(self) -> None:
        """Hear nothing more of what was asked. A child that is at it goes on: ending it would cost seconds."""
        number, self._number = self._number, None
        if number is not None:
            self._client.withdraw(number)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _ask(self) -> None:
        """Ask for the questions of the present state, after an answer where one is on its way."""
        self._stop_timer()
        self._drop_request()
        case, scan, stand = self._case, self._page.scan, self._stand()
        self._asked = stand
        if case is None or scan is None or stand is None:
            return
        maps, number = case.session.maps, 0

        def heard(then: Callable[[Any], None], last: bool = False) -> Callable[[Any], None]:
            def call(content: object) -> None:
                if self._number != number:  # A newer one was asked meanwhile.
                    return
                if last:
                    self._number = None
                with self._page.state:
                    then(content)
                    self._show()

            return call

        handlers = QuestionHandlers(
            answered=heard(self._answered),
            outlook=heard(self._outlook_came),
            done=heard(self._came, last=True),
            failed=heard(self._failed, last=True),
        )
        questioned = QuestionedCase(
            self._key, Volume(scan.array, maps.geometry), maps.segmentation, maps.probability, self._device
        )
        answer = self._given.question.answer if self._given else None
        self._number = number = self._client.ask(questioned, stand.mask, stand.said, answer, handlers)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        with self._page.state:
            self._show()

    async def _poll(self) -> None:
        while self._number is not None:
            try:
                self._client.poll()
            except Exception as error:  # The review goes on without questions.
                self._drop_request()
                with self._page.state:
                    self._failed(self._page.report(error))
                    self._show()
            await asyncio.sleep(_PERIOD)

    # --- what the child says ------------------------------------------------------------------------------------------

    def _answered(self, voxels: NDArray[np.int64]) -> None:
        case, asked, given = self._case, self._asked, self._given
        if case is None or asked is None or given is None or not asked.is_still(self._stand()):
            return  # The segmentation has changed since: it is asked again, for what it is now.
        self._given = None
        self._page.discard()
        case.answer(voxels, given.question)
        self._questions, self._at = [], None
        self._asked = self._stand()  # The questions that come are of this state.
        self._page.answered(given.tab)

    def _outlook_came(self, outlook: Outlook) -> None:
        if self._asked is not None and self._asked.is_still(self._stand()):
            self._outlook = outlook

    def _came(self, questions: list[ShownQuestion]) -> None:
        if self._asked is None or not self._asked.is_still(self._stand()):
            return
        looked_at, shown = self._current, self._shown
        same = [number for number, one in enumerate(questions) if looked_at and one.click == looked_at.click]
        self._questions, self._at = questions, None
        self._hide()
        if same:
            self._at = same[0]
            if shown or self._go:
                self._preview(questions[same[0]])
        elif questions and self._go:
            self._look_at(0)
        self._go = False

    def _failed(self, message: str) -> None:
        self._hide()
        self._given, self._problem = None, message
        self._questions, self._at = [], None

    # --- what is shown ------------------------------------------------------------------------------------------------

    def _step(self, by: int) -> None:
        if self._case and self._questions:
            start = self._at if self._at is not None else min(-by, 0)
            index = (start + by) % len(self._questions)
            self._case.session.look_at(self._questions[index].place)
            self._look_at(index)
            self._show()

    def _look_at(self, index: int) -> None:
        assert self._case
        self._at, question = index, self._questions[index]
        self._page.discard()
        self._page.look_at(question.place)
        if self._asked is not None and self._case.mask is self._asked.mask:  # Else it would change something else now.
            self._preview(question)

    def _preview(self, question: ShownQuestion) -> None:
        if self._case and len(question.voxels):
            mask = self._case.mask
            part = RegionPart.of(question.voxels, mask.shape)
            self._page.preview_question(proposals.opposite(self._case.session.maps, part, mask))
            self._shown = True

    def _hide(self) -> None:
        if self._shown:
            self._shown = False
            self._page.preview_question(None)

    def _show(self) -> None:
        """Show on the page what is asked, and how sure the segmentation is."""
        self._page.state.questions = {
            "text": self._words(),
            "outlook": self._outlook_words(),
            "at": self._at,
            "count": len(self._questions),
            "busy": self._given is not None,
            "failed": bool(self._problem),
        }

    def _words(self) -> str:
        if self._case is None:
            return ""
        if self._problem:
            return f"No questions can be asked: {self._problem.rstrip('.')}. All else works as before."
        if self._given:
            return "Working out what the answer changes …"
        if self._at is not None:
            return _capital(question_words(self._at + 1, len(self._questions), self._questions[self._at]))
        if self._number is not None or self._is_due():
            return "Looking for questions …"
        if self._questions:
            return f"{len(self._questions)} to answer: N goes to the first."
        return "Nothing to ask."

    def _outlook_words(self) -> str:
        return _capital(outlook_words(self._outlook, self._case.likely_dice)) if self._case else ""


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
