"""One case of the store as it stood when it was read: its scan, predictions, drafts and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.cases.history import CaseHistory
from mtctl.cases.records import (
    CASE,
    FORMAT,
    KNOWLEDGE,
    LOOKED_AT,
    REPORT,
    REVIEW,
    SCAN,
    SEGMENTATION,
    START,
    CaseError,
    Record,
    RecordKind,
    read_records,
)
from mtctl.cases.volumes import file_of, stored_map, stored_mask
from mtctl.geometry import Geometry, Mask, Volume
from mtctl.io.reports import checked_report
from mtctl.review.case_maps import CaseMaps
from mtctl.review.knowledge import Knowledge
from mtctl.review.state import StoredReview
from mtctl.system.documents import DocumentError
from mtctl.system.fields import Checksum, FileName
from mtctl.system.staging import DamagedError, as_stored, checked, read_sealed_as


@dataclass(frozen=True)
class _CaseDocument:
    """What a case.json holds, but for its seal."""

    geometry: Geometry
    added: str
    scan_sha256: str
    files: Mapping[FileName, Checksum]


@dataclass(frozen=True)
class Draft:
    """An unfinished review.

    Attributes:
        mask: The segmentation as it was left, (z, y, x) bool.
        review: What `review.document.review_document` gave.
        reviewer: Pseudonym of the person, or "".
        saved: When, UTC, ISO 8601.
    """

    mask: Mask
    review: Mapping[str, Any]
    reviewer: str
    saved: str


@dataclass(frozen=True)
class StoredCase(CaseHistory):
    """A case and what belongs to it. It does not change: ask the store again (`CaseStore.case`) for how it stands now.

    Everything that is read is checked against its checksum first. All volumes are on the grid of the scan.

    Raises (from all methods that read):
        DamagedError: A file is missing, torn or not the one that was stored.
        CaseError: There is nothing of that kind.
    """

    def scan(self) -> Volume:
        """Read the scan, float32."""
        return Volume(stored_map(checked(self.folder, SCAN, self.files), self.geometry), self.geometry)

    def prediction(self) -> Mask:
        """Read the last prediction's segmentation, (z, y, x) bool."""
        return stored_mask(self._predicted(), SEGMENTATION, self.geometry)

    def report(self) -> Mapping[str, Any]:
        """Read the last prediction's report: `case_score`, `case_score_interval`, `flagged`, `threshold`, `model`..."""
        return _report(self._predicted())

    def map(self, name: str) -> NDArray[np.float32]:
        """Read a map of the last prediction, (z, y, x): "probability", "distance" or a kind of uncertainty."""
        return self._map(self._predicted(), name)

    def maps(self, kind: str = "entropy") -> CaseMaps:
        """Read of the last prediction what a review needs."""
        return self.maps_of(self._predicted(), kind)

    def maps_of(self, prediction: Record, kind: str) -> CaseMaps:
        """Read of a prediction what a review needs."""
        uncertainty, probability = self._map(prediction, kind), self._map(prediction, "probability")
        mask = stored_mask(prediction, SEGMENTATION, self.geometry)
        return CaseMaps(mask, uncertainty, probability, self.geometry)

    def corrected_mask(self, version: int | None = None) -> Mask:
        """Read what a person vouched for, (z, y, x) bool; None: the last version."""
        return stored_mask(self._version(version), SEGMENTATION, self.geometry)

    def review(self, version: int | None = None) -> Mapping[str, Any] | None:
        """Read the review that led to that version; None: it came without one, as an imported label does."""
        record = self._version(version)
        return _review(record) if REVIEW in record.files or record.damage else None

    def draft(self, reviewer: str | None = None) -> Draft | None:
        """Read an unfinished review.

        Args:
            reviewer: The newest of that person, whatever others decided since; None: the newest of anybody after the
                last decision.
        """
        for record in reversed(self.records):
            if record.kind is RecordKind.DRAFT and reviewer in (None, record.reviewer):
                try:
                    mask = stored_mask(record, SEGMENTATION, self.geometry)
                    return Draft(mask, _review(record), record.reviewer, record.made)
                except DamagedError:
                    if record.folder.exists():
                        raise
                    return read_case(self.folder).draft(reviewer)  # Its author saved the next one just now.
            if reviewer is None and record.kind not in (RecordKind.DRAFT, RecordKind.PREDICTION):
                break
        return None

    def start(self, version: int | None = None) -> Mask:
        """Read the segmentation as it was before the review that led to that version, (z, y, x) bool."""
        record = self._version(version)
        if START in record.files:
            return stored_mask(record, START, self.geometry)
        return stored_mask(self._reviewed(record), SEGMENTATION, self.geometry)

    def changed_voxels(self, version: int | None = None) -> Mask:
        """Return where that version differs from what it was before the review, (z, y, x) bool."""
        return self.corrected_mask(version) != self.start(version)

    def uncertain_voxels(self, kind: str | None = None, version: int | None = None) -> Mask:
        """Return where the prediction that was reviewed was uncertain, (z, y, x) bool.

        That is at or above the threshold of the review, or, without a review, of the report.
        `changed_voxels() & uncertain_voxels()` are the voxels that were corrected where it was uncertain.

        Args:
            kind: Of uncertainty; None: what the review went by, or else entropy.
            version: See `corrected_mask`.
        """
        record = self._version(version)
        prediction = self._reviewed(record)
        source = _review(record) if REVIEW in record.files else _report(prediction)
        kind = kind or str(record.content.get("uncertainty", "entropy"))
        threshold = source.get("threshold")
        if threshold is None:
            raise CaseError(f"{record.folder}: does not say from what uncertainty on its voxels were to be looked at")
        return self.reviewed_uncertainty(kind, version) >= float(threshold)

    def reviewed_uncertainty(self, kind: str = "entropy", version: int | None = None) -> NDArray[np.float32]:
        """Read the uncertainty of the prediction that was reviewed, whatever was predicted since, 0 to 1, (z, y, x)."""
        return self._map(self._reviewed(self._version(version)), kind)

    def knowledge(self, version: int | None = None) -> NDArray[np.uint8] | None:
        """Read the `Knowledge` of each voxel, uint8 (z, y, x); None: of an earlier program, or nobody reviewed it."""
        record = self._version(version)
        if KNOWLEDGE not in record.files:
            return None
        known = stored_map(record.path(KNOWLEDGE), self.geometry)
        if not np.isin(known, list(Knowledge)).all():
            raise DamagedError(f"{record.folder / KNOWLEDGE}: holds values that mean nothing; restore it from a backup")
        return known.astype(np.uint8)

    def looked_at(self, version: int | None = None) -> Mask:
        """Read what the person looked at, (z, y, x) bool.

        That is all that was painted, confirmed or seen (`Knowledge`). Without a review (an imported label) it is
        everything.
        """
        known = self.knowledge(version)
        if known is not None:
            return known > Knowledge.UNTOUCHED
        record = self._version(version)
        if LOOKED_AT in record.files or record.damage:
            return stored_mask(record, LOOKED_AT, self.geometry)
        if REVIEW not in record.files:
            return np.ones(self.geometry.shape, dtype=bool)
        raise CaseError(f"{record.folder}: what was looked at is unknown: the review is of another prediction")

    def _predicted(self) -> Record:
        last = self.last(RecordKind.PREDICTION)
        if last is None:
            raise CaseError(f"{self.id}: has no prediction yet; segment it first")
        return last

    def _version(self, version: int | None) -> Record:
        vouched = self.vouched
        if not vouched:
            raise CaseError(f"{self.id}: nobody has accepted or corrected it yet")
        number = len(vouched) if version is None else version
        if not 1 <= number <= len(vouched):
            raise CaseError(f"{self.id}: there is no version {number}; the last is {len(vouched)}")
        return vouched[number - 1]

    def _reviewed(self, record: Record) -> Record:
        if record.damage:
            raise DamagedError(record.damage)
        number = record.content.get("prediction")
        found = next((one for one in self.records if one.kind is RecordKind.PREDICTION and one.number == number), None)
        if found is None:
            raise CaseError(f"{record.folder}: was made without a prediction of the store")
        return found

    def _map(self, prediction: Record, name: str) -> NDArray[np.float32]:
        if file_of(name) not in prediction.files and not prediction.damage:
            raise CaseError(f"{self.id}: its prediction has no map '{name}'; segment it again with all maps")
        return stored_map(prediction.path(file_of(name)), self.geometry)


def _report(record: Record) -> Mapping[str, Any]:
    """Read the report of a prediction.

    Raises:
        DamagedError: It is damaged, or a field of it is none of a report's.
    """
    report = record.json(REPORT)
    try:
        return checked_report(report, str(record.folder / REPORT))
    except DocumentError as error:
        raise DamagedError(f"{error}; segment the scan again") from error


def _review(record: Record) -> Mapping[str, Any]:
    """Read the review of a draft or decision.

    Raises:
        DamagedError: It is damaged, or a field of it is none of a review's.
    """
    review = record.json(REVIEW)
    as_stored(StoredReview, review, record.folder / REVIEW)
    return review


def read_case(folder: Path) -> StoredCase:
    """Read the case in `folder` as it stands now.

    Raises:
        DamagedError: Its case.json is missing or damaged.
    """
    document = read_sealed_as(_CaseDocument, folder / CASE, FORMAT)
    try:
        records = read_records(folder)
    except OSError as error:
        raise DamagedError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return StoredCase(
        folder,
        folder.name,
        document.geometry,
        document.added,
        document.scan_sha256,
        document.files,
        records,
    )
