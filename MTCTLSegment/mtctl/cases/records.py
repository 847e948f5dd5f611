"""The records of a case: what was done with it, one folder each, written whole or not at all and never changed.

A record is checked when it is read. Records are added by `appending`; that one was stored says a note, see `notes`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from mtctl.cases.notes import noted_names
from mtctl.errors import MtctlError
from mtctl.system.fields import Checksum, FileName, Share
from mtctl.system.files import TEMPORARY_PREFIX
from mtctl.system.staging import (
    DamagedError,
    as_stored,
    checked,
    read_json,
    read_sealed_as,
)

FORMAT = 1
CASE = "case.json"
SCAN = "scan.nrrd"
RECORD = "record.json"
SEGMENTATION = "segmentation.seg.nrrd"
START = "start.seg.nrrd"
LOOKED_AT = "looked-at.nrrd"  # Of earlier versions: 1 where a person looked, 0 elsewhere.
KNOWLEDGE = "knowledge.nrrd"
REPORT = "report.json"
REVIEW = "review.json"


class CaseError(MtctlError):
    """The store cannot do that with the case."""


class RecordKind(Enum):
    """What a record holds; the values end the names of its folders."""

    PREDICTION = "prediction"
    DRAFT = "draft"
    CORRECTED = "corrected"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


#: Records with a segmentation that a person vouches for.
VOUCHED = (RecordKind.CORRECTED, RecordKind.ACCEPTED)

_FOLDER = re.compile(rf"([0-9]{{4,18}})-({'|'.join(kind.value for kind in RecordKind)})")


@dataclass(frozen=True)
class _Content:
    """What is read of a record's content, by whatever kind."""

    model: Mapping[str, str] | None = None
    threshold: Share | None = None
    case_score: Share | None = None
    flagged: bool | None = None
    segmentation_sha256: str = ""
    volume_ml: float = 0.0
    prediction: int | None = None
    author: str = ""
    uncertainty: str = "entropy"
    reason: str = ""


@dataclass(frozen=True)
class _RecordDocument:
    """What a record.json holds, but for its seal."""

    made: str
    reviewer: str
    files: Mapping[FileName, Checksum]
    content: Mapping[str, Any]
    follows: tuple[int, ...]


@dataclass(frozen=True)
class Record:
    """One folder `<number>-<kind>` of a case.

    Attributes:
        folder: See there.
        number: Its number among the records of the case, in the order in which they were made.
        kind: What was done.
        made: When, UTC, ISO 8601.
        reviewer: Pseudonym of the person, or "".
        files: SHA-256 of every file, by name.
        content: Further values, by the kind.
        damage: Why its record.json cannot be used, or "". What it was is known from its name even so.
    """

    folder: Path
    number: int
    kind: RecordKind
    made: str = ""
    reviewer: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""

    def path(self, name: str) -> Path:
        """Return the path of a file after its checksum was compared.

        Raises:
            DamagedError: It is not there or not what was written.
        """
        if self.damage:
            raise DamagedError(self.damage)
        return checked(self.folder, name, self.files)

    def json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of the record.

        Raises:
            DamagedError: As `path`.
        """
        return read_json(self.path(name))


def read_records(case: Path) -> tuple[Record, ...]:
    """Read the records in the folder of a case, oldest first.

    Raises:
        OSError: The folder is gone.
    """
    found = [record for number, kind, folder in record_folders(case) if (record := _read(folder, number, kind))]
    return tuple(sorted(found, key=lambda record: (record.number, record.made, record.folder.name)))


def record_folders(case: Path) -> list[tuple[int, RecordKind, Path]]:
    """Return number, kind and folder of the records, oldest first.

    Raises:
        OSError: The folder is gone.
    """
    return _named(case, os.listdir(case))


def noted_records(case: Path) -> list[tuple[int, RecordKind, Path]]:
    """Return the same for all records, but drafts, that a case ever had, as far as there are notes of them.

    Raises:
        OSError: The folder is gone.
    """
    return _named(case, noted_names(case))


def is_leftover(name: str) -> bool:
    """Return whether a file or folder of that name is unfinished: of a writer that was killed, or is at work."""
    return name.startswith(TEMPORARY_PREFIX)


def _named(case: Path, names: Sequence[str]) -> list[tuple[int, RecordKind, Path]]:
    ordered = sorted(names, key=lambda name: (len(name.partition("-")[0]), name))
    return [
        (int(match[1]), RecordKind(match[2]), case / name) for name in ordered if (match := _FOLDER.fullmatch(name))
    ]


def _read(folder: Path, number: int, kind: RecordKind) -> Record | None:
    """Read a record; None for a draft that was removed while it was read."""
    try:
        document = read_sealed_as(_RecordDocument, folder / RECORD, FORMAT)
        as_stored(_Content, document.content, folder / RECORD)
        content = {**document.content, "follows": document.follows}
        return Record(folder, number, kind, document.made, document.reviewer, document.files, content)
    except DamagedError as error:
        return Record(folder, number, kind, damage=str(error)) if folder.exists() else None
