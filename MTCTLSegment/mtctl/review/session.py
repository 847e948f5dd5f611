"""The review of one case: the same in Slicer and in the browser.

The current segmentation stays in the editor of the caller, who passes it in; it is never stored or changed here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Mask, Triple
from mtctl.review.active_time import ActiveTime
from mtctl.review.answers import Answer, Said, ShownQuestion
from mtctl.review.case_maps import CaseMaps, ReviewError
from mtctl.review.replies import Reply, ReplyHistory, said_in
from mtctl.review.state import Edit, ReviewState, Status

#: Volume that a new review shows as uncertain, unless a threshold is given, mL: a fifth of an atrium.
UNCERTAIN_ML = 20.0

#: Less is not shown as uncertain by a new review, however little there is.
_CERTAIN = 0.05


class ReviewSession:
    """What a person does with a case.

    Every action counts the time since the last one, IDLE_SECONDS at most, towards the review.

    Attributes:
        maps: The case.
        state: All that is remembered; frozen, so that it can be kept and compared.

    Raises (from the constructor):
        ReviewError: The mask is on another grid.
    """

    def __init__(
        self,
        maps: CaseMaps,
        state: ReviewState | None = None,
        mask: Mask | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a review, or go on with one.

        Args:
            maps: The case.
            state: Where it stood; None for a new one whose threshold UNCERTAIN_ML reach.
            mask: The segmentation as it is now (z, y, x); None: as in `maps`.
            clock: Seconds, for the time spent.
        """
        self.maps = maps
        self.state = state or ReviewState(threshold_reached_by(UNCERTAIN_ML, maps))
        self._time = ActiveTime(clock)
        self._changed = self._changes(maps.segmentation if mask is None else mask)
        self._replies_given = len(self.state.replies)
        self._history = ReplyHistory()
        self._history.note(self._mask_key(), self._replies_given, self.state.replies)

    def set_threshold(self, threshold: float) -> None:
        """Move the threshold of the uncertainty that is shown.

        Raises:
            ReviewError: It is not between 0 and 1.
        """
        if not 0 <= threshold <= 1:
            raise ReviewError(f"a threshold of {threshold:g} is impossible: it lies between 0 and 1")
        self._count_time()
        self.state = replace(self.state, threshold=float(threshold))

    @property
    def replies_given(self) -> int:
        """How many replies had been given at this step of the editor's history; the editor keeps it with each step."""
        return self._replies_given

    def record(self, kind: str, mask: Mask, replies_given: int | None = None) -> Edit | None:
        """Record an edit, an undo or a redo that has just been made.

        The case is open again. An undo takes back the replies that came after its step of the history.

        Args:
            kind: See `Edit`.
            mask: The segmentation as it is now, (z, y, x).
            replies_given: As it was when the history was at this step; None for a new step.

        Returns:
            What changed of the segmentation; None where nothing did.

        Raises:
            ReviewError: The mask is on another grid.
        """
        self._count_time()
        before, self._changed = self._changed, self._changes(mask)
        if replies_given is not None:
            self._replies_given = replies_given
        replies = self._history.follow(self._mask_key(), self._replies_given, self.state.replies)
        if replies != self.state.replies:
            self.state = replace(self.state, replies=replies, status=Status.DRAFT, reason="")
        touched = np.setxor1d(before, self._changed, assume_unique=True)
        if not len(touched):
            return None
        added = int(np.count_nonzero(mask.ravel()[touched]))
        voxel_ml = self.maps.geometry.voxel_ml
        edit = Edit(kind, self.state.seconds, added * voxel_ml, (len(touched) - added) * voxel_ml)
        self.state = replace(self.state, edits=(*self.state.edits, edit), status=Status.DRAFT, reason="")
        return edit

    def look_at(self, place: Triple) -> None:
        """Count the time, and record that the person looks at a place (LPS mm)."""
        self._count_time()
        if place not in self.state.visited:
            self.state = replace(self.state, visited=(*self.state.visited, place))

    @property
    def said(self) -> Said:
        """What the person has said of places, in answer to questions and by clicks, without what was taken back."""
        return said_in(self.state.replies)

    def keep(self, question: ShownQuestion) -> None:
        """Record that the person finds the segmentation right where a question was asked; the case is open again."""
        self._count_time()
        self._reply(Reply(question.name, question.place, "kept", seconds=self.state.seconds))

    def answer(self, answer: Answer, mask: Mask, question: ShownQuestion | None = None) -> Edit | None:
        """Record an answer and what became of the segmentation by it.

        Args:
            answer: The answer.
            mask: The segmentation as it is now, (z, y, x).
            question: The question that it is an answer to; None: nobody asked.

        Returns:
            What changed; None where nothing did.

        Raises:
            ReviewError: The mask is on another grid.
        """
        edit = self.record("answer", mask, len(self.state.replies) + 1)
        name, place = (question.name, question.place) if question else ("", answer.clicks[0])
        added, removed = (edit.added_ml, edit.removed_ml) if edit else (0.0, 0.0)
        reply: Literal["changed", "clicked"] = "changed" if question else "clicked"
        self._reply(Reply(name, place, reply, answer.clicks, answer.side, self.state.seconds, added, removed))
        return edit

    def _reply(self, reply: Reply) -> None:
        self.state = replace(self.state, replies=(*self.state.replies, reply), status=Status.DRAFT, reason="")
        self._replies_given = len(self.state.replies)
        self._history.note(self._mask_key(), self._replies_given, self.state.replies)

    def accept_case(self) -> None:
        """Record that the person vouches for the segmentation as it is now; the time stops."""
        self.pause()
        self.state = replace(self.state, status=Status.ACCEPTED, reason="")

    def reject_case(self, reason: str) -> None:
        """Record that the person finds the case unusable; the time stops.

        Raises:
            ReviewError: No reason is given.
        """
        if not reason.strip():
            raise ReviewError("say in a few words why the case is rejected, without anything that names the patient")
        self.pause()
        self.state = replace(self.state, status=Status.REJECTED, reason=reason.strip())

    def reopen_case(self) -> None:
        """Withdraw the decision on the case."""
        self._count_time()
        self.state = replace(self.state, status=Status.DRAFT, reason="")

    def pause(self) -> None:
        """Stop the time, as the person turns to something else; it counts again from the next action on."""
        self._count_time()
        self._time.stop()

    def _changes(self, mask: Mask) -> NDArray[np.int64]:
        """Return the flat indices of the voxels that differ from what they were before the review."""
        start = self.maps.segmentation
        if mask.shape != start.shape:
            raise ReviewError(f"the segmentation has {mask.shape} voxels, the scan {start.shape} (z, y, x)")
        return np.flatnonzero(np.asarray(mask, dtype=bool) != start)

    def _mask_key(self) -> bytes:
        return hashlib.blake2b(self._changed.data, digest_size=16).digest()

    def _count_time(self) -> None:
        spent = self._time.count()
        self.state = replace(self.state, seconds=self.state.seconds + spent)


def threshold_reached_by(ml: float, maps: CaseMaps) -> float:
    """Return the lowest threshold, in hundredths, that no more than so many mL reach; at most 1."""
    doubtful = maps.uncertainty[maps.uncertainty >= _CERTAIN]
    counts = np.bincount((doubtful.clip(0, 1) * 100).astype(np.intp), minlength=101)
    reached = counts[::-1].cumsum()[::-1] * maps.geometry.voxel_ml  # By each hundredth.
    return min(max(int(np.count_nonzero(reached > ml)) / 100, _CERTAIN), 1.0)
