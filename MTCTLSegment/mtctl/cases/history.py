"""How far a case of the store is and what was done with it, from its records alone: no volume is read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from mtctl.cases.records import VOUCHED, Record, RecordKind
from mtctl.cases.volumes import file_of
from mtctl.geometry import Geometry
from mtctl.uncertainty.kinds import NAMES


class CaseState(Enum):
    """How far a case is; the values are the words that a person sees."""

    UNLABELLED = "unlabelled"
    PREDICTED = "predicted"
    IN_REVIEW = "in review"
    CORRECTED = "corrected"
    ACCEPTED = "accepted"
    REJECTED = "rejected"

    @property
    def labelled(self) -> bool:
        """Whether somebody vouched for its segmentation, and nobody works on it now (see `CaseHistory.labelled`)."""
        return self in (CaseState.CORRECTED, CaseState.ACCEPTED)


@dataclass(frozen=True)
class CaseHistory:
    """What the records of a case say.

    Attributes:
        folder: `cases/<id>` of the store.
        id: Its name; a pseudonym.
        geometry: Grid of the scan.
        added: When, UTC, ISO 8601.
        scan_sha256: Over the scan's voxels, whatever their grid, by `scan_sum`.
        files: SHA-256 of the files beside case.json, by name.
        records: Predictions, drafts and decisions, oldest first.
    """

    folder: Path
    id: str
    geometry: Geometry
    added: str
    scan_sha256: str
    files: Mapping[str, str]
    records: tuple[Record, ...]

    @property
    def state(self) -> CaseState:
        """How far it is, from its records alone.

        A case whose review was taken up again is in review, whatever `version` says of earlier ones.
        """
        done = [record.kind for record in self.records if record.kind is not RecordKind.PREDICTION]
        if done:
            return CaseState.IN_REVIEW if done[-1] is RecordKind.DRAFT else CaseState(done[-1].value)
        return CaseState.PREDICTED if self.records else CaseState.UNLABELLED

    @property
    def labelled(self) -> bool:
        """Whether a person vouches for its last version, and nobody rejected it since.

        Drafts decide nothing: a case that is reviewed again stays training data until that review is decided.
        """
        return self._decision in VOUCHED

    @property
    def rejected(self) -> bool:
        """Whether it was rejected and nobody has vouched for it since, whatever drafts there are."""
        return self._decision is RecordKind.REJECTED

    @property
    def version(self) -> int:
        """Number of segmentations that a person vouched for; 0: none yet."""
        return len(self.vouched)

    @property
    def reviewer(self) -> str:
        """Pseudonym of who made the last draft or decision, or ""."""
        return next(
            (record.reviewer for record in reversed(self.records) if record.kind is not RecordKind.PREDICTION), ""
        )

    @property
    def changed(self) -> str:
        """When something was last done, UTC, ISO 8601."""
        return next((record.made for record in reversed(self.records) if record.made), self.added)

    @property
    def model(self) -> Mapping[str, str] | None:
        """id, version and sha256 of the model that made the last prediction; None: there is none."""
        last = self.last(RecordKind.PREDICTION)
        return None if last is None else last.content.get("model")

    @property
    def case_score(self) -> float | None:
        """Expected Dice of the last prediction, 0 to 1; None: there is none."""
        last = self.last(RecordKind.PREDICTION)
        return None if last is None else last.content.get("case_score")

    @property
    def uncertainties(self) -> tuple[str, ...]:
        """Names of the uncertainties (`kinds.NAMES`) that the last prediction has."""
        last = self.last(RecordKind.PREDICTION)
        return () if last is None else uncertainties_of(last)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what a model that learns from this case sees.

        That is the scan's voxels and, where a person vouches for one, the last segmentation.
        """
        label = self.vouched[-1].content.get("segmentation_sha256", "") if self.vouched else ""
        return hashlib.sha256(f"{self.scan_sha256} {label}".encode()).hexdigest()

    def reason(self) -> str:
        """Return why it was rejected last, or ""."""
        last = self.last(RecordKind.REJECTED)
        return "" if last is None else str(last.content.get("reason", ""))

    def reviewed_prediction(self, review: Mapping[str, Any] | None) -> Record | None:
        """Return the prediction that a review is of, or else the last one; None: there is none."""
        wanted = (review or {}).get("segmentation_sha256")
        predictions = [record for record in reversed(self.records) if record.kind is RecordKind.PREDICTION]
        same = (record for record in predictions if record.content.get("segmentation_sha256") == wanted)
        return next(same, predictions[0] if predictions else None)

    @property
    def vouched(self) -> list[Record]:
        """The records with a segmentation that a person vouches for, oldest first."""
        return [record for record in self.records if record.kind in VOUCHED]

    def last(self, kind: RecordKind) -> Record | None:
        """Return the newest record of a kind; None: there is none."""
        return next((record for record in reversed(self.records) if record.kind is kind), None)

    @property
    def _decision(self) -> RecordKind | None:
        decisions = (*VOUCHED, RecordKind.REJECTED)
        return next((record.kind for record in reversed(self.records) if record.kind in decisions), None)


def uncertainties_of(prediction: Record) -> tuple[str, ...]:
    """Return the kinds of uncertainty that a prediction has."""
    return tuple(kind for kind in NAMES if file_of(kind) in prediction.files)
