"""The review of one case, region by region: the same in Slicer and in the browser.

The current segmentation stays in the editor of the caller, who passes it in; it is never stored or changed here.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtctl.geometry import Mask, Triple
from mtctl.review.active_time import ActiveTime
from mtctl.review.answers import Answer, Said, ShownQuestion
from mtctl.review.case_maps import CaseMaps, RegionPart, ReviewError
from mtctl.review.replies import Reply, ReplyHistory, said_in
from mtctl.review.state import Edit, RegionMark, RemainingWork, ReviewState, Status
from mtctl.uncertainty.region_search import region_map
from mtctl.uncertainty.regions import Region, RegionMap

#: Volume of the regions that a new review lists, unless a threshold is given: two to five minutes of looking.
REVIEW_ML = 20.0

#: An accepted region is open again when the threshold falls and makes it so many times larger: those voxels were not
#: looked at. Less would reopen regions at every touch of the slider.
GROWN = 1.25


class ReviewSession:
    """A person's way through the uncertain regions of a case.

    Every action counts the time since the last one, IDLE_SECONDS at most, towards the review and its current region.

    Attributes:
        maps: The case.
        all_regions: Its regions at any threshold.
        state: All that is remembered; frozen, so that it can be kept and compared.

    Raises (from the constructor):
        ReviewError: The mask is on another grid, or the state names a region that there is not.
    """

    def __init__(
        self,
        maps: CaseMaps,
        state: ReviewState | None = None,
        mask: Mask | None = None,
        clock: Callable[[], float] = time.monotonic,
        all_regions: RegionMap | None = None,
    ) -> None:
        """Begin a review, or go on with one.

        Args:
            maps: The case.
            state: Where it stood; None for a new one with so low a threshold that the list holds REVIEW_ML.
            mask: The segmentation as it is now (z, y, x); None: as in `maps`.
            clock: Seconds, for the time spent.
            all_regions: The regions of these very maps, where they are known; None: found here, in half a second.
        """
        self.maps = maps
        self.all_regions = all_regions or region_map(maps.uncertainty, maps.segmentation, maps.geometry, maps.outline)
        self.state = state or ReviewState(self.all_regions.threshold_for(REVIEW_ML))
        self._time = ActiveTime(clock)
        self._listed: tuple[float, tuple[Region, ...]] | None = None
        known = range(1, len(self.all_regions.start))
        for number in [*self.state.marks, *([] if self.state.current is None else [self.state.current])]:
            if number not in known:
                raise ReviewError(f"region {number} of the draft is unknown here: start a new review of this case")
        self._changed = self._changes(maps.segmentation if mask is None else mask)
        self._mark_edited()
        self._replies_given = len(self.state.replies)
        self._history = ReplyHistory()
        self._history.note(self._mask_key(), self._replies_given, self.state.replies)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions at the threshold, most error to be expected first, with what was done with them."""
        threshold = self.state.threshold
        if self._listed is None or self._listed[0] != threshold:
            self._listed = threshold, self.all_regions.regions_at(threshold)
        return tuple(self._with_mark(region) for region in self._listed[1])

    @property
    def current(self) -> Region | None:
        """The region that the person is at; None where it is not listed at this threshold."""
        return next((region for region in self.regions if region.id == self.state.current), None)

    @property
    def remaining(self) -> RemainingWork:
        """What is left to check."""
        still_open = [region for region in self.regions if not region.accepted]
        total = sum(region.volume_mm3 / 1000 for region in still_open)
        known = sum(self._ml(region.id, self._mark(region.id).accepted_at) for region in still_open)
        return RemainingWork(len(still_open), max(total - known, 0.0))

    @property
    def looked_at_ml(self) -> float:
        """Volume of all regions that were visited, each at the lowest threshold at which it was."""
        # Rounded once: a resumed review, whose marks are in another order, has the same sum to the last digit.
        return math.fsum(self._ml(number, mark.seen_at) for number, mark in self.state.marks.items())

    def set_threshold(self, threshold: float) -> tuple[Region, ...]:
        """Move the threshold; the regions that are then listed keep their ids and what was done with them.

        Raises:
            ReviewError: It is not between 0 and 1.
        """
        if not 0 <= threshold <= 1:
            raise ReviewError(f"a threshold of {threshold:g} is impossible: it lies between 0 and 1")
        self._count_time()
        self.state = replace(self.state, threshold=float(threshold))
        return self.regions

    def next(self) -> Region | None:
        """Go to the region after the current one, after the last to the first; from none to the first open one."""
        return self._step(1) if self.current else self.next_open()

    def previous(self) -> Region | None:
        """Go to the region before the current one, before the first to the last."""
        return self._step(-1)

    def next_open(self) -> Region | None:
        """Go to the next region that is not accepted; stay where all are."""
        ids = [region.id for region in self.regions]
        after = ids.index(self.state.current) + 1 if self.state.current in ids else 0
        for region in self.regions[after:] + self.regions[:after]:
            if not region.accepted:
                return self.jump(region.id)
        return self.current

    def jump(self, region: int) -> Region:
        """Go to a listed region, which is then visited.

        Raises:
            ReviewError: It is not listed at this threshold.
        """
        self._count_time()
        self._look_at(region)
        self.state = replace(self.state, current=region)
        return self._with_mark(self._region(region))

    def accept_region(self, region: int) -> None:
        """Record that the person finds the segmentation of the region right, as it is now.

        Raises:
            ReviewError: It is not listed at this threshold.
        """
        self._count_time()
        self._look_at(region)
        self._set_mark(region, self._mark(region).accepted(self.state.threshold))

    def reopen_region(self, region: int) -> None:
        """Withdraw the acceptance of a region.

        Raises:
            ReviewError: It is not listed at this threshold.
        """
        self._count_time()
        self._region(region)
        self._set_mark(region, replace(self._mark(region), accepted_at=None))
        self.state = replace(self.state, status=Status.DRAFT, reason="")

    @property
    def replies_given(self) -> int:
        """How many replies had been given at this step of the editor's history; the editor keeps it with each step."""
        return self._replies_given

    def record(self, kind: str, mask: Mask, replies_given: int | None = None) -> Edit | None:
        """Record an edit, an undo or a redo that has just been made.

        Accepted regions that it reaches are open again, and so is the case. An undo takes back the replies that came
        after its step of the history.

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
        edit = Edit(kind, self.state.current, self.state.seconds, added * voxel_ml, (len(touched) - added) * voxel_ml)
        self._mark_edited()
        self._reopen(touched)
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
        """Record that the person finds the segmentation right where a question was asked."""
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
        self.state = replace(self.state, replies=(*self.state.replies, reply))
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

    def part(self, region: int) -> RegionPart:
        """Return the voxels of a region at this threshold.

        Raises:
            ReviewError: It is not listed at this threshold.
        """
        self._region(region)
        return RegionPart.of(self.all_regions.voxels_at(region, self.state.threshold), self.maps.geometry.shape)

    def paintable(self, region: int | None = None) -> Mask:
        """Return where painting is allowed (z, y, x): in one region, or with None wherever the threshold is reached.

        Raises:
            ReviewError: The region is not listed at this threshold.
        """
        if region is None:
            return self.maps.uncertainty >= self.state.threshold
        part, allowed = self.part(region), np.zeros(self.maps.geometry.shape, dtype=bool)
        allowed[part.box] = part.inside
        return allowed

    def _step(self, by: int) -> Region | None:
        ids = [region.id for region in self.regions]
        if not ids:
            return None
        here = ids.index(self.state.current) if self.state.current in ids else 0
        return self.jump(ids[(here + by) % len(ids)])

    def _region(self, number: int) -> Region:
        for region in self.regions:
            if region.id == number:
                return region
        raise ReviewError(f"region {number} is not listed at threshold {self.state.threshold:g}: lower the threshold")

    def _with_mark(self, region: Region) -> Region:
        mark = self._mark(region.id)
        accepted = self._ml(region.id, mark.accepted_at) * 1000 * GROWN >= region.volume_mm3
        return replace(region, visited=mark.seen_at is not None, edited=mark.edited, accepted=accepted)

    def _ml(self, region: int, threshold: float | None) -> float:
        """Return the volume of a region at a threshold, mL; 0 for None."""
        return (
            0.0
            if threshold is None
            else len(self.all_regions.voxels_at(region, threshold)) * self.maps.geometry.voxel_ml
        )

    def _mark(self, region: int) -> RegionMark:
        return self.state.marks.get(region, RegionMark())

    def _set_mark(self, region: int, mark: RegionMark) -> None:
        self.state = replace(self.state, marks={**self.state.marks, region: mark})

    def _look_at(self, region: int) -> None:
        self._region(region)
        self._set_mark(region, self._mark(region).seen(self.state.threshold))

    def _changes(self, mask: Mask) -> NDArray[np.int64]:
        """Return the flat indices of the voxels that differ from what they were before the review."""
        start = self.maps.segmentation
        if mask.shape != start.shape:
            raise ReviewError(f"the segmentation has {mask.shape} voxels, the scan {start.shape} (z, y, x)")
        return np.flatnonzero(np.asarray(mask, dtype=bool) != start)

    def _mask_key(self) -> bytes:
        return hashlib.blake2b(self._changed.data, digest_size=16).digest()

    def _mark_edited(self) -> None:
        hit = np.flatnonzero(np.isin(self.all_regions.voxel, self._changed))
        edited = set(np.searchsorted(self.all_regions.start, hit, side="right").tolist())
        for number in edited | self.state.marks.keys():
            self._set_mark(number, replace(self._mark(number), edited=number in edited))

    def _reopen(self, touched: NDArray[np.int64]) -> None:
        """Open the accepted regions that hold touched voxels again: they are not what was accepted."""
        for number, mark in self.state.marks.items():
            if mark.accepted_at is None:
                continue
            if np.isin(self.all_regions.voxels_at(number, mark.accepted_at), touched).any():
                self._set_mark(number, replace(mark, accepted_at=None))

    def _count_time(self) -> None:
        spent = self._time.count()
        self.state = replace(self.state, seconds=self.state.seconds + spent)
        if self.state.current is not None:
            mark = self._mark(self.state.current)
            self._set_mark(self.state.current, replace(mark, seconds=mark.seconds + spent))
