"""Undo and redo of edits of a mask: only the voxels that changed are kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Mask


@dataclass(frozen=True)
class MaskChange:
    """One edit: its kind, and the flat indices of the voxels that it changed."""

    kind: str
    voxels: NDArray[np.int64]


class EditHistory:
    """The edits of a mask in order. It stores what changed, not the mask, which its callers pass in."""

    def __init__(self) -> None:
        self._done: list[MaskChange] = []
        self._undone: list[MaskChange] = []

    @property
    def can_undo(self) -> str:
        """The kind of edit that `undo` would take back; "" where there is none."""
        return self._done[-1].kind if self._done else ""

    @property
    def can_redo(self) -> str:
        """The kind of edit that `redo` would bring back; "" where there is none."""
        return self._undone[-1].kind if self._undone else ""

    def add(self, kind: str, before: Mask, after: Mask) -> bool:
        """Add an edit; return whether it changed anything. What was undone before cannot be redone any more."""
        voxels = np.flatnonzero(before != after)
        if not len(voxels):
            return False
        self._done.append(MaskChange(kind, voxels))
        self._undone.clear()
        return True

    def undo(self, mask: Mask) -> Mask:
        """Return the mask without the last edit."""
        return self._move(self._done, self._undone, mask)

    def redo(self, mask: Mask) -> Mask:
        """Return the mask with the edit that was undone last."""
        return self._move(self._undone, self._done, mask)

    def touched(self, kinds: Collection[str], size: int) -> Mask:
        """Return which voxels edits of these kinds changed, flat bool; `size` is the number of voxels."""
        marked = np.zeros(size, dtype=bool)
        for change in self._done:
            if change.kind in kinds:
                marked[change.voxels] = True
        return marked

    @staticmethod
    def _move(source: list[MaskChange], target: list[MaskChange], mask: Mask) -> Mask:
        if not source:
            return mask
        change = source.pop()
        target.append(change)
        turned = mask.copy()
        turned.flat[change.voxels] = ~turned.flat[change.voxels]
        return turned
