"""A window with an open review that asks a child which answers when it is told to, for `QuestionDialogue`."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray
from support.question_child import made_up_questions
from support.question_worker import QuestionWorker

from mtctl.geometry import Geometry, Mask, Triple, Volume
from mtctl.review.answers import Answer, Said, ShownQuestion, with_changed
from mtctl.review.case_maps import CaseMaps
from mtctl.review.session import ReviewSession
from mtctl.review.state import ReviewState
from mtctl.worker.client import WorkerClient
from mtctl.worker.question_dialogue import QuestionDialogue
from mtctl.worker.requests import QuestionedCase

GEOMETRY = Geometry((12, 10, 8), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
PLACES: dict[str, tuple[Triple, str]] = {
    "left inferior vein": ((22.0, 10.0, 8.0), "inside"),
    "roof": ((4.0, 4.0, 4.0), "outside"),
    "floor": ((10.0, 10.0, 4.0), "outside"),
}
VEIN, ROOF, FLOOR = PLACES


def box_of_an_atrium() -> CaseMaps:
    mask = np.zeros(GEOMETRY.shape, bool)
    mask[2:6, 2:8, 2:10] = True
    level = np.where(mask, np.float32(0.9), np.float32(0.1))
    return CaseMaps(mask, level, level, GEOMETRY)


class OpenReview:
    """A review as a window holds it."""

    def __init__(self) -> None:
        maps = box_of_an_atrium()
        self.session, self.mask = ReviewSession(maps, ReviewState(0.5)), maps.segmentation

    def paint(self, voxel: tuple[int, int, int]) -> None:
        mask = self.mask.copy()
        mask[voxel] ^= True
        self.session.record("paint", mask)
        self.mask = mask

    def undo(self, mask: Mask, replies_given: int) -> None:
        self.session.record("undo", mask, replies_given)
        self.mask = mask


class NotedHost:
    """A window that notes what it is told.

    Attributes:
        looked_at: Names of the questions whose places the views went to.
        previewed: Name of the question whose opposite is drawn, or None.
        unsettled: A stroke that is recorded when `settle` is called, or None.
        unreadable: What `case` raises, or None.
    """

    def __init__(self) -> None:
        self.review: OpenReview | None = OpenReview()
        self.looked_at: list[str] = []
        self.previewed: str | None = None
        self.unsettled: tuple[int, int, int] | None = None
        self.unreadable: Exception | None = None
        self.times_changed = 0
        self.followed: Callable[[], None] = lambda: None

    @property
    def previews(self) -> bool:
        return self.previewed is not None

    def case(self) -> QuestionedCase:
        if self.unreadable:
            raise self.unreadable
        assert self.review
        maps = self.review.session.maps
        scan = Volume(np.zeros(GEOMETRY.shape, np.float32), GEOMETRY)
        return QuestionedCase("a case", scan, maps.segmentation, maps.probability)

    def listen(self) -> None:
        pass

    def settle(self) -> None:
        stroke, self.unsettled = self.unsettled, None
        if stroke and self.review:
            self.review.paint(stroke)
            self.followed()

    def look_at(self, question: ShownQuestion) -> None:
        self.looked_at.append(question.name)
        self.previewed = None

    def preview(self, question: ShownQuestion | None) -> None:
        self.previewed = question.name if question else None

    def keep(self, question: ShownQuestion) -> None:
        assert self.review
        self.review.session.keep(question)
        self.followed()

    def answer(self, voxels: NDArray[np.int64], answer: Answer, question: ShownQuestion | None) -> None:
        assert self.review
        self.previewed = None
        mask = with_changed(self.review.mask, voxels)
        self.review.session.answer(answer, mask, question)
        self.review.mask = mask
        self.followed()

    def changed(self) -> None:
        self.times_changed += 1


class QuestionWindow:
    """The host, the client and the dialogue between them; the first questions have come."""

    def __init__(self) -> None:
        self.host, self.worker = NotedHost(), QuestionWorker()
        self.worker.asks = made_up_questions(PLACES, GEOMETRY)
        self.dialogue = QuestionDialogue(self.host, cast(WorkerClient, self.worker))
        self.host.followed = self.dialogue.follow
        self.dialogue.follow()
        self.come()

    @property
    def review(self) -> OpenReview:
        assert self.host.review
        return self.host.review

    @property
    def said(self) -> Said:
        return self.review.session.said

    def come(self) -> None:
        """What is due is asked for, as a window does after a rest, and the child answers."""
        if self.dialogue.due:
            self.dialogue.ask()
        while self.dialogue.running and not self.worker.held:
            self.worker.poll()

    def names(self) -> list[str]:
        return [question.name for question in self.dialogue.questions]

    def name(self) -> str | None:
        return self.dialogue.current.name if self.dialogue.current else None
