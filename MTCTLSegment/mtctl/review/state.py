"""What a review of one case remembers: plain data, written to the review file and read back as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
class RegionMark:
    """What a person did with one region. Thresholds, as the region grows when the threshold falls.

    Attributes:
        seen_at: Lowest threshold at which it was looked at; None: never.
        accepted_at: Lowest threshold at which it was accepted; None: it is open.
        edited: The segmentation differs there from what it was before the review.
        seconds: Spent while it was the current one.
    """

    seen_at: Share | None = None
    accepted_at: Share | None = None
    edited: bool = False
    seconds: Seconds = 0.0

    def seen(self, threshold: float) -> RegionMark:
        """Return the mark after the region was looked at at this threshold."""
        return replace(self, seen_at=_lower(self.seen_at, threshold))

    def accepted(self, threshold: float) -> RegionMark:
        """Return the mark after the region was accepted at this threshold."""
        return replace(self, accepted_at=_lower(self.accepted_at, threshold))


@dataclass(frozen=True)
class Edit:
    """One change of the segmentation.

    Attributes:
        kind: How it was made: "paint", "erase", "undo", "elsewhere" (out of the module), "answer", or the name of a
            proposal.
        region: The current region; None where there was none.
        seconds: When, on the clock of the review.
        added_ml, removed_ml: Volume added to the segmentation and taken from it.
    """

    kind: Annotated[str, Longest(200)]
    region: int | None
    seconds: Seconds
    added_ml: Millilitres
    removed_ml: Millilitres


@dataclass(frozen=True)
class RemainingWork:
    """What is left to check: regions that are not accepted, and their volume without what was accepted before."""

    regions: Annotated[int, Within(0, 1e9)]
    ml: Millilitres


@dataclass(frozen=True)
class ReviewState:
    """A review as it stands.

    Attributes:
        threshold: Of the uncertainty.
        current: Id of the region that the person is at.
        marks: What was done with each region, by id.
        edits: In order.
        replies: To questions about the case, in order.
        visited: Places that were looked at, LPS mm, in order, each once.
        seconds: Spent on the review.
        status: Decision on the case.
        reason: Why it was rejected.
    """

    threshold: float
    current: int | None = None
    marks: Mapping[int, RegionMark] = field(default_factory=dict)
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
    left: RemainingWork | None = None


def summary(left: RemainingWork, likely_dice: tuple[float, float] | None = None) -> str:
    """Return what is left as a sentence: "3 regions, 1.2 mL to check; likely Dice 0.90-0.93".

    Args:
        left: See there.
        likely_dice: The case score's interval; None where it is not known, as for somebody else's segmentation.
    """
    if not left.regions:
        words = "nothing left to check"
    else:
        words = f"{counted(left.regions, 'region')}, {left.ml:.1f} mL to check"
    return words if likely_dice is None else f"{words}; likely Dice {likely_dice[0]:.2f}-{likely_dice[1]:.2f}"


def _lower(first: float | None, second: float) -> float:
    return second if first is None else min(first, second)
