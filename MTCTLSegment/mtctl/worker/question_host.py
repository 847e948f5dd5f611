"""What a window or page does for the questions about a review, see `QuestionDialogue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mtctl.geometry import Mask
    from mtctl.review.answers import Answer, ShownQuestion
    from mtctl.review.session import ReviewSession
    from mtctl.worker.requests import QuestionedCase


class QuestionedReview(Protocol):
    """A review that is asked about."""

    @property
    def session(self) -> ReviewSession:
        """What the person did."""

    @property
    def mask(self) -> Mask:
        """The segmentation as it is now, (z, y, x); another object after each change, never changed in place."""


class QuestionHost(Protocol):
    """The window or page that shows the questions and owns segmentation and record."""

    @property
    def review(self) -> QuestionedReview | None:
        """The review that is open and may be changed; None: there is none."""

    @property
    def previews(self) -> bool:
        """Whether it is shown what an answer would change."""

    def case(self) -> QuestionedCase:
        """Return the case as it was before any review; there is one.

        Raises:
            MtctlError: It cannot be read any more.
        """

    def listen(self) -> None:
        """Poll the client from now on, as long as the dialogue is `running`."""

    def settle(self) -> None:
        """Record a stroke that was made just now."""

    def look_at(self, question: ShownQuestion) -> None:
        """Go to the place of a question, and preview nothing any more."""

    def preview(self, question: ShownQuestion | None) -> None:
        """Show what the opposite answer would change, unless something else is previewed; None: show that no more."""

    def keep(self, question: ShownQuestion) -> None:
        """Record that the segmentation is right there, as a step that can be undone, and show and save the review."""

    def answer(self, voxels: NDArray[np.int64], answer: Answer, question: ShownQuestion | None) -> None:
        """Change the side of voxels as a step that can be undone, record the answer, and show and save the review."""

    def changed(self) -> None:
        """Show the questions, the outlook or the problem, which may be others now."""
