"""The open review, which all panels share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer

from mtctl import scene
from mtctl.scene import SceneError
from mtctl.scene.types import Node
from MTCTLSegmentLib.observable import Observable
from MTCTLSegmentLib.review.case_review import CaseReview, forget_draft, open_review

if TYPE_CHECKING:
    from mtctl.inference.result import Result
    from mtctl.scene import CaseNodes


class CurrentReview(Observable):
    """The open review; those of other scans are suspended.

    Attributes:
        parameters: The module's parameter node; None while the scene closes or loads, and out of the module.
        review: The open review, or None.
        problem: Why the review cannot go on, or "".
    """

    def __init__(self) -> None:
        super().__init__()
        self.parameters: Any = None
        self.review: CaseReview | None = None
        self.problem = ""
        self._suspended: dict[str, CaseReview] = {}

    @property
    def nodes(self) -> CaseNodes | None:
        """The case that is open; None where there is none."""
        return None if self.review is None else self.review.nodes

    def save_and_notify(self) -> None:
        """Save the draft after an action of the user, and notify the panels.

        Kept at once (1 ms, 12 ms for a scan of the whole chest): no event says reliably that a scene will be saved.
        """
        self.save_draft()
        self.notify()

    def open(self, scan: Node) -> None:
        """Open the review of a scan, if there is one, as it was left.

        Raises:
            SceneError: Something of it was deleted; `problem` says so, too.
        """
        if self.nodes is not None and self.nodes.scan is scan:
            return
        self.suspend()
        nodes = scene.find_case(slicer.mrmlScene, scan) if scan is not None else None
        if nodes is not None:
            self.problem = scene.missing(nodes) or scene.out_of_date(nodes) or ""
            if not self.problem:
                review = self._suspended.get(scan.GetID()) or open_review(nodes)
                review.refresh()
                # While it was aside nobody watched: it may have been edited in another module.
                edited = review.note_edit("elsewhere")
                self._suspended.pop(scan.GetID(), None)
                self.review = review
                if edited:
                    self.save_draft()
        self.notify()

    def take_result(self, scan: Node, result: Result, save_for_undo: Callable[[], None]) -> None:
        """Show a result as the case of its scan, and open its review.

        Raises:
            SceneError: The scan was moved, replaced or deleted meanwhile.
        """
        self._suspended.pop(scan.GetID() or "", None)
        nodes = scene.show_result(slicer.mrmlScene, scan, result, save_for_undo)
        self.suspend()
        self._suspended.pop(scan.GetID(), None)
        forget_draft(nodes)
        self.problem = ""
        self.review = open_review(nodes)

    def review_other(self, segmentation: Node, segment_id: str) -> None:
        """Review another segment in the open case, which may be the model's.

        Args:
            segmentation, segment_id: See `scene.review_segmentation`.

        Raises:
            SceneError: There is no such segment, or it is empty on the scan's grid.
        """
        review = self.review
        if review is None or (review.nodes.reviewed is segmentation and review.nodes.segment_id == segment_id):
            return
        self.save_draft()
        review.discard()
        self.review = open_review(scene.review_segmentation(review.nodes, segmentation, segment_id))

    def suspend(self) -> None:
        """Suspend the open review; opening its scan again resumes it."""
        review, self.review, self.problem = self.review, None, ""
        if review is None:
            return
        review.session.pause()
        if review.refresh() is None:
            review.discard()
            self._save(review)
            self._suspended[review.nodes.scan.GetID()] = review

    def pause(self) -> None:
        """Stop the review's clock, hide what is previewed and save the draft, as the user leaves the module."""
        if self.review is not None:
            self.review.session.pause()
            if self.review.refresh() is None:
                self.review.discard()
            self.save_draft()

    def check_nodes(self) -> bool:
        """Close the open review if it needs a node that was deleted.

        Returns:
            Whether it can.
        """
        for scan_id in [key for key in self._suspended if slicer.mrmlScene.GetNodeByID(key) is None]:
            del self._suspended[scan_id]
        problem = self.review.refresh() if self.review is not None else None
        if problem:
            self.review, self.problem = None, problem
        return not problem

    def save_draft(self) -> None:
        """Save the draft of the open review with the scene."""
        if self.review is not None and self.review.refresh() is None:
            self._save(self.review)

    def clear(self) -> None:
        """Drop all reviews, as the scene is about to be closed or replaced."""
        self.review, self.problem = None, ""
        self._suspended.clear()

    def close(self) -> None:
        """Save the draft and drop all reviews, as the module is about to be unloaded."""
        self.pause()
        self.clear()

    @staticmethod
    def _save(review: CaseReview) -> None:
        try:
            review.save_draft()
        except SceneError:  # The record was deleted a moment ago; the panels are told why by `check_nodes`.
            return
