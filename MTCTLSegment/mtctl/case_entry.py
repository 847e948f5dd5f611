"""One case of the store as it stood when it was read: its state, its versions, and everything that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtctl.case_maps import CaseMaps
from mtctl.case_record import Record
from mtctl.geometry import Geometry, Volume
from mtctl.metrics import Mask


class State(Enum):
    """How far a case is; the values are the words that a person sees."""

    UNLABELLED = "unlabelled"
    PREDICTED = "predicted"
    IN_REVIEW = "in review"
    CORRECTED = "corrected"
    ACCEPTED = "accepted"
    REJECTED = "rejected"

    @property
    def labelled(self) -> bool:
        """Whether a person vouches for its segmentation: corrected, or accepted as predicted."""
        return self in (State.CORRECTED, State.ACCEPTED)


@dataclass(frozen=True)
class Draft:
    """An unfinished review.

    Attributes:
        mask: The segmentation as it was left, (z, y, x) bool.
        review: What `review_file.review_document` gave.
        reviewer: Pseudonym of the person, or "".
        saved: When, UTC, ISO 8601.
    """

    mask: Mask
    review: Mapping[str, Any]
    reviewer: str
    saved: str


@dataclass(frozen=True)
class Case:
    """A case and its history. It does not change: ask the store again (`CaseStore.case`) for how it stands now.

    Everything that is read is checked against its checksum first. All volumes are on the grid of the scan.

    Attributes:
        folder: `cases/<id>` of the store.
        id: Its name; a pseudonym.
        geometry: Grid of the scan.
        added: When, UTC, ISO 8601.
        records: Predictions, drafts and decisions, oldest first.

    Raises (from all methods that read):
        CaseDamagedError: A file is missing, torn or not the one that was stored.
        CaseError: There is nothing of that kind.
    """

    folder: Path
    id: str
    geometry: Geometry
    added: str
    records: tuple[Record, ...]

    @property
    def state(self) -> State:
        """How far it is, from its records alone."""
        raise NotImplementedError

    @property
    def version(self) -> int:
        """Number of segmentations that a person vouched for; 0: none yet."""
        raise NotImplementedError

    @property
    def reviewer(self) -> str:
        """Pseudonym of who made the last draft or decision, or ""."""
        raise NotImplementedError

    @property
    def changed(self) -> str:
        """When something was last done, UTC, ISO 8601."""
        raise NotImplementedError

    @property
    def model(self) -> Mapping[str, str] | None:
        """id, version and sha256 of the model that made the last prediction; None: there is none."""
        raise NotImplementedError

    @property
    def uncertainties(self) -> tuple[str, ...]:
        """Kinds of uncertainty that the last prediction has: of "entropy", "mutual_information", "disagreement"."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the scan's voxels and, where a person vouches for one, the last segmentation: what a model
        that learnt from this case has seen."""
        raise NotImplementedError

    def scan(self) -> Volume:
        """The scan, float32."""
        raise NotImplementedError

    def prediction(self) -> Mask:
        """The last prediction's segmentation, (z, y, x) bool."""
        raise NotImplementedError

    def report(self) -> Mapping[str, Any]:
        """The last prediction's report, with `case_score`, `case_score_interval`, `flagged`, `threshold`, `model`..."""
        raise NotImplementedError

    def map(self, name: str) -> NDArray[np.float32]:
        """A map of the last prediction: "probability", "distance" or a kind of uncertainty, (z, y, x)."""
        raise NotImplementedError

    def uncertainty(self, kind: str = "entropy") -> NDArray[np.float32]:
        """The last prediction's uncertainty, 0 to 1, (z, y, x)."""
        raise NotImplementedError

    def maps(self, kind: str = "entropy") -> CaseMaps:
        """The last prediction as a review wants it."""
        raise NotImplementedError

    def corrected_mask(self, version: int | None = None) -> Mask:
        """What a person vouched for, (z, y, x) bool; None: the last version."""
        raise NotImplementedError

    def review(self, version: int | None = None) -> Mapping[str, Any] | None:
        """The review that led to that version; None: it came without one, as an imported label."""
        raise NotImplementedError

    def draft(self, reviewer: str | None = None) -> Draft | None:
        """The newest unfinished review (of that person); None where none is newer than the last decision."""
        raise NotImplementedError

    def reason(self) -> str:
        """Why it was rejected last, or ""."""
        raise NotImplementedError

    def changed_voxels(self, version: int | None = None) -> Mask:
        """Where that version differs from the prediction that was reviewed, (z, y, x)."""
        raise NotImplementedError

    def uncertain_voxels(self, kind: str = "entropy", version: int | None = None) -> Mask:
        """Where the prediction that was reviewed was uncertain: at or above the threshold of the review, or, without
        a review, of the report, (z, y, x). `changed_voxels() & uncertain_voxels()`: corrected in uncertain regions."""
        raise NotImplementedError

    def looked_at(self, version: int | None = None) -> Mask:
        """What the person looked at, (z, y, x): every region that was visited, at the lowest threshold at which it
        was. Without a review (an imported label): everything."""
        raise NotImplementedError
