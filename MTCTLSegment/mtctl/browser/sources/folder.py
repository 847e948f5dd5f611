"""Cases as files in a folder; reviews are kept beside the results, decisions go into a case store as well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.browser.sources.base import HeldError, OpenedCase, WorkListEntry, WorkStage, in_order
from mtctl.browser.sources.case_store import is_predicted
from mtctl.browser.sources.reading import read_case, read_distance
from mtctl.browser.sources.result_folder import FolderCase, FolderError, find_cases, report_of
from mtctl.browser.sources.review_files import ReviewFiles, set_aside, write_whole
from mtctl.cases.records import RecordKind
from mtctl.cases.store import CaseStore, StoredCase
from mtctl.errors import MtctlError
from mtctl.geometry import Mask, Volume
from mtctl.inference.result import Result
from mtctl.io.given_spacing import with_spacing_of
from mtctl.io.reports import likely_wrong_ml
from mtctl.io.volumes import read_scan, write_segmentation, write_volume
from mtctl.review.document import review_document
from mtctl.review.session import ReviewSession
from mtctl.review.state import Status, StoredReview, summary
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import read_as
from mtctl.system.files import write_json
from mtctl.system.holds import Holder, Holds

_STAGES = {Status.DRAFT: WorkStage.IN_REVIEW, Status.ACCEPTED: WorkStage.ACCEPTED, Status.REJECTED: WorkStage.REJECTED}


class FolderSource:
    """The cases of one folder, or one case of it.

    Attributes:
        root: The folder, resolved. Nothing outside it is read or written, but the store and what is linked in it.
        store: Where decisions go.
    """

    def __init__(self, root: Path, store: CaseStore, only: str | None = None, reviewer: str = "") -> None:
        """Use a folder.

        Args:
            root: See there.
            store: Where decisions go.
            only: The one case (a key) that is listed, beside scans that are added; None: all.
            reviewer: Pseudonym of the person, for the store's decisions, or "".
        """
        self.root, self.store, self._reviewer = root.resolve(), store, reviewer
        self._holds = Holds(reviewer)
        self._files = ReviewFiles(self._holds)
        self._only = None if only is None else {only}
        self._cases: dict[str, FolderCase] = {}

    def entries(self) -> list[WorkListEntry]:
        """See `CaseSource`."""
        found = find_cases(self.root)
        self._cases = found if self._only is None else {key: c for key, c in found.items() if key in self._only}
        by_folder = _by_folder(self._cases.values())
        held = {folder: self._holds.holders(folder, stems) for folder, stems in by_folder.items()}
        entries = []
        for key, case in self._cases.items():
            holder = held[case.folder].get(case.stem)
            entries.append(replace(_entry(key, case), held=holder.words() if holder else ""))
        return in_order(entries)

    def open(self, key: str) -> OpenedCase:
        """See `CaseSource`."""
        case = self._case(key)
        notes: tuple[str, ...] = ()
        holder: Holder | None = None
        try:
            holder = self._holds.take(case.folder, case.stem)
        except MtctlError as error:  # It is saved as soon as that can be done, see `keep`.
            notes = (f"Nothing can be saved here at present: {error}",)
        if not case.segmented:
            loaded = read_scan(case.scan, None)
            return OpenedCase(loaded.volume, None, None, None, (*notes, *_about(case, loaded.remarks)), holder)
        data = read_case(case)
        session, mask, more = self._files.resume(case, data, ours=holder is None)
        return OpenedCase(data.scan, data, session, mask, (*notes, *more, *_about(case, data.remarks)), holder)

    def keep(self, key: str) -> Holder | None:
        """See `CaseSource`."""
        case = self._case(key)
        return self._holds.take(case.folder, case.stem)

    def take_over(self, key: str) -> None:
        """See `CaseSource`."""
        case = self._case(key)
        self._holds.take_over(case.folder, case.stem)

    def close(self, key: str) -> None:
        """See `CaseSource`."""
        if case := self._cases.get(key):
            self._holds.release(case.folder, case.stem)

    def save(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        return self._files.save(self._case(key), session, mask)

    def prefer_ours(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        case = self._case(key)
        self._holds.take_over(case.folder, case.stem)
        kept = self._files.prefer_ours(case, session, mask)
        return f"this review goes on; the other is kept as {kept}" if kept else "this review goes on"

    def accept(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        self._save_alone(key, session, mask)
        case = self._stored(key)
        stored = self.store.accept(case, mask, review_document(session), self._reviewer)
        return f"stored as {stored.state.value}, case {stored.id} of {self.store.folder.name}"

    def reject(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        self._save_alone(key, session, mask)
        case = self._stored(key)
        stored = self.store.reject(case, session.state.reason, review_document(session), self._reviewer)
        return f"stored as {stored.state.value}, case {stored.id} of {self.store.folder.name}"

    def add_scan(self, volume: Volume, name: str) -> str:
        """See `CaseSource`. No file that is there already is replaced."""
        stem = plain_name(name)
        for number in range(1, 10_000):
            path = self.root / (f"{stem}.image.nrrd" if number == 1 else f"{stem}-{number}.image.nrrd")
            try:
                path.touch(exist_ok=False)  # so that no other program takes the name meanwhile
            except FileExistsError:
                continue
            try:
                write_volume(volume, path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            if self._only is not None:
                self._only.add(path.name)
            return path.name
        raise FolderError(f"{stem}: too many scans with this name")

    def add_result(self, key: str, result: Result) -> None:
        """See `CaseSource`. The report goes last: without it there are no results."""
        case = self._case(key)
        if holder := self._holds.holder(case.folder, case.stem):
            raise HeldError(case.stem, holder)
        if case.review.exists():
            set_aside(case)
        report = {
            "input": case.scan.name,
            **with_spacing_of(result.report, report_of(case)),
            "uncertainty": {"kind": "entropy", "mean": round(float(result.maps["entropy"].mean()), 5)},
        }
        maps = {"uncertainty": "entropy", "distance": "distance", "probability": "probability"}
        for kind, name in maps.items():
            found = Volume(result.maps[name], result.geometry)
            write_whole(case.folder / f"{case.stem}.{kind}.nrrd", partial(write_volume, found))
        mask = Volume(result.segmentation, result.geometry)
        write_whole(case.folder / f"{case.stem}.seg.nrrd", lambda path: write_segmentation(mask, path))
        write_whole(case.folder / f"{case.stem}.json", lambda path: write_json(path, report))

    def _case(self, key: str) -> FolderCase:
        if key not in self._cases:
            self.entries()
        try:
            return self._cases[key]
        except KeyError:
            raise FolderError(f"{key}: there is no such case in this folder (any more)") from None

    def _save_alone(self, key: str, session: ReviewSession, mask: Mask) -> None:
        if sentence := self.save(key, session, mask):
            raise FolderError(f"{sentence}. Choose first which one to go on with")

    def _stored(self, key: str) -> StoredCase:
        """Return the case of the store with this scan and prediction; add it where it is not there yet.

        It is returned without drafts: those in the store are of other reviews of the scan, which stay.
        """
        files = self._case(key)
        data = read_case(files)
        case = self.store.add(data.scan)
        mask = data.maps.segmentation
        if is_predicted(case) and np.array_equal(case.prediction(), mask):
            return _without_drafts(case)
        distance = read_distance(files, data.maps)
        maps = {"entropy": data.maps.uncertainty, "probability": data.maps.probability, "distance": distance}
        result = Result(data.scan.geometry, mask.astype(np.uint8), maps, data.report)
        return _without_drafts(self.store.add_prediction(case, result))


def _without_drafts(case: StoredCase) -> StoredCase:
    return replace(case, records=tuple(record for record in case.records if record.kind is not RecordKind.DRAFT))


def plain_name(name: str) -> str:
    """Reduce a file name, without its format, to what every system takes: letters, digits, ".", "_" and "-"."""
    last = re.split(r"[\\/]", name)[-1]
    stem = re.sub(r"(\.nii\.gz|\.nii|\.nrrd|\.mha)$", "", last, flags=re.IGNORECASE).removesuffix(".image")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-_")[:80]
    return plain or "scan"


def _about(case: FolderCase, remarks: Iterable[str]) -> list[str]:
    """Return what is to be known of a scan's file as sentences for the page."""
    return [f"{case.scan.name}: {remark}." for remark in remarks]


def _by_folder(cases: Iterable[FolderCase]) -> dict[Path, list[str]]:
    stems: dict[Path, list[str]] = {}
    for case in cases:
        stems.setdefault(case.folder, []).append(case.stem)
    return stems


def _entry(key: str, case: FolderCase) -> WorkListEntry:
    if not case.segmented:
        return WorkListEntry(key, case.stem, WorkStage.TO_SEGMENT, "not segmented yet")
    report = report_of(case)
    urgency = 1.0 - _number(report.get("case_score"), 0.5) + (1.0 if report.get("flagged") else 0.0)
    try:
        review = _review(case)
    except DocumentError:
        return WorkListEntry(key, case.stem, WorkStage.TO_REVIEW, "its review file is damaged", urgency)
    if review is None:
        text = summary((), likely_wrong_ml(report)) or "not looked at yet"
        flag = "please look, " if report.get("flagged") else ""
        return WorkListEntry(key, case.stem, WorkStage.TO_REVIEW, flag + text, urgency)
    stage = _STAGES[review.status]
    text = review.reason if stage is WorkStage.REJECTED else summary(review.questions) or stage.value
    return WorkListEntry(key, case.stem, stage, text, urgency)


def _review(case: FolderCase) -> StoredReview | None:
    """Return what is read of a review without its maps; None where there is none.

    Raises:
        DocumentError: It is damaged.
    """
    if case.review.is_symlink():
        return None
    try:
        return read_as(StoredReview, read_object(case.review), case.review.name)
    except FileNotFoundError:
        return None


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise
