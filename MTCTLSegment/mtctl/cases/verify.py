"""Whether everything that was stored is there and whole.

A case, prediction or decision that is gone is found by its note (`records`) and by the records after it. Not found is
what was lost together with its note: the whole folder `cases`, or what was stored after the backup that was restored.
Neither is what a program stored that was killed before it wrote the note. Drafts may go. A case that somebody deleted
on purpose is reported until its note is deleted, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path

from mtctl.cases.case import StoredCase, read_case
from mtctl.cases.notes import is_note, note_of, noted_names
from mtctl.cases.records import CASE, RECORD, Record, RecordKind, is_leftover, noted_records, record_folders
from mtctl.system.locks import LOCK_PREFIX
from mtctl.system.staging import DamagedError, checked


class Problem(Enum):
    """What is the matter with a file or folder."""

    DAMAGED = "damaged"
    LOST = "lost"
    FOREIGN = "foreign"
    UNFINISHED = "unfinished"
    NUMBERED_TWICE = "numbered twice"


@dataclass(frozen=True)
class Finding:
    """Something about the store that a person should know.

    Attributes:
        path: What it is about.
        problem: Of what kind; only DAMAGED and LOST mean that something is missing.
        text: In words.
    """

    path: Path
    problem: Problem
    text: str

    @property
    def serious(self) -> bool:
        """Whether something that was stored is missing."""
        return self.problem in (Problem.DAMAGED, Problem.LOST)


def verify_store(cases: Path, ids: re.Pattern[str]) -> list[Finding]:
    """Check the folder `cases` of a store, whose cases are named like `ids`; return what a person should know."""
    return list(_verify(cases, ids)) if cases.is_dir() else []


def _verify(cases: Path, ids: re.Pattern[str]) -> Iterator[Finding]:
    ever = [cases / name for name in noted_names(cases) if ids.fullmatch(name)]
    for path in sorted(cases.iterdir()):
        if is_note(path.name):
            continue
        if is_leftover(path.name):
            yield _leftover(path)
        elif not path.is_dir() or not ids.fullmatch(path.name) or not _is_case(path):
            yield _foreign(path)
        else:
            try:
                stored = noted_records(path)  # Before the records are read: all of these are there by now.
                yield from _verify_case(read_case(path), {(number, kind) for number, kind, _ in stored})
            except DamagedError as error:
                yield _damaged(path, error)
            except FileNotFoundError:
                yield Finding(path, Problem.LOST, f"{path}: was deleted while it was checked")
            except OSError as error:
                yield _damaged(path, f"{error.filename or path}: cannot be read: {error.strerror or error}")
    for path in ever:
        if not _is_case(path):
            restore = f"restore it from a backup; if it was deleted on purpose, delete {note_of(path)}, too"
            yield Finding(path, Problem.LOST, f"{path}: the case is gone; {restore}")


def _is_case(path: Path) -> bool:
    try:
        return (path / CASE).exists() or bool(record_folders(path))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _verify_case(case: StoredCase, stored: set[tuple[int, RecordKind]]) -> Iterator[Finding]:
    """Yield what is wrong with a case; a draft that its author replaces meanwhile is not."""
    for name in case.files:
        yield from _verify_file(case.folder, name, dict(case.files))
    for record in case.records:
        if record.damage:
            yield _damaged(record.folder, record.damage)
        else:
            yield from _verify_record(record)
    yield from _lost(case, stored)
    yield from _numbered_twice(case)
    known = {record.folder.name for record in case.records} | {CASE, *case.files}
    for path in sorted(case.folder.iterdir()):
        if is_note(path.name):
            continue
        if is_leftover(path.name):
            yield _leftover(path)
        elif path.name not in known and not path.name.startswith(LOCK_PREFIX) and not _new_since(case, path):
            yield _foreign(path)


def _verify_record(record: Record) -> Iterator[Finding]:
    findings = [found for name in record.files for found in _verify_file(record.folder, name, dict(record.files))]
    if findings and record.kind is RecordKind.DRAFT and not record.folder.exists():
        return
    yield from findings
    for path in sorted(record.folder.iterdir()) if record.folder.exists() else ():
        if path.name not in record.files and path.name != RECORD:
            yield _leftover(path) if is_leftover(path.name) else _foreign(path)


def _verify_file(folder: Path, name: str, sums: dict[str, str]) -> Iterator[Finding]:
    try:
        checked(folder, name, sums)
    except DamagedError as error:
        yield _damaged(folder / name, error)


def _lost(case: StoredCase, stored: set[tuple[int, RecordKind]]) -> Iterator[Finding]:
    """Yield the records that are gone although they are noted or later records follow them."""
    there = {(record.number, record.kind) for record in case.records}
    follows = {number for record in case.records for number in record.content.get("follows", ())}
    gone = {number for number, _ in stored - there} | (follows - {number for number, _ in there})
    for number in sorted(gone):
        yield Finding(
            case.folder,
            Problem.LOST,
            f"{case.folder}: what was stored as {number:04d} is gone; restore it from a backup",
        )


def _numbered_twice(case: StoredCase) -> Iterator[Finding]:
    """Yield the records that share a number; nothing of them is missing."""
    for first, second in pairwise(case.records):
        if first.number == second.number:
            text = (
                f"{second.folder}: has the number of {first.folder.name}, as two programs stored at once on a slow "
                f"disk or share; both count, {second.folder.name} as the later one"
            )
            yield Finding(second.folder, Problem.NUMBERED_TWICE, text)


def _new_since(case: StoredCase, path: Path) -> bool:
    """Return whether it is a record that was added while the case was checked."""
    last = max((record.number for record in case.records), default=0)
    return any(folder == path and number > last for number, _, folder in record_folders(case.folder))


def _damaged(path: Path, error: DamagedError | str) -> Finding:
    return Finding(path, Problem.DAMAGED, str(error))


def _foreign(path: Path) -> Finding:
    return Finding(path, Problem.FOREIGN, f"{path}: is not part of the store; it is left alone")


def _leftover(path: Path) -> Finding:
    return Finding(path, Problem.UNFINISHED, f"{path}: left by a write that was cut off, or that is going on")
