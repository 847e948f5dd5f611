"""What a person replied to the questions about a case, and which of it holds after an undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from mtctl.errors import MtctlError
from mtctl.review.answers import Answer, Clicks, Point, Said, Side
from mtctl.review.quantities import Millilitres, Seconds
from mtctl.system.fields import Longest


class ReplyError(MtctlError):
    """A reply is none."""


@dataclass(frozen=True)
class Reply:
    """What a person replied to a question, or said of a place that nobody asked about.

    Attributes:
        name: What the place is called; "" where nobody asked.
        place: LPS mm.
        reply: The segmentation was found right there, changed as proposed, or changed by clicks of the person's own.
        clicks: Where the answer was given, LPS mm; none where the place was kept.
        side: On which side of the surface the clicks lie; None where the place was kept.
        seconds: When, on the clock of the review.
        added_ml, removed_ml: Volume that the answer added to the segmentation and took from it.
        undone: Whether it was taken back.

    Raises:
        ReplyError: Clicks and side do not go with the reply.
    """

    name: Annotated[str, Longest(200)]
    place: Point
    reply: Literal["kept", "changed", "clicked"]
    clicks: Clicks = ()
    side: Side | None = None
    seconds: Seconds = 0.0
    added_ml: Millilitres = 0.0
    removed_ml: Millilitres = 0.0
    undone: bool = False

    def __post_init__(self) -> None:
        kept = self.reply == "kept"
        if kept != (self.side is None) or kept != (not self.clicks):
            raise ReplyError(f"a place that was {self.reply} has {'no' if kept else 'a'} side and clicks")


def said_in(replies: Sequence[Reply]) -> Said:
    """Return what is said by the replies that were not taken back."""
    held = [reply for reply in replies if not reply.undone]
    answers = tuple(Answer(reply.clicks, reply.side) for reply in held if reply.side is not None)
    return Said(answers, tuple(reply.place for reply in held if reply.side is None))


class ReplyHistory:
    """Which replies held at each step of an editor's history, so that an undo takes them back, and a redo brings them.

    A step is named by the segmentation and by how many replies had been given: a place that was found right changes no
    voxel, and is a step all the same.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[bytes, int], frozenset[int]] = {}

    def note(self, mask_key: bytes, given: int, replies: Sequence[Reply]) -> None:
        """Note which replies hold at a step.

        Args:
            mask_key: Names the segmentation.
            given: How many replies had been given.
            replies: All replies.
        """
        self._held[mask_key, given] = frozenset(number for number, reply in enumerate(replies) if not reply.undone)

    def follow(self, mask_key: bytes, given: int, replies: tuple[Reply, ...]) -> tuple[Reply, ...]:
        """Return the replies as they held when the history was at this step before; as they are at a new step.

        Args:
            mask_key, given: Name the step, see `note`.
            replies: All replies.
        """
        held = self._held.get((mask_key, given))
        if held is None:
            self.note(mask_key, given, replies)
            return replies
        return tuple(replace(reply, undone=number not in held) for number, reply in enumerate(replies))
