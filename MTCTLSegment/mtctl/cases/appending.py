"""Add a record to a case: its files are written first, then it gets its number, under the case's lock.

Where a rename takes longer than a lock holds, as on a share that hangs, two programs may give two records one number.
Both stay: who finds that after its rename gives its own another number, and where it was killed before it could, the
two are read in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtctl.cases.notes import write_note
from mtctl.cases.records import CASE, FORMAT, RECORD, CaseError, Record, RecordKind, noted_records, record_folders
from mtctl.errors import MtctlError
from mtctl.system.files import WriteError, write_reason
from mtctl.system.locks import locked
from mtctl.system.staging import checksums, commit, discard, now, remove_leftovers, staged, write_sealed

#: No record can follow one of that number, and none ever had it.
_HIGHEST = 10**18 - 1

#: How often a record whose number is taken is given another one.
_ATTEMPTS = 5


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
