"""Cases of a case store: reviews and decisions are its drafts and versions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtctl.browser.sources.base import OpenedCase, WorkListEntry, WorkStage, in_order
from mtctl.browser.sources.reading import CaseData, memory_mapped
from mtctl.cases.records import RecordKind
from mtctl.cases.store import CaseState, CaseStore, StoredCase
from mtctl.errors import MtctlError
from mtctl.geometry import Mask, Volume
from mtctl.inference.result import Result
from mtctl.review.document import read_review, review_document
from mtctl.review.session import ReviewSession
from mtctl.review.state import RemainingWork, summary

_STAGES = {
    CaseState.UNLABELLED: WorkStage.TO_SEGMENT,
    CaseState.PREDICTED: WorkStage.TO_REVIEW,
    CaseState.IN_REVIEW: WorkStage.IN_REVIEW,
    CaseState.CORRECTED: WorkStage.ACCEPTED,
    CaseState.ACCEPTED: WorkStage.ACCEPTED,
    CaseState.REJECTED: WorkStage.REJECTED,
}


class CaseStoreSource:
    """See `CaseSource`."""

    def __init__(self, store: CaseStore, reviewer: str = "") -> None:
        """Use the cases of a store; `reviewer` is the pseudonym of the person, for drafts and decisions, or ""."""
        self.store, self._reviewer = store, reviewer

    def entries(self) -> list[WorkListEntry]:
        """See `CaseSource`."""
        return in_order([_entry(case) for case in self.store.cases()])

    def open(self, key: str) -> OpenedCase:
        """See `CaseSource`."""
        case = self.store.case(key)
        scan = case.scan()
        if not is_predicted(case):
            return OpenedCase(scan, None, None, None)
        maps = case.maps()
        maps = replace(maps, probability=memory_mapped(maps.probability), distance=memory_mapped(maps.distance))
        data = CaseData(scan, maps, dict(case.report()), {})
        session, mask, notes = _resume(case, data)
        return OpenedCase(scan, data, session, mask, notes)

    def save(self, key: str, session: ReviewSession, mask: Mask) -> None:
        """See `CaseSource`."""
        self.store.save_draft(key, mask, review_document(session), self._reviewer)

    def accept(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        stored = self.store.accept(key, mask, review_document(session), self._reviewer)
        return f"stored as {stored.state.value}"

    def reject(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        stored = self.store.reject(key, session.state.reason, review_document(session), self._reviewer)
        return f"stored as {stored.state.value}"

    def add_scan(self, volume: Volume, name: str) -> str:
        """See `CaseSource`. The name stays outside: it might be the patient's."""
        return self.store.add(volume).id

    def add_result(self, key: str, result: Result) -> None:
        """See `CaseSource`."""
        self.store.add_prediction(key, result)


def is_predicted(case: StoredCase) -> bool:
    """Return whether there is a prediction to review."""
    return any(record.kind is RecordKind.PREDICTION for record in case.records)


def _entry(case: StoredCase) -> WorkListEntry:
    stage, text, urgency = _STAGES[case.state], case.state.value, 0.0
    try:
        if stage is WorkStage.TO_SEGMENT:
            return WorkListEntry(case.id, case.id, stage, "not segmented yet")
        report = case.report()
        score = report.get("case_score")
        urgency = (1.0 - score if isinstance(score, int | float) else 0.5) + bool(report.get("flagged"))
        if stage is WorkStage.REJECTED:
            text = case.reason()
        elif stage is WorkStage.IN_REVIEW:
            draft = case.draft()
            text = summary(RemainingWork(**draft.review["left"])) if draft else text
        elif stage is WorkStage.TO_REVIEW:
            text = "please look: the model is unsure" if report.get("flagged") else "not looked at yet"
        else:
            text = f"version {case.version}"
    except (MtctlError, KeyError, TypeError) as error:
        text = str(error)
    return WorkListEntry(case.id, case.id, stage, text, urgency)


def _resume(case: StoredCase, data: CaseData) -> tuple[ReviewSession, Mask, tuple[str, ...]]:
    """Return the review as it was left: the newest draft, else the last decision; a new one where neither fits."""
    fresh = ReviewSession(data.maps), data.maps.segmentation.copy()
    for record in reversed(case.records):
        path = record.folder / "review.json"
        if record.kind is RecordKind.PREDICTION:
            break
        if not path.is_file():
            continue
        try:
            draft = case.draft()
            mask = draft.mask if draft and record.kind is RecordKind.DRAFT else data.maps.segmentation
            if case.state.labelled:
                mask = case.corrected_mask()
            mask = np.asarray(mask, dtype=bool)
            return read_review(path, data.maps, mask), mask.copy(), ()
        except MtctlError as error:
            return *fresh, (f"A new review was begun; the one before stays in the store. Reason: {error}",)
    return *fresh, ()
