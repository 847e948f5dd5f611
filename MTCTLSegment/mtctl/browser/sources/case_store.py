"""Cases of a case store: reviews and decisions are its drafts and versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mtctl.browser.sources.base import OpenedCase, WorkListEntry, WorkStage, in_order
from mtctl.browser.sources.reading import CaseData, memory_mapped
from mtctl.cases.records import REVIEW, Record, RecordKind
from mtctl.cases.store import CaseError, CaseState, CaseStore, StoredCase
from mtctl.errors import MtctlError
from mtctl.geometry import Mask, Volume
from mtctl.inference.result import Result
from mtctl.review.document import read_review, review_document
from mtctl.review.session import ReviewSession
from mtctl.review.state import StoredReview, summary
from mtctl.system.fields import read_as
from mtctl.system.holds import Holder, Holds

_STAGES = {
    CaseState.UNLABELLED: WorkStage.TO_SEGMENT,
    CaseState.PREDICTED: WorkStage.TO_REVIEW,
    CaseState.IN_REVIEW: WorkStage.IN_REVIEW,
    CaseState.CORRECTED: WorkStage.ACCEPTED,
    CaseState.ACCEPTED: WorkStage.ACCEPTED,
    CaseState.REJECTED: WorkStage.REJECTED,
}


_DISPUTED = "another reviewer went on with this case: theirs and yours are kept beside each other in the store"


class CaseStoreSource:
    """See `CaseSource`."""

    def __init__(self, store: CaseStore, reviewer: str = "") -> None:
        """Use the cases of a store; `reviewer` is the pseudonym of the person, for drafts and decisions, or ""."""
        self.store, self._reviewer = store, reviewer
        self._holds = Holds(reviewer)
        self._open: dict[str, _Known] = {}

    def entries(self) -> list[WorkListEntry]:
        """See `CaseSource`."""
        cases = self.store.cases()
        held = self._holds.holders(self.store.folder, [case.id for case in cases])
        return in_order(
            [replace(_entry(case), held=held[case.id].words() if case.id in held else "") for case in cases]
        )

    def open(self, key: str) -> OpenedCase:
        """See `CaseSource`."""
        notes: tuple[str, ...] = ()
        holder: Holder | None = None
        try:
            holder = self._holds.take(self.store.folder, key)
        except MtctlError as error:  # It is saved as soon as that can be done, see `keep`.
            notes = (f"Nothing can be saved here at present: {error}",)
        case, before = self.store.case(key), self._open.get(key)
        # Where two went on with the case, opening it anew shows the other's work.
        passed = before.ours if before and before.disputed else frozenset()
        case = replace(case, records=tuple(record for record in case.records if record.number not in passed))
        self._open[key] = _Known(case, passed)
        scan = case.scan()
        if not is_predicted(case):
            return OpenedCase(scan, None, None, None, notes, holder)
        maps = case.maps()
        maps = replace(maps, probability=memory_mapped(maps.probability))
        data = CaseData(scan, maps, dict(case.report()))
        session, mask, more = _resume(case, data)
        return OpenedCase(scan, data, session, mask, (*notes, *more), holder)

    def keep(self, key: str) -> Holder | None:
        """See `CaseSource`."""
        return self._holds.take(self.store.folder, key)

    def take_over(self, key: str) -> None:
        """See `CaseSource`."""
        self._holds.take_over(self.store.folder, key)

    def close(self, key: str) -> None:
        """See `CaseSource`."""
        self._holds.release(self.store.folder, key)
        self._open.pop(key, None)

    def save(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`. Drafts that are not known here stay, whoever their author is."""
        known, document = self._open.get(key) or _Known(self.store.case(key)), review_document(session)
        stored = self.store.save_draft(known.case, mask, document, self._reviewer)
        known = self._open[key] = known.after(stored, document)
        others = known.others(stored) or self._holds.holder(self.store.folder, key)
        self._open[key] = replace(known, disputed=bool(others))
        return _DISPUTED if others else ""

    def prefer_ours(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        self._holds.take_over(self.store.folder, key)
        case = self.store.case(key)
        known = self._open.get(key) or _Known(case)
        self._open[key] = replace(known, passed=known.passed | known.others(case))
        self.save(key, session, mask)
        return "this review goes on; the other is kept in the store"

    def accept(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        stored = self.store.accept(self._alone(key), mask, review_document(session), self._reviewer)
        self._open[key] = _Known(stored)
        return f"stored as {stored.state.value}"

    def reject(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        case = self._alone(key)
        stored = self.store.reject(case, session.state.reason, review_document(session), self._reviewer)
        self._open[key] = _Known(stored)
        return f"stored as {stored.state.value}"

    def add_scan(self, volume: Volume, name: str) -> str:
        """See `CaseSource`. The name stays outside: it might be the patient's."""
        return self.store.add(volume).id

    def add_result(self, key: str, result: Result) -> None:
        """See `CaseSource`."""
        self.store.add_prediction(key, result)

    def _alone(self, key: str) -> StoredCase:
        """Return the case as it is known here, where nobody else went on with it."""
        case = self.store.case(key)
        known = self._open.get(key) or _Known(case)
        if known.others(case) or self._holds.holder(self.store.folder, key):
            raise CaseError(f"{_DISPUTED}. Choose first which one to go on with")
        return known.case


@dataclass(frozen=True)
class _Known:
    """What is known here of a case that is open.

    Attributes:
        case: As it was opened, with what was stored from here since.
        passed: Numbers of records that the person went past.
        ours: Numbers of drafts that were stored from here.
        disputed: Whether somebody else stored something since.
    """

    case: StoredCase
    passed: frozenset[int] = frozenset()
    ours: frozenset[int] = frozenset()
    disputed: bool = False

    def others(self, now: StoredCase) -> frozenset[int]:
        """Return the numbers of records that somebody else stored since."""
        here = {record.number for record in self.case.records} | self.passed
        return frozenset(record.number for record in now.records if record.number not in here)

    def after(self, now: StoredCase, review: Mapping[str, Any]) -> _Known:
        """Return what is known after a draft with this review was stored."""
        news = [record for record in now.records if record.number in self.others(now)]
        wanted = json.loads(json.dumps(review))
        mine = [record for record in news if record.kind is RecordKind.DRAFT and _review_of(record) == wanted][-1:]
        there = {record.number for record in now.records}
        records = (*(record for record in self.case.records if record.number in there), *mine)
        return replace(self, case=replace(now, records=records), ours=self.ours | {record.number for record in mine})


def _review_of(record: Record) -> Mapping[str, Any] | None:
    try:
        return record.json(REVIEW)
    except MtctlError:
        return None


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
            text = (draft and summary(read_as(StoredReview, draft.review, case.id).questions)) or text
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
