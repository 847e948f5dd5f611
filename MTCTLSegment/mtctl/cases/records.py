"""The records of a case: what was done with it, one folder each, written whole or not at all and never changed.

A record is checked when it is read. That it was stored is noted beside it, so that `mtctl cases verify` misses it when
it is gone. The note of `cases/A-1` is the empty file `cases/.mtctl-stored-A-1`, that of `A-1/0003-corrected` is
`A-1/.mtctl-stored-0003-corrected`. A note is made after what it notes, and never changed. So a program that is killed
in between leaves too few notes, never one too many; and as both are in one folder, a copy of a store that is in use
holds no note without what it notes. Drafts, which come and go, have none.

Where a rename takes longer than a lock holds, as on a share that hangs, two programs may give two records one number.
Both stay: who finds that after its rename gives its own another number, and where it was killed before it could, the
two are read in the order in which they were made.
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
from mtctl.system.documents import Checksum, FileName, Share
from mtctl.system.files import TEMPORARY_PREFIX, WriteError, write_reason
from mtctl.system.locks import locked
from mtctl.system.staging import (
    DamagedError,
    as_stored,
    checked,
    checksums,
    commit,
    discard,
    now,
    read_json,
    read_sealed_as,
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
LOOKED_AT = "looked-at.nrrd"  # Of earlier versions: 1 where a person looked, 0 elsewhere.
KNOWLEDGE = "knowledge.nrrd"
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

#: No record can follow one of that number, and none ever had it.
_HIGHEST = 10**18 - 1

_FOLDER = re.compile(rf"([0-9]{{4,18}})-({'|'.join(kind.value for kind in RecordKind)})")

#: How often a record whose number is taken is given another one.
_ATTEMPTS = 5


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
                folder = _numbered(hidden, kind)
            folder = _alone_of_its_number(folder, kind)
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


def _numbered(folder: Path, kind: RecordKind) -> Path:
    """Give a folder beside a case's records the name of the next one, under the case's lock; return its new path.

    Raises:
        CaseError: The numbers are used up, by a folder that is none of ours.
        OSError: It cannot be renamed.
    """
    for attempt in range(_ATTEMPTS):
        # Not the number of one that is gone, which would not be missed any more.
        known = [*record_folders(folder.parent), *noted_records(folder.parent)]
        last, last_path = max(((number, path) for number, _, path in known), default=(0, folder))
        if last == _HIGHEST:
            raise CaseError(f"{last_path}: is not of this program, and nothing can follow it; delete it")
        target = folder.with_name(f"{last + 1:04d}-{kind.value}")
        try:
            commit(folder, target)
            return target
        except FileExistsError:  # Somebody whose rename took longer than the lock holds.
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


def _alone_of_its_number(folder: Path, kind: RecordKind) -> Path:
    """Give a record that was just stored another number where another record has the same; return where it is then."""
    with suppress(OSError, MtctlError):  # It is stored, even so; `read_records` and `mtctl cases verify` know of it.
        for _ in range(_ATTEMPTS):
            if not _twins(folder):
                break
            with locked(folder.parent):
                if _twins(folder):
                    folder = _numbered(folder, kind)
    return folder


def _twins(folder: Path) -> list[Path]:
    """Return the other records of a case with the number that the one in `folder` has."""
    found = record_folders(folder.parent)
    own = next((number for number, _, path in found if path == folder), None)
    return [path for number, _, path in found if number == own and path != folder]


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
        document = read_sealed_as(_RecordDocument, folder / RECORD, FORMAT)
        as_stored(_Content, document.content, folder / RECORD)
        content = {**document.content, "follows": document.follows}
        return Record(folder, number, kind, document.made, document.reviewer, document.files, content)
    except DamagedError as error:
        return Record(folder, number, kind, damage=str(error)) if folder.exists() else None
