"""What a review of one case remembers: plain data, written to the review file and read back as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from mtctl.errors import counted
from mtctl.review.answers import Point
from mtctl.review.quantities import Millilitres, Seconds
from mtctl.review.replies import Reply
from mtctl.system.fields import Longest, Share, Within


class Status(Enum):
    """What became of the case."""

    DRAFT = "draft"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class EarlierRegion:
    """An uncertain region in the review of an earlier version, which listed them.

    Attributes:
        id: Its number, by the error that was to be expected in it.
        seen_at: Lowest threshold at which it was looked at; None: never.
    """

    id: Annotated[int, Within(1, 1e9)]
    seen_at: Share | None = None


@dataclass(frozen=True)
class Edit:
    """One change of the segmentation.

    Attributes:
        kind: How it was made: "paint", "erase", "undo", "elsewhere" (out of the module), or "answer"; earlier versions
            had proposals, too.
        seconds: When, on the clock of the review.
        added_ml, removed_ml: Volume added to the segmentation and taken from it.
    """

    kind: Annotated[str, Longest(200)]
    seconds: Seconds
    added_ml: Millilitres
    removed_ml: Millilitres


@dataclass(frozen=True)
class ReviewState:
    """A review as it stands.

    Attributes:
        threshold: Of the uncertainty.
        edits: In order.
        replies: To questions about the case, in order.
        visited: Places that were looked at, LPS mm, in order, each once.
        seconds: Spent on the review.
        status: Decision on the case.
        reason: Why it was rejected.
    """

    threshold: float
    edits: tuple[Edit, ...] = ()
    seconds: float = 0.0
    status: Status = Status.DRAFT
    reason: str = ""
    replies: tuple[Reply, ...] = ()
    visited: tuple[Point, ...] = ()


@dataclass(frozen=True)
class StoredReview:
    """What is read of a review's document without its maps; see `document.review_document`, which says all of it."""

    status: Status = Status.DRAFT
    reason: str = ""
    threshold: Share | None = None
    segmentation_sha256: str | None = None
    questions: tuple[Reply, ...] = ()


def summary(
    replies: Sequence[Reply], likely_wrong_ml: float | None = None, likely_dice: tuple[float, float] | None = None
) -> str:
    """Return how a review stands as a sentence: "3 places answered; likely Dice 0.90-0.93 at first".

    Args:
        replies: To questions about the case.
        likely_wrong_ml: What of the segmentation is likely wrong, mL, before anything was answered; None: not known.
        likely_dice: The case score's interval; None where it is not known, as for somebody else's segmentation.
    """
    answered = sum(not reply.undone for reply in replies)
    words = [f"{counted(answered, 'place')} answered"] if answered else []
    if not answered and likely_wrong_ml is not None:
        words.append(f"{likely_wrong_ml:.1f} mL likely wrong")
    if likely_dice is not None:
        # What is likely with the answers stands beside the questions (`outlook_words`).
        words.append(f"likely Dice {likely_dice[0]:.2f}-{likely_dice[1]:.2f}" + (" at first" if answered else ""))
    return "; ".join(words)
