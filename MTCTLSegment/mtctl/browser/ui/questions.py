"""The questions about the case on the screen: what the page does for `QuestionDialogue`, and its words."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.tabs import CLIENT
from mtctl.errors import MtctlError
from mtctl.geometry import Triple, Volume
from mtctl.guidance.outlook import outlook_words, question_words
from mtctl.review.answers import Answer, ShownQuestion, Side
from mtctl.worker.client import WorkerClient
from mtctl.worker.question_dialogue import QuestionDialogue
from mtctl.worker.requests import QuestionedCase

#: Seconds after the last change: a person who strokes, or keeps several places, goes on.
_AFTER = 0.3

#: Seconds between two looks at the child.
_PERIOD = 0.05

#: Nothing is asked; the page's state as it begins.
NO_QUESTIONS: dict[str, Any] = {
    "text": "", "outlook": "", "at": None, "count": 0, "busy": False, "failed": False, "click": "", "side": "",
}  # fmt: skip


class QuestionPage(Protocol):
    """What the questions do with the page.

    Attributes:
        state: trame's; "questions" is shown in the strip.
        scan: The scan on the screen.
    """

    state: Any
    scan: Volume | None

    def look_at(self, place: Triple) -> None:
        """Centre the views on a place, LPS mm."""

    def preview_question(self, voxels: NDArray[np.int64] | None) -> None:
        """Show which voxels (flat indices) the opposite answer would change; None: none."""

    def review_changed(self) -> None:
        """Show the review and save it soon."""

    def answered(self, tab: str) -> None:
        """Show the segmentation that a tab's answer changed, and save the review soon."""

    def report(self, error: Exception) -> str:
        """Show what went wrong; return the sentence."""


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
        self._case: CaseUnderReview | None = None
        self._key = ""  # Names the case for the child.
        self._previews = False
        self._tab = ""  # Gave the answer that is on its way.
        self._side: Side | None = None  # Of the surface, of which a click is waited for.
        self._poller: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._dialogue = QuestionDialogue(self, client)

    def follow(self, case: CaseUnderReview | None) -> None:
        """Take note of how the case on the screen stands; None: there is none that may be changed."""
        if case is not self._case:
            self._turn_to(case)
        self._dialogue.follow()
        if self._dialogue.due:
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(_AFTER, self._ask_if_due)
        self._show()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._turn_to(None)
        self._dialogue.follow()
        if self._poller:
            self._poller.cancel()

    def leave(self) -> None:
        """Let go of an answer that is on its way, as the case is decided on; questions are asked for again."""
        self._dialogue.leave()

    def take_back(self) -> bool:
        """Let go of an answer on its way, and ask for the questions again; return whether there was one."""
        taken = self._dialogue.take_back()
        if taken:
            self.follow(self._case)
        return taken

    def stay(self) -> None:
        """Leave the views where they are when questions come: the person looks at something else."""
        self._dialogue.stay()

    # --- commands of the page -----------------------------------------------------------------------------------------

    def keep_place(self) -> None:
        """Record that the segmentation is right at the present question, and go to the next."""
        self._dialogue.keep()

    def change_place(self) -> None:
        """Give the opposite answer to the present question: what it changes comes from the child."""
        if not self._dialogue.answering:
            self._tab = CLIENT.get()
            self._dialogue.change()

    def next(self) -> None:
        """Go to the question after the present one, after the last to the first."""
        self._dialogue.step(1)

    def previous(self) -> None:
        """Go to the question before the present one, before the first to the last."""
        self._dialogue.step(-1)

    def again(self) -> None:
        """Ask once more after a failure."""
        if self._dialogue.problem:
            self._dialogue.ask_again()
            self.changed()

    def wait_for_click(self, side: Side | None) -> None:
        """Take the next click in a slice for an answer: it lies on this side of the surface; None: wait no more."""
        self._side = side if self._case and not self._dialogue.answering else None
        self._show()

    def click(self, place: Triple) -> None:
        """Answer by a click, LPS mm, where one is waited for: nobody asked about its place.

        Raises:
            MtctlError: It lies out of the scan.
        """
        side, self._side = self._side, None
        self._show()
        if side and not self._dialogue.answering:
            self._tab = CLIENT.get()
            self._dialogue.give(Answer((place,), side))

    # --- for the dialogue ---------------------------------------------------------------------------------------------

    @property
    def review(self) -> CaseUnderReview | None:
        """The case on the screen; None where it may not be changed."""
        return self._case

    @property
    def previews(self) -> bool:
        """Whether it is shown what an answer would change."""
        return self._previews

    def case(self) -> QuestionedCase:
        """Return the case as it was before any review.

        Raises:
            MtctlError: There is none.
        """
        case, scan = self._case, self._page.scan
        if case is None or scan is None:
            raise MtctlError("segment the scan first")
        maps = case.session.maps
        volume = Volume(scan.array, maps.geometry)
        return QuestionedCase(self._key, volume, maps.segmentation, maps.probability, self._device)

    def listen(self) -> None:
        """Poll the client until it has said all."""
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())

    def settle(self) -> None:
        """Do nothing: each stroke is recorded as it is made."""

    def look_at(self, question: ShownQuestion) -> None:
        """Go to the place of a question."""
        self.preview(None)
        self._page.look_at(question.place)

    def preview(self, question: ShownQuestion | None) -> None:
        """Show what the opposite answer would change; None: show that no more."""
        self._previews = question is not None
        self._page.preview_question(None if question is None else question.voxels)

    def keep(self, question: ShownQuestion) -> None:
        """Record that the segmentation is right there."""
        if self._case:
            self._case.keep(question)
            self._page.review_changed()

    def answer(self, voxels: NDArray[np.int64], answer: Answer, question: ShownQuestion | None) -> None:
        """Change what an answer changes, and record both."""
        if self._case:
            self.preview(None)
            self._case.answer(voxels, answer, question)
            self._page.answered(self._tab)

    def changed(self) -> None:
        """Show the questions, whether or not a command of the page is being answered."""
        with self._page.state:
            self._show()

    # --- within -------------------------------------------------------------------------------------------------------

    def _turn_to(self, case: CaseUnderReview | None) -> None:
        self._stop_timer()
        self._case, self._key, self._previews, self._side = case, uuid4().hex, False, None

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _ask_if_due(self) -> None:
        if self._dialogue.due:
            self._dialogue.ask()
            self.changed()

    async def _poll(self) -> None:
        while self._dialogue.running:
            try:
                self._client.poll()
            except Exception as error:  # The review goes on without questions.
                with self._page.state:
                    self._dialogue.fail(self._page.report(error))
            await asyncio.sleep(_PERIOD)

    def _show(self) -> None:
        """Show on the page what is asked, and how sure the segmentation is."""
        dialogue = self._dialogue
        self._page.state.questions = {
            "text": self._words(),
            "outlook": self._outlook_words(),
            "at": dialogue.at,
            "count": len(dialogue.questions),
            "busy": dialogue.answering,
            "failed": bool(dialogue.problem),
            "click": self._side or "",
            "side": dialogue.current.side if dialogue.current and self._previews else "",
        }

    def _words(self) -> str:
        dialogue = self._dialogue
        if self._case is None:
            return ""
        if dialogue.problem:
            return f"No questions can be asked: {dialogue.problem.rstrip('.')}. All else works as before."
        if self._side:
            return f"Click a place in a slice that is {self._side} the atrium (Esc: none)."
        if dialogue.answering:
            return "Working out what the answer changes …"
        if dialogue.current is not None and dialogue.at is not None:
            return _capital(question_words(dialogue.at + 1, len(dialogue.questions), dialogue.current))
        if dialogue.asking:
            return "Looking for questions …"
        if dialogue.questions:
            return f"{len(dialogue.questions)} to answer: N goes to the first."
        return "Nothing to ask."

    def _outlook_words(self) -> str:
        return _capital(outlook_words(self._dialogue.outlook, self._case.likely_dice)) if self._case else ""


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
