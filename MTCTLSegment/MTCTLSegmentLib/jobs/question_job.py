"""Questions about the open case, asked of the warm child process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mtctl.geometry import Mask
from mtctl.review.answers import Answer, Said
from mtctl.worker.requests import QuestionedCase, QuestionHandlers
from MTCTLSegmentLib.jobs.warm_worker import WarmWorker


class QuestionJob:
    """One request at a time: a newer one takes the place of an older one, of which nothing is heard any more."""

    def __init__(self, worker: WarmWorker) -> None:
        self._worker = worker
        self._number: int | None = None

    @property
    def running(self) -> bool:
        """Whether an answer is still to come."""
        return self._number is not None

    def ask(
        self, case: QuestionedCase, mask: Mask, said: Said, answer: Answer | None, handlers: QuestionHandlers
    ) -> None:
        """Ask; see `WorkerClient.ask`. The arrays must not change."""
        self.drop()
        number = 0

        def heard(then: Callable[[Any], None], last: bool) -> Callable[[Any], None]:
            def call(content: object) -> None:
                if self._number != number:  # A newer one was asked meanwhile.
                    return
                if last:
                    self._number = None
                then(content)

            return call

        own = QuestionHandlers(
            answered=heard(handlers.answered, False),
            outlook=heard(handlers.outlook, False),
            done=heard(handlers.done, True),
            failed=heard(handlers.failed, True),
        )
        self._number = number = self._worker.client.ask(case, mask, said, answer, own)
        self._worker.listen()

    def drop(self) -> None:
        """Hear nothing more of what was asked. A child that is at it goes on: ending it would cost seconds."""
        number, self._number = self._number, None
        if number is not None:
            self._worker.client.withdraw(number)
