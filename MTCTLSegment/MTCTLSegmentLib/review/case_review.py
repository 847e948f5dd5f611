"""The review of one case in the scene: its session, its nodes, and what ties the two. No Qt: tests and scripts use it
as the panels do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from mtctl import scene
from mtctl.geometry import Volume
from mtctl.io.reports import likely_wrong_ml
from mtctl.review.answers import with_changed
from mtctl.review.case_maps import ReviewError
from mtctl.review.document import resume_review, review_document, with_geometry
from mtctl.review.session import ReviewSession
from mtctl.review.state import summary
from mtctl.uncertainty.kinds import NAMES
from mtctl.worker.requests import QuestionedCase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mtctl.geometry import Geometry, Mask, Triple
    from mtctl.review.answers import Answer, ShownQuestion
    from mtctl.scene import CaseNodes

# A review keeps the map and the threshold of this kind; the others can be looked at.
REVIEWED_KIND = NAMES[0]

# In a draft that is kept with the scene: which segmentation it is about.
_MASK = "mask_digest"


@dataclass
class CaseReview:
    """A person's review of one case. Make one with `open_review` or `open_stored_review`.

    Attributes:
        nodes: The nodes of the case; `refresh` reads them again after some were added or deleted.
        session: The review without a scene.
        note: A warning about how the review began, or "".
        asked: The question whose opposite answer is shown, or None.
        key: Names the case for the child process that is asked for questions.
    """

    nodes: CaseNodes
    session: ReviewSession
    _mask: Mask
    note: str = ""
    asked: ShownQuestion | None = None
    key: str = field(default_factory=lambda: uuid4().hex)
    _seen: set[bytes] = field(init=False)
    _noted: int | None = field(init=False)  # With the segment: replies that had been given when it became what it is.
    _given_before: int = field(init=False)  # The same where nothing is noted with it: none of this session was given.

    def __post_init__(self) -> None:
        self._seen = {_digest(self.session.maps.segmentation), _digest(self._mask)}
        self._noted, self._given_before = scene.replies_given(self.nodes), self.session.replies_given

    @property
    def report(self) -> dict[str, Any]:
        """The worker's report on the case."""
        return scene.load_document(self.nodes, "report") or {}

    @property
    def own(self) -> bool:
        """Whether the model's segmentation is reviewed."""
        return is_own(self.nodes)

    @property
    def mask(self) -> Mask:
        """The segmentation that `draft` describes, (z, y, x); it is never changed in place."""
        return self._mask

    def summary(self) -> str:
        """Return a summary, as "8.1 mL likely wrong; likely Dice 0.90-0.93"."""
        likely_wrong = likely_wrong_ml(self.report) if self.own else None
        return summary(self.session.state.replies, likely_wrong, self.expected_dice)

    @property
    def expected_dice(self) -> tuple[float, float] | None:
        """The 90 % interval of the Dice of the model's segmentation; None where unknown, or another is reviewed."""
        interval = self.report.get("case_score_interval") if self.own else None
        return (interval[0], interval[1]) if interval else None

    def warnings(self) -> list[str]:
        """Return the warnings that the person should read first."""
        flagged = self.report.get("flagged") and not self.report.get("warnings") and self.own
        doubt = ["the model expects a poor result on this scan: look at all of it, not at the questions alone"]
        return [*([self.note] if self.note else []), *self.report.get("warnings", []), *(doubt if flagged else [])]

    def refresh(self) -> str | None:
        """Read the nodes of the case again.

        Returns:
            What is missing for the review, in a sentence; None where it can go on.
        """
        nodes = scene.find_case(self.nodes.scene, self.nodes.scan)
        if nodes is None:
            return "the results of this scan were deleted: press Apply to make them again"
        self.nodes = nodes
        return scene.missing(nodes)

    def look_at(self, question: ShownQuestion) -> None:
        """Show the place of a question in the views.

        Raises:
            SceneError: The scan was deleted, or is under a warping transform.
        """
        self.discard()
        scene.follow_scan(self.nodes)
        scene.jump(self.nodes.scene, self._place_in_scene(question.place))

    def preview_question(self, question: ShownQuestion) -> None:
        """Show what the opposite answer would change; the segmentation is not changed.

        Raises:
            SceneError: Something was deleted.
        """
        if not len(question.voxels):
            return
        self.nodes = scene.show_preview(self.nodes, question.voxels)
        self.asked = question

    def questioned(self) -> QuestionedCase:
        """Return the case as it was before any review, for the process that is asked for questions.

        Raises:
            SceneError: The scan was deleted, or is under a warping transform.
        """
        # Where the scan lay when the review began: there are the places of what was said.
        maps, scan = self.session.maps, scene.volume_of(self.nodes.scan)
        return QuestionedCase(self.key, Volume(scan.array, maps.geometry), maps.segmentation, maps.probability)

    def place_in_review(self, place: Triple) -> Triple:
        """Return where a place in the views (LPS mm) was when the review began: the scan may have been moved.

        Raises:
            SceneError: The scan was deleted, or is under a warping transform.
        """
        return _moved(place, scene.volume_of(self.nodes.scan).geometry, self.session.maps.geometry)

    def _place_in_scene(self, place: Triple) -> Triple:
        return _moved(place, self.session.maps.geometry, scene.volume_of(self.nodes.scan).geometry)

    def discard(self) -> None:
        """Hide what a question's opposite answer would change."""
        if self.asked is not None:
            self.asked = None
            scene.remove_preview(self.nodes)

    def keep(self, question: ShownQuestion, save_for_undo: Callable[[], None]) -> None:
        """Record that the segmentation is right where a question was asked, as one undo step.

        Args:
            question: The question.
            save_for_undo: Called right before.

        Raises:
            SceneError: Something was deleted.
        """
        self._begin_reply(save_for_undo)
        self.session.keep(question)
        self._note_replies()

    def answer(
        self,
        voxels: NDArray[np.int64],
        answer: Answer,
        question: ShownQuestion | None,
        save_for_undo: Callable[[], None],
    ) -> None:
        """Change what an answer changes as one undo step, also where that is nothing, and record both.

        Args:
            voxels: Flat indices of the voxels that change side.
            answer, question: See `ReviewSession.answer`.
            save_for_undo: Called right before.

        Raises:
            SceneError: Something was deleted.
        """
        self.discard()
        mask = with_changed(scene.mask_of(self.nodes), voxels)
        self._begin_reply(save_for_undo)
        if len(voxels):
            scene.set_mask(self.nodes, mask)
        self._seen.add(_digest(mask))
        self._mask = mask
        self.session.answer(answer, mask, question)
        self._note_replies()

    def note_edit(self, kind: str) -> str:
        """Record a change by a tool or by undo or redo, which may bring back replies.

        Args:
            kind: See `Edit`.

        Returns:
            The kind that it was: "undo" where it led back to what was there before; "": there was no change.

        Raises:
            SceneError: Something was deleted.
        """
        return self._record(kind, scene.mask_of(self.nodes))

    def draft(self) -> dict[str, Any]:
        """Return the review as plain data."""
        return review_document(self.session)

    def save_draft(self) -> None:
        """Save the draft with the case in the scene.

        Raises:
            SceneError: The case's record was deleted.
        """
        scene.store_document(self.nodes, _draft_name(self.nodes), self.draft() | {_MASK: _digest(self._mask).hex()})

    def _record(self, kind: str, mask: Mask) -> str:
        noted, same = scene.replies_given(self.nodes), np.array_equal(mask, self._mask)
        if same and noted == self._noted:
            return ""
        given = None  # As before: a new step, unless the history of the editor brought back what was noted with it.
        if noted != self._noted:
            known = noted is not None and noted <= len(self.session.state.replies)
            given, self._noted = noted if known else self._given_before, noted
        if same:
            self.session.record("undo", mask, given)
            return "undo"
        digest = _digest(mask)
        self.discard()  # It was worked out for the segmentation as it was.
        kind = "undo" if digest in self._seen else kind
        self._seen.add(digest)
        self._mask = mask
        self.session.record(kind, mask, given)
        return kind

    def _begin_reply(self, save_for_undo: Callable[[], None]) -> None:
        scene.set_replies_given(self.nodes, self.session.replies_given)  # What another session noted holds no more.
        save_for_undo()

    def _note_replies(self) -> None:
        self._noted = self.session.replies_given
        scene.set_replies_given(self.nodes, self._noted)


def is_own(nodes: CaseNodes) -> bool:
    """Return whether the model's segmentation is reviewed."""
    return nodes.reviewed is nodes.segmentation and nodes.segment_id == scene.SEGMENT_ID


def open_review(nodes: CaseNodes) -> CaseReview:
    """Begin the review of a case, or resume its draft.

    Args:
        nodes: The case.

    Raises:
        SceneError: Something that is needed was deleted.
    """
    maps, mask, note = scene.case_maps(nodes, REVIEWED_KIND), scene.mask_of(nodes), ""
    draft, session = scene.load_document(nodes, _draft_name(nodes)), None
    if draft:
        try:
            written = _where_the_scan_is(draft, maps.geometry)
            session = resume_review(written, maps, mask)
        except ReviewError as error:
            note = str(error)
    if session is not None and draft and draft.get(_MASK, _digest(mask).hex()) != _digest(mask).hex():
        session.reopen_case()  # What was vouched for is not there any more; of the places nobody can tell.
        session.pause()
        note = "the segmentation was edited outside of this module since the review: look again at what was accepted"
    if session is None:
        session = ReviewSession(maps, mask=mask)
    return CaseReview(nodes, session, mask, note)


def open_stored_review(nodes: CaseNodes, document: Mapping[str, Any]) -> CaseReview:
    """Go on with the review of a case that was loaded from a store; begin one where it cannot be used (see `note`).

    Args:
        nodes: The case.
        document: The review as the store has it.

    Raises:
        SceneError: Something that is needed was deleted.
    """
    maps, mask = scene.case_maps(nodes, REVIEWED_KIND), scene.mask_of(nodes)
    try:
        return CaseReview(nodes, resume_review(document, maps, mask), mask)
    except ReviewError as error:
        return CaseReview(nodes, ReviewSession(maps, mask=mask), mask, str(error))


def _moved(place: Triple, before: Geometry, now: Geometry) -> Triple:
    """Return where the same voxel lies on another grid of the same size."""
    if now == before:
        return place
    x, y, z = now.index_to_physical(before.physical_to_index(place)).tolist()
    return x, y, z


def forget_draft(nodes: CaseNodes) -> None:
    """Remove the draft of a case that was segmented again."""
    scene.store_document(nodes, _draft_name(nodes), {})


def _draft_name(nodes: CaseNodes) -> str:
    # Segments of different nodes often have one id: that of every file that the command line wrote, or "Segment_1".
    where = "" if nodes.reviewed is nodes.segmentation or nodes.reviewed is None else f" of {nodes.reviewed.GetID()}"
    return f"review {nodes.segment_id}{where}"


def _where_the_scan_is(draft: dict[str, Any], geometry: Geometry) -> dict[str, Any]:
    """Return a draft with the present geometry of a scan that was moved since (registered, or centred).

    The draft is kept with the scan, so that it is that of no other.
    """
    written, here = draft.get("geometry"), geometry.to_json()
    if not isinstance(written, dict) or written.keys() != here.keys():
        return draft
    same = list(written["size"]) == list(here["size"]) and np.allclose(written["spacing"], here["spacing"], atol=1e-3)
    return with_geometry(draft, geometry) if same else draft


def _digest(mask: Mask) -> bytes:
    return hashlib.blake2b(np.packbits(mask).data, digest_size=16).digest()
