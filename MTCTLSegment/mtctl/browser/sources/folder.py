"""Cases as files in a folder; reviews are kept beside the results, decisions go into a case store as well."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.browser.sources.base import OpenedCase, WorkListEntry, WorkStage, in_order
from mtctl.browser.sources.case_store import is_predicted
from mtctl.browser.sources.reading import CaseData, read_case, read_corrected
from mtctl.browser.sources.result_folder import FolderCase, FolderError, confined, find_cases, report_of
from mtctl.cases.store import CaseStore, StoredCase
from mtctl.errors import MtctlError
from mtctl.geometry import Mask, Volume
from mtctl.inference.result import Result
from mtctl.io.given_spacing import with_spacing_of
from mtctl.io.volumes import read_volume, write_segmentation, write_volume
from mtctl.review.document import read_review, review_document, write_review
from mtctl.review.session import ReviewSession
from mtctl.review.state import RemainingWork, Status, summary
from mtctl.system.files import write_json

_STAGES = {Status.DRAFT: WorkStage.IN_REVIEW, Status.ACCEPTED: WorkStage.ACCEPTED, Status.REJECTED: WorkStage.REJECTED}


class FolderSource:
    """The cases of one folder, or one case of it.

    Attributes:
        root: The folder, resolved. Nothing outside it is read or written, the store aside.
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
        self._only = None if only is None else {only}
        self._cases: dict[str, FolderCase] = {}

    def entries(self) -> list[WorkListEntry]:
        """See `CaseSource`."""
        found = find_cases(self.root)
        self._cases = found if self._only is None else {key: c for key, c in found.items() if key in self._only}
        return in_order([_entry(key, case) for key, case in self._cases.items()])

    def open(self, key: str) -> OpenedCase:
        """See `CaseSource`."""
        case = self._case(key)
        if not case.segmented:
            return OpenedCase(read_volume(case.scan), None, None, None)
        data = read_case(case)
        session, mask, notes = _resume(case, data)
        return OpenedCase(data.scan, data, session, mask, notes)

    def save(self, key: str, session: ReviewSession, mask: Mask) -> None:
        """See `CaseSource`. The mask goes first: what the review says of edits is worked out from it anew."""
        case = self._case(key)
        edited = bool((mask != session.maps.segmentation).any())
        if edited or case.corrected.exists():
            self._write(case.corrected, lambda path: write_segmentation(Volume(mask, session.maps.geometry), path))
        self._write(case.review, lambda path: write_review(path, session))

    def accept(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        self.save(key, session, mask)
        case = self._stored(key)
        stored = self.store.accept(case, mask, review_document(session), self._reviewer)
        return f"stored as {stored.state.value}, case {stored.id} of {self.store.folder.name}"

    def reject(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """See `CaseSource`."""
        self.save(key, session, mask)
        case = self._stored(key)
        stored = self.store.reject(case, session.state.reason, review_document(session), self._reviewer)
        return f"stored as {stored.state.value}, case {stored.id} of {self.store.folder.name}"

    def add_scan(self, volume: Volume, name: str) -> str:
        """See `CaseSource`. No file that is there already is replaced."""
        stem = plain_name(name)
        for number in range(1, 10_000):
            path = self.root / (f"{stem}.image.nrrd" if number == 1 else f"{stem}-{number}.image.nrrd")
            if not path.exists() and not path.is_symlink():
                write_volume(volume, confined(self.root, path))
                if self._only is not None:
                    self._only.add(path.name)
                return path.name
        raise FolderError(f"{stem}: too many scans with this name")

    def add_result(self, key: str, result: Result) -> None:
        """See `CaseSource`. The report goes last: without it there are no results."""
        case = self._case(key)
        if case.review.exists():
            _rename_old_review(case)
        report = {
            "input": case.scan.name,
            **with_spacing_of(result.report, report_of(case)),
            "uncertainty": {"kind": "entropy", "mean": round(float(result.maps["entropy"].mean()), 5)},
        }
        maps = {"uncertainty": "entropy", "distance": "distance", "probability": "probability"}
        for kind, name in maps.items():
            found = Volume(result.maps[name], result.geometry)
            self._write(case.folder / f"{case.stem}.{kind}.nrrd", partial(write_volume, found))
        mask = Volume(result.segmentation, result.geometry)
        self._write(case.folder / f"{case.stem}.seg.nrrd", lambda path: write_segmentation(mask, path))
        write_json(confined(self.root, case.folder / f"{case.stem}.json"), report)

    def _case(self, key: str) -> FolderCase:
        if key not in self._cases:
            self.entries()
        try:
            case = self._cases[key]
        except KeyError:
            raise FolderError(f"{key}: there is no such case in this folder (any more)") from None
        confined(self.root, case.scan)
        return case

    def _write(self, path: Path, write: Callable[[Path], None]) -> None:
        if path.is_symlink():
            raise FolderError(f"{path.name}: is a link; nothing is written through links")
        write(confined(self.root, path))

    def _stored(self, key: str) -> StoredCase:
        """Return the case of the store with this scan and prediction; add it where it is not there yet."""
        data = read_case(self._case(key))
        case = self.store.add(data.scan)
        mask = data.maps.segmentation
        if is_predicted(case) and np.array_equal(case.prediction(), mask):
            return case
        maps = {"entropy": data.maps.uncertainty, "probability": data.maps.probability, "distance": data.maps.distance}
        result = Result(data.scan.geometry, mask.astype(np.uint8), maps, data.report)
        return self.store.add_prediction(case, result)


def plain_name(name: str) -> str:
    """Reduce a file name, without its format, to what every system takes: letters, digits, ".", "_" and "-"."""
    last = re.split(r"[\\/]", name)[-1]
    stem = re.sub(r"(\.nii\.gz|\.nii|\.nrrd|\.mha)$", "", last, flags=re.IGNORECASE).removesuffix(".image")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-_")[:80]
    return plain or "scan"


def _entry(key: str, case: FolderCase) -> WorkListEntry:
    if not case.segmented:
        return WorkListEntry(key, case.stem, WorkStage.TO_SEGMENT, "not segmented yet")
    report = report_of(case)
    urgency = 1.0 - _number(report.get("case_score"), 0.5) + (1.0 if report.get("flagged") else 0.0)
    document = _review(case)
    if document is None:
        regions = report.get("regions")
        volumes = [_number(r.get("volume_mm3"), 0.0) for r in regions] if isinstance(regions, list) else []
        text = summary(RemainingWork(len(volumes), sum(volumes) / 1000)) if volumes else "not looked at yet"
        flag = "please look, " if report.get("flagged") else ""
        return WorkListEntry(key, case.stem, WorkStage.TO_REVIEW, flag + text, urgency)
    try:
        stage = _STAGES[Status(document["status"])]
        left = RemainingWork(int(document["left"]["regions"]), float(document["left"]["ml"]))
    except (KeyError, TypeError, ValueError):
        return WorkListEntry(key, case.stem, WorkStage.TO_REVIEW, "its review file is damaged", urgency)
    text = str(document.get("reason", "")) if stage is WorkStage.REJECTED else summary(left)
    return WorkListEntry(key, case.stem, stage, text, urgency)


def _review(case: FolderCase) -> Mapping[str, Any] | None:
    if case.review.is_symlink():
        return None
    try:
        document = json.loads(case.review.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _number(value: Any, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise


def _resume(case: FolderCase, data: CaseData) -> tuple[ReviewSession, Mask, tuple[str, ...]]:
    """Return the review as it was left; where it does not fit, rename it and begin a new one."""
    if not case.review.is_file() or case.review.is_symlink():
        return ReviewSession(data.maps), data.maps.segmentation.copy(), ()
    try:
        left = read_corrected(case, data.maps.geometry)
        session = read_review(case.review, data.maps, left)
    except MtctlError as error:
        return _new_review(case, data, str(error))
    return session, data.maps.segmentation.copy() if left is None else left, ()


def _new_review(case: FolderCase, data: CaseData, why: str) -> tuple[ReviewSession, Mask, tuple[str, ...]]:
    kept = _rename_old_review(case)
    note = f"A new review was begun; the one before is kept as {kept}. Reason: {why}"
    return ReviewSession(data.maps), data.maps.segmentation.copy(), (note,)


def _rename_old_review(case: FolderCase) -> str:
    """Rename a review that belongs to another segmentation; return its new name."""
    for number in range(1, 10_000):
        ending = f".before-{number}"
        review = case.review.with_name(f"{case.stem}{ending}.review.json")
        if review.exists():
            continue
        case.review.rename(review)
        if case.corrected.exists():
            case.corrected.rename(case.corrected.with_name(f"{case.stem}{ending}.review.seg.nrrd"))
        return review.name
    raise FolderError(f"{case.stem}: too many old reviews")
