"""`mtctl` whose reviewer asks about two places on the border of the segmentation, without a child process."""

from __future__ import annotations

import sys

from support.question_child import at_either_side, made_up_questions
from support.question_worker import QuestionWorker

from mtctl.browser.ui import segmentation
from mtctl.commands.main import main
from mtctl.geometry import Mask
from mtctl.review.answers import Answer, Said
from mtctl.worker.requests import QuestionedCase, QuestionHandlers


class BorderWorker(QuestionWorker):
    """Asks about the border of the case that it was asked about first."""

    def ask(
        self, case: QuestionedCase, mask: Mask, said: Said, answer: Answer | None, handlers: QuestionHandlers
    ) -> int:
        if not self.requests:
            geometry = case.volume.geometry
            self.asks = made_up_questions(at_either_side(case.original, geometry), geometry)
        return super().ask(case, mask, said, answer, handlers)

    def close(self) -> None:
        """There is no process to end."""


if __name__ == "__main__":
    segmentation.WorkerClient = BorderWorker  # type: ignore[assignment,misc]
    sys.exit(main())
