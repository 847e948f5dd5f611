"""The page of the browser reviewer with a case and the child that is asked about it, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from support.browser_case import write_case
from support.question_child import at_either_side, made_up_questions
from support.question_worker import QuestionWorker

from mtctl.browser.sources.folder import FolderSource
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.questions import NO_QUESTIONS, PageQuestions
from mtctl.cases.store import CaseStore

KEY = "ball.image.nrrd"


class ShownPage:
    """What the questions do with the page, without views.

    Attributes:
        places: Where the views went.
        preview: The voxels that are drawn.
        saved: How often the review was to be saved.
        tabs: Which tabs' answers came.
    """

    def __init__(self, case: CaseUnderReview, scan: Any) -> None:
        self.state, self.scan, self.case = self, scan, case
        self.questions: dict[str, Any] = NO_QUESTIONS
        self.asking: PageQuestions | None = None
        self.places: list[Any] = []
        self.preview: np.ndarray | None = None
        self.saved = 0
        self.tabs: list[str] = []

    def __enter__(self) -> ShownPage:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look_at(self, place: Any) -> None:
        self.places.append(place)

    def preview_question(self, voxels: np.ndarray | None) -> None:
        self.preview = voxels

    def review_changed(self) -> None:
        self.saved += 1
        assert self.asking
        self.asking.follow(self.case)

    def answered(self, tab: str) -> None:
        self.tabs.append(tab)
        self.review_changed()

    def report(self, error: Exception) -> str:
        return str(error)


class Session:
    """A page with questions about the ball: one place on its surface at either side."""

    def __init__(self, folder: Path) -> None:
        write_case(folder)
        self.source = FolderSource(folder, CaseStore(folder / "case-store"))
        opened = self.source.open(KEY)
        self.case = CaseUnderReview(KEY, "ball", opened)
        self.page, self.worker = ShownPage(self.case, opened.scan), QuestionWorker()
        geometry = self.case.session.maps.geometry
        self.places = at_either_side(self.case.mask, geometry)
        self.worker.asks = made_up_questions(self.places, geometry)

    def run(self, work: Callable[[PageQuestions], Awaitable[None]]) -> None:
        """Opens the case, waits for its questions unless answers are held, and does something with them."""

        async def session() -> None:
            asking = self.page.asking = PageQuestions(self.page, self.worker, "cpu")  # type: ignore[arg-type]
            asking.follow(self.case)
            await self.settled()
            await work(asking)
            await self.settled()
            asking.close()

        asyncio.run(session())

    async def settled(self) -> None:
        await asyncio.sleep(0.02)  # Of 0 seconds: the loop's timers come first.
        for _ in range(3000):
            if self.worker.held or not self.text.endswith("…"):
                return
            await asyncio.sleep(0.002)
        raise AssertionError(self.text)

    @property
    def text(self) -> str:
        return str(self.page.questions["text"])

    def replies(self) -> list[tuple[str, bool]]:
        return [(reply.reply, reply.undone) for reply in self.case.session.state.replies]
