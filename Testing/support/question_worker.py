"""A client of the process that is asked for questions, without the process: it answers what the test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.question_child import obeyed

from mtctl.geometry import Mask
from mtctl.guidance.outlook import Outlook
from mtctl.measures.document import IntervalEstimate
from mtctl.review.answers import Answer, Said, ShownQuestion
from mtctl.worker.requests import QuestionedCase, QuestionHandlers


class QuestionWorker:
    """As much of `WorkerClient` as asking needs: answers at the next look at it.

    Attributes:
        requests: Key of the case, what was said before, and the answer.
        failure: What is said in place of an answer; "": nothing fails.
        held: Whether answers wait.
    """

    def __init__(self) -> None:
        self.asks: Callable[[Mask, Said], list[ShownQuestion]] = lambda mask, said: []
        self.requests: list[tuple[str, Said, Answer | None]] = []
        self.failure, self.held = "", False
        self.fault: Exception | None = None
        self._waiting: list[tuple[int, Any]] = []

    def ask(
        self, case: QuestionedCase, mask: Mask, said: Said, answer: Answer | None, handlers: QuestionHandlers
    ) -> int:
        self.requests.append((case.key, said, answer))
        self._waiting.append((len(self.requests), (case, mask, said, answer, handlers)))
        return len(self.requests)

    def withdraw(self, number: int) -> None:
        self._waiting = [one for one in self._waiting if one[0] != number]

    def poll(self) -> None:
        if self.fault:
            raise self.fault
        if self.held or not self._waiting:
            return
        _, (case, mask, said, answer, handlers) = self._waiting.pop(0)
        if self.failure:
            handlers.failed(self.failure)
            return
        geometry, after = case.volume.geometry, mask
        if answer:
            changed = obeyed(mask, answer, geometry)
            handlers.answered(changed)
            after = mask.copy()
            after.reshape(-1)[changed] ^= True
            said = Said((*said.answers, answer), said.kept)
        volume = float(after.sum()) * geometry.voxel_ml
        handlers.outlook(Outlook(IntervalEstimate(volume, volume - 4, volume + 4), 0.5))
        handlers.done(self.asks(after, said))
