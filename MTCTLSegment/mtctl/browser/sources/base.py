"""Where the reviewer has its cases from: the interface of a folder (`folder`) and of a case store (`case_store`).

All methods read and write files and take their time: they are called in a thread, one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mtctl.browser.sources.reading import CaseData
from mtctl.errors import MtctlError
from mtctl.geometry import Mask, Volume
from mtctl.inference.result import Result
from mtctl.review.session import ReviewSession
from mtctl.system.holds import Holder


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
        held: Who else has it open and since when; "": nobody.
    """

    key: str
    name: str
    stage: WorkStage
    text: str
    urgency: float = 0.0
    held: str = ""


@dataclass(frozen=True)
class OpenedCase:
    """A case that was read from its source.

    Attributes:
        data: What its files hold; None where it has to be segmented first.
        session: Its review, as it was left; None where there is no data.
        mask: The segmentation as it was left, (z, y, x).
        scan: The scan.
        notes: What the person should know, such as why an older review cannot be continued.
        holder: Who has it open already: then it is to be looked at only.
    """

    scan: Volume
    data: CaseData | None
    session: ReviewSession | None
    mask: Mask | None
    notes: tuple[str, ...] = ()
    holder: Holder | None = None


class HeldError(MtctlError):
    """Somebody else has the case open."""

    def __init__(self, name: str, holder: Holder) -> None:
        super().__init__(f"{name} is open elsewhere ({holder.words()}): wait until it is closed there, or take it over")


class CaseSource(Protocol):
    """A place from which cases are read and where reviews are stored. Its methods raise `MtctlError`s.

    One person at a time has a case, from `open` to `close`. Nothing that another wrote is replaced in any case.
    """

    def entries(self) -> list[WorkListEntry]:
        """Return the work list, most urgent first."""

    def open(self, key: str) -> OpenedCase:
        """Take a case where nobody else has it, and read it."""

    def keep(self, key: str) -> Holder | None:
        """Give a sign of life, or take a case that has become free; return who else has it."""

    def take_over(self, key: str) -> None:
        """Take a case from whoever has it."""

    def close(self, key: str) -> None:
        """Give a case back."""

    def save(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """Store a review as it stands; return where another person's is that is kept beside it, or ""."""

    def prefer_ours(self, key: str, session: ReviewSession, mask: Mask) -> str:
        """Go on with this review where there are two; return where the other is kept, as a sentence."""

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
