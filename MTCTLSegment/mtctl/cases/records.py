"""The records of a case: what was done with it, one folder each, written whole or not at all and never changed.

A record is checked when it is read. That it was stored is noted beside it, so that `mtctl cases verify` misses it when
it is gone. The note of `cases/A-1` is the empty file `cases/.mtctl-stored-A-1`, that of `A-1/0003-corrected` is
`A-1/.mtctl-stored-0003-corrected`. A note is made after what it notes, and never changed. So a program that is killed
in between leaves too few notes, never one too many; and as both are in one folder, a copy of a store that is in use
holds no note without what it notes. Drafts, which come and go, have none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.system.files import TEMPORARY_PREFIX, WriteError, write_reason
from mtctl.system.locks import locked
from mtctl.system.staging import (
    DamagedError,
    checked,
    checksums,
    commit,
    discard,
    now,
    read_json,
    read_sealed,
    remove_leftovers,
    staged,
    write_sealed,
)

FORMAT = 1
CASE = "case.json"
SCAN = "scan.nrrd"
RECORD = "record.json"
SEGMENTATION = "segmentation.seg.nrrd"
START = "start.seg.nrrd"
LOOKED_AT = "looked-at.nrrd"
REPORT = "report.json"
REVIEW = "review.json"

_NOTE_PREFIX = ".mtctl-stored-"


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

_FOLDER = re.compile(rf"(\d{{4,9}})-({'|'.join(kind.value for kind in RecordKind)})")


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

    def json(self, name: str) -> Mapping[str, Any]:
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
    return tuple(record for number, kind, folder in record_folders(case) if (record := _read(folder, number, kind)))


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


def append_record(
    case: Path,
    kind: RecordKind,
    write: Callable[[Path], Mapping[str, Any]],
    reviewer: str = "",
    replaces: Sequence[Record] = (),
) -> None:
    """Add a record to a case.

    The files are written without the lock, which may take its time; under the lock the record gets its number.

    Args:
        case: Folder of the case.
        kind: What it is.
        write: Writes the files into a folder and returns the record's content.
        reviewer: Pseudonym of the person, or "".
        replaces: Drafts that are not needed any more; they go when the record is there.

    Raises:
        WriteError: It cannot be written; nothing has changed.
        LockError: Others keep the case locked.
        CaseError: The case was deleted in the meantime.
    """
    try:
        with staged(case) as hidden:
            content = write(hidden)
            document: dict[str, Any] = {
                "format": FORMAT,
                "kind": kind.value,
                "made": now(),
                "reviewer": reviewer,
                "files": checksums(hidden),
                "content": content,
            }
            with locked(case) as held:
                there = record_folders(case)
                # What must be there as long as this is: `mtctl cases verify` notices when it is not.
                document["follows"] = [number for number, kept, _ in there if kept is not RecordKind.DRAFT]
                write_sealed(hidden / RECORD, document)
                held.check()
                # Not the number of one that is gone, which would not be missed any more.
                last = max((number for number, _, _ in [*there, *noted_records(case)]), default=0)
                folder = case / f"{last + 1:04d}-{kind.value}"
                commit(hidden, folder)
                if kind is not RecordKind.DRAFT:
                    write_note(folder)
                for draft in replaces:
                    discard(draft.folder)
                remove_leftovers(case, case)
    except (WriteError, OSError) as error:
        if not (case / CASE).is_file():
            raise CaseError(f"{case.name}: was deleted from the store in the meantime; nothing was stored") from error
        if isinstance(error, WriteError):
            raise
        raise WriteError(f"{case}: cannot be written: {write_reason(error)}") from error


def is_leftover(name: str) -> bool:
    """Return whether a file or folder of that name is unfinished: of a writer that was killed, or is at work."""
    return name.startswith(TEMPORARY_PREFIX)


def write_note(stored: Path) -> None:
    """Note that a case or record was stored. Where that fails its loss would not be noticed; nothing else follows."""
    with suppress(OSError):
        note_of(stored).touch()


def note_of(stored: Path) -> Path:
    """Return the path of the note of a case or record."""
    return stored.with_name(f"{_NOTE_PREFIX}{stored.name}")


def is_note(name: str) -> bool:
    """Return whether a file of that name is a note."""
    return name.startswith(_NOTE_PREFIX)


def noted_names(folder: Path) -> list[str]:
    """Return the names of what was ever stored in a folder, sorted; all of it was there when this began.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(name.removeprefix(_NOTE_PREFIX) for name in os.listdir(folder) if is_note(name))


def _named(case: Path, names: Sequence[str]) -> list[tuple[int, RecordKind, Path]]:
    ordered = sorted(names, key=lambda name: (len(name.partition("-")[0]), name))
    return [
        (int(match[1]), RecordKind(match[2]), case / name) for name in ordered if (match := _FOLDER.fullmatch(name))
    ]


def _read(folder: Path, number: int, kind: RecordKind) -> Record | None:
    """Read a record; None for a draft that was removed while it was read."""
    try:
        document = read_sealed(folder / RECORD, FORMAT)
        return Record(
            folder, number, kind, document["made"], document["reviewer"], document["files"],
            {**document["content"], "follows": document["follows"]},
        )  # fmt: skip
    except DamagedError as error:
        return Record(folder, number, kind, damage=str(error)) if folder.exists() else None
