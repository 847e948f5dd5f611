"""What was done with a case, one folder each: written whole or not at all, never changed, checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError


class CaseError(MtctlError):
    """The store cannot do that with the case."""


class CaseDamagedError(CaseError):
    """A file of the store is missing, torn, or not the one that was written."""


class Kind(Enum):
    """What a record holds; the values end the names of its folders."""

    PREDICTION = "prediction"
    DRAFT = "draft"
    CORRECTED = "corrected"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Record:
    """One folder `<number>-<kind>` of a case.

    Attributes:
        folder: See there.
        number: Its place in the order of things.
        kind: What was done.
        made: When, UTC, ISO 8601.
        reviewer: Pseudonym of the person, or "".
        files: SHA-256 of every file, by name.
        content: Further values, by the kind.
    """

    folder: Path
    number: int
    kind: Kind
    made: str
    reviewer: str
    files: Mapping[str, str]
    content: Mapping[str, Any]
