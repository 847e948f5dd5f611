"""Undo and redo in the order in which a person acted: edits of a mask, of which only the changed voxels are kept, and
replies, which may change no voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Mask


@dataclass(frozen=True)
class HistoryStep:
    """One edit or reply.

    Attributes:
        kind: Of the edit; "keep" or "answer" for a reply.
        voxels: Flat indices of the voxels that it changed.
        replies_before, replies_after: See `ReviewSession.replies_given`.
    """

    kind: str
    voxels: NDArray[np.int64]
    replies_before: int
    replies_after: int


class EditHistory:
    """What was done, in order. It stores what changed, not the mask, which its callers pass in."""

    def __init__(self) -> None:
        self._done: list[HistoryStep] = []
        self._undone: list[HistoryStep] = []

    @property
    def can_undo(self) -> str:
        """The kind of step that `undo` would take back; "" where there is none."""
        return self._done[-1].kind if self._done else ""

    @property
    def can_redo(self) -> str:
        """The kind of step that `redo` would bring back; "" where there is none."""
        return self._undone[-1].kind if self._undone else ""

    def add(self, kind: str, before: Mask, after: Mask, replies: tuple[int, int] = (0, 0)) -> bool:
        """Add a step; return whether there was one. What was undone before cannot be redone any more.

        Args:
            kind: See `HistoryStep`.
            before, after: The mask; a step that changes neither it nor what was replied is none.
            replies: How many had been given before and after.
        """
        voxels = np.flatnonzero(before != after)
        if not len(voxels) and replies[0] == replies[1]:
            return False
        self._done.append(HistoryStep(kind, voxels, *replies))
        self._undone.clear()
        return True

    def undo(self, mask: Mask) -> tuple[Mask, int] | None:
        """Return the mask without the last step, and how many replies had been given; None where there is no step."""
        if not self._done:
            return None
        step = self._done.pop()
        self._undone.append(step)
        return _turned(mask, step), step.replies_before

    def redo(self, mask: Mask) -> tuple[Mask, int] | None:
        """Return the mask with the step that was undone last, and the replies; None where none was undone."""
        if not self._undone:
            return None
        step = self._undone.pop()
        self._done.append(step)
        return _turned(mask, step), step.replies_after


def _turned(mask: Mask, step: HistoryStep) -> Mask:
    if not len(step.voxels):
        return mask  # The same object: nothing that is worked out of it is worked out anew.
    turned = mask.copy()
    turned.flat[step.voxels] = ~turned.flat[step.voxels]
    return turned
