"""Where the reviewer has its cases from: the interface of a folder (`folder`) and of a case store (`case_store`).

All methods read and write files and take their time: they are called in a thread, one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mtctl.browser.sources.reading import CaseData
from mtctl.geometry import Mask, Volume
from mtctl.inference.result import Result
from mtctl.review.session import ReviewSession


class WorkStage(Enum):
    """How far a case is, as the work list says it; stages with work left come first."""

    IN_REVIEW = "in review"
    TO_REVIEW = "to review"
    TO_SEGMENT = "to segment"
    ACCEPTED = "accepted"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do."""
        return self not in (WorkStage.ACCEPTED, WorkStage.REJECTED)


@dataclass(frozen=True)
class WorkListEntry:
    """One line of the work list.

    Attributes:
        key: Names the case within its source.
        name: For the person.
        stage: How far it is.
        text: What is left, in plain words.
        urgency: Cases of one stage are listed by it, highest first.
    """

    key: str
    name: str
    stage: WorkStage
    text: str
    urgency: float = 0.0


@dataclass(frozen=True)
class OpenedCase:
    """A case that was read from its source.

    Attributes:
        data: What its files hold; None where it has to be segmented first.
        session: Its review, as it was left; None where there is no data.
        mask: The segmentation as it was left, (z, y, x).
        scan: The scan.
        notes: What the person should know, such as why an older review cannot be continued.
    """

    scan: Volume
    data: CaseData | None
    session: ReviewSession | None
    mask: Mask | None
    notes: tuple[str, ...] = ()


class CaseSource(Protocol):
    """A place from which cases are read and where reviews are stored. Its methods raise `MtctlError`s."""

    def entries(self) -> list[WorkListEntry]:
        """Return the work list, most urgent first."""

    def open(self, key: str) -> OpenedCase:
        """Read a case."""

    def save(self, key: str, session: ReviewSession, mask: Mask) -> None:
        """Store a review as it stands."""

    def accept(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """Put an accepted case into the case store; return what was done, as a sentence."""

    def reject(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """Put a rejected case into the case store; return what was done, as a sentence."""

    def add_scan(self, volume: Volume, name: str) -> str:
        """Add a scan; return its key."""

    def add_result(self, key: str, result: Result) -> None:
        """Add the result of a segmentation."""


def in_order(entries: list[WorkListEntry]) -> list[WorkListEntry]:
    """Sort a work list: work that is left first, the most urgent of each stage first."""
    stages = list(WorkStage)
    return sorted(entries, key=lambda entry: (stages.index(entry.stage), -entry.urgency, entry.name.casefold()))
