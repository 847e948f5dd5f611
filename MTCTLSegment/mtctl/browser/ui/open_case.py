"""The case on the screen: its review, the segmentation as it is now, undo and redo, proposals. No views here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mtctl.browser.sources.base import OpenedCase
from mtctl.browser.ui.history import EditHistory
from mtctl.geometry import Mask
from mtctl.review import proposals
from mtctl.review.answers import Answer, ShownQuestion, with_changed
from mtctl.review.case_maps import CaseMaps, RegionPart, ReviewError
from mtctl.review.proposals import Proposal
from mtctl.review.session import ReviewSession
from mtctl.review.state import Edit, summary

#: Proposals that need no more than the region; by the names under which edits are recorded.
_MAKERS: Mapping[str, Callable[[CaseMaps, RegionPart, Mask], Proposal]] = {
    "distance map": proposals.distance_map,
    "add": proposals.add,
    "remove": proposals.remove,
}

#: All proposals, in the order in which they are offered.
PROPOSALS = ("distance map", "consensus", "add", "remove", "random walker")


class CaseUnderReview:
    """A case that was segmented, under review.

    Attributes:
        key: Of the case in its source.
        name: For the person.
        session: The review.
        mask: The segmentation as it is now, (z, y, x); replaced, never changed in place.
        history: For undo and redo.
        report: The case's JSON.
        without: Proposals that cannot be made, and why.
    """

    def __init__(self, key: str, name: str, opened: OpenedCase) -> None:
        if opened.data is None or opened.session is None or opened.mask is None:
            raise ReviewError(f"{name}: segment the scan first")
        self.key, self.name = key, name
        self.session, self.mask = opened.session, opened.mask
        self.report, self.without = opened.data.report, opened.data.without
        self.history = EditHistory()

    def edited(self, kind: str, mask: Mask) -> Edit | None:
        """Record that the segmentation was changed by hand or by a proposal; None where nothing changed.

        Raises:
            ReviewError: The mask is on another grid.
        """
        edit, given = self.session.record(kind, mask), self.session.replies_given
        if edit and self.history.add(kind, self.mask, mask, (given, given)):
            self.mask = mask.copy()
        return edit

    def undo(self) -> bool:
        """Take back the last edit or reply; return whether there was one."""
        return self._turn("undo", self.history.undo(self.mask))

    def redo(self) -> bool:
        """Bring back what was undone last; return whether there was something."""
        return self._turn("redo", self.history.redo(self.mask))

    def propose(self, name: str, level: float = 0.5) -> Proposal:
        """Return a proposal for the current region.

        Args:
            name: One of PROPOSALS.
            level: Of the consensus, 0 to 1.

        Raises:
            ReviewError: There is no such proposal, the case cannot give it, or no region is the current one.
        """
        if name in self.without:
            raise ReviewError(self.without[name])
        region = self.session.current
        if region is None:
            raise ReviewError("go to a region first: N, or a click on it in the list")
        part, maps = self.session.part(region.id), self.session.maps
        if name in _MAKERS:
            return _MAKERS[name](maps, part, self.mask)
        if name == "consensus":
            if not 0 <= level <= 1:
                raise ReviewError("the level of the consensus lies between 0 and 1")
            return proposals.consensus(maps, part, self.mask, level)
        if name == "random walker":
            threshold = self.session.state.threshold
            drawn = self.history.touched(("paint", "erase"), self.mask.size).reshape(self.mask.shape)
            return proposals.random_walk(maps, part, self.mask, threshold, drawn & self.mask, drawn & ~self.mask)
        raise ReviewError(f"{name}: there is no such proposal")

    def apply(self, proposal: Proposal) -> Edit | None:
        """Make a proposal the segmentation; None where nothing changes."""
        mask = self.mask.copy()
        mask[proposal.box] = proposal.mask
        return self.edited(proposal.name, mask)

    def answer(self, voxels: NDArray[np.int64], answer: Answer, question: ShownQuestion | None) -> Edit | None:
        """Change what an answer changes, as one step of the history also where that is nothing.

        Args:
            voxels: Flat indices of the voxels that change side.
            answer, question: See `ReviewSession.answer`.
        """
        mask = with_changed(self.mask, voxels) if len(voxels) else self.mask
        before = self.session.replies_given
        edit = self.session.answer(answer, mask, question)
        self.history.add("answer", self.mask, mask, (before, self.session.replies_given))
        self.mask = mask
        return edit

    def keep(self, question: ShownQuestion) -> None:
        """Record that the segmentation is right at a question, as one step of the history."""
        before = self.session.replies_given
        self.session.keep(question)
        self.history.add("keep", self.mask, self.mask, (before, self.session.replies_given))

    def snapshot(self) -> tuple[ReviewSession, Mask]:
        """Return the review and the mask as they are now, to be written by a thread while the person goes on."""
        return copy.copy(self.session), self.mask

    def summary_text(self) -> str:
        """Return a sentence: what is left, and how good the segmentation is likely to be."""
        return summary(self.session.remaining, self.likely_dice)

    @property
    def likely_dice(self) -> tuple[float, float] | None:
        """The 90 % interval of the Dice of the segmentation before the review; None where it is not known."""
        interval = self.report.get("case_score_interval")
        return (float(interval[0]), float(interval[1])) if isinstance(interval, list) and len(interval) == 2 else None

    @property
    def volume_ml(self) -> float:
        """Of the segmentation as it is now."""
        return float(np.count_nonzero(self.mask)) * self.session.maps.geometry.voxel_ml

    def _turn(self, kind: str, turned: tuple[Mask, int] | None) -> bool:
        if turned is None:
            return False
        self.mask, given = turned
        self.session.record(kind, self.mask, given)
        return True
