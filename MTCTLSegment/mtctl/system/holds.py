"""Who works on something: a note with a person's pseudonym and for how long, which others see.

A lock (`system.locks`) guards a step of milliseconds. A hold lasts for as long as a person has a case open, hours and
more, and is given back, left by a program that ended, or taken over. It keeps nobody from writing: whoever does
compares before, so a hold that is wrong costs a question, never work.

The notes of a folder are JSON files in its hidden folder `.mtctl-holds`, named by a hash. The owner writes its note
anew from time to time. One that is silent for EXPIRY seconds, or whose process ended on this machine, counts no more.
Ages are differences of times that the file server gave, and of the owner's own clock; the clocks of two machines are
never compared, as they may differ by hours.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import Longest, ProcessId, Within, read_as
from mtctl.system.files import TEMPORARY_PREFIX, WriteError, write_json, write_reason
from mtctl.system.locks import locked
from mtctl.system.machine import this_machine
from mtctl.system.process_tree import is_running

#: Seconds between two signs of life, and of silence after which a hold counts no more.
BEAT, EXPIRY = 10.0, 90.0

HOLDS_FOLDER = ".mtctl-holds"

#: Bytes of the largest note that is read, and letters of the longest pseudonym.
_LARGEST, _LONGEST_NAME = 4096, 64


@dataclass(frozen=True)
class Holder:
    """Somebody else who works on something.

    Attributes:
        name: The person's pseudonym, or "".
        seconds: For how long.
    """

    name: str
    seconds: float

    def words(self) -> str:
        """Return who and for how long, such as "MK, since 14:05 (12 min)"."""
        began = time.strftime("%H:%M", time.localtime(time.time() - self.seconds))
        minutes = int(self.seconds // 60)
        age = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "just now"
        return f"{self.name or 'another reviewer'}, since {began} ({age})"


@dataclass(frozen=True)
class _Note:
    name: str
    token: str
    machine: str
    process: int
    seconds: float
    written: float  # by the clock of the file server


class Holds:
    """What this process holds, in any number of folders. Its methods read and write files, and take their time."""

    def __init__(self, name: str = "") -> None:
        """Hold things under a pseudonym, or ""."""
        self._name, self._token = name, secrets.token_hex(8)
        self._since: dict[Path, float] = {}

    def take(self, folder: Path, thing: str) -> Holder | None:
        """Take or keep a hold; a sign of life, too.

        Args:
            folder: Where the thing is.
            thing: Its name in the folder.

        Returns:
            Who holds it instead; None: this process does.

        Raises:
            WriteError: The folder is not writable or the disk is full.
            LockError: Other programs keep the notes locked.
        """
        return self._write(folder, thing, by_force=False)

    def take_over(self, folder: Path, thing: str) -> None:
        """Take a hold from whoever has it, who notices at the next sign of life.

        Raises: As `take`.
        """
        self._write(folder, thing, by_force=True)

    def release(self, folder: Path, thing: str) -> None:
        """Give a hold back; nothing happens where it is another's."""
        path = _path(folder, thing)
        self._since.pop(path, None)
        note = _read(path)
        if note and note.token == self._token:
            with suppress(OSError):
                path.unlink()

    def holder(self, folder: Path, thing: str) -> Holder | None:
        """Return who else holds a thing; None: nobody, or this process."""
        return self._other(_read(_path(folder, thing)), folder)

    def holders(self, folder: Path, things: list[str]) -> Mapping[str, Holder]:
        """Return who else holds which of some things."""
        if not (folder / HOLDS_FOLDER).is_dir():
            return {}
        found = {thing: self.holder(folder, thing) for thing in things}
        return {thing: holder for thing, holder in found.items() if holder}

    def _write(self, folder: Path, thing: str, by_force: bool) -> Holder | None:
        path = _path(folder, thing)
        with notes_locked(folder):
            note = _read(path)
            if not by_force and (other := self._other(note, folder)):
                self._since.pop(path, None)
                return other
            if note is None or note.token != self._token:
                self._since.pop(path, None)
            since = self._since.setdefault(path, time.monotonic())
            document = {
                "name": self._name,
                "token": self._token,
                "machine": this_machine(),
                "process": os.getpid(),
                "seconds": round(time.monotonic() - since, 1),
            }
            write_json(path, document)
        return None

    def _other(self, note: _Note | None, folder: Path) -> Holder | None:
        if note is None or note.token == self._token:
            return None
        silent = max(0.0, _server_time(folder) - note.written)
        died = note.machine == this_machine() and not is_running(note.process)
        return None if died or silent > EXPIRY else Holder(note.name, note.seconds + silent)


@contextmanager
def notes_locked(folder: Path) -> Iterator[None]:
    """Let no other program that asks for the same change a folder's notes, or what they are about, meanwhile.

    Raises:
        WriteError: The folder is not writable or the disk is full.
        LockError: Others keep it locked.
    """
    notes = folder / HOLDS_FOLDER
    try:
        _make_folder(notes)
        with locked(notes):
            yield
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written: {write_reason(error)}") from error


def _path(folder: Path, thing: str) -> Path:
    return folder / HOLDS_FOLDER / f"{hashlib.sha256(thing.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.json"


@dataclass(frozen=True)
class _WrittenNote:
    """What the file of a note holds."""

    name: Annotated[str, Longest(_LONGEST_NAME)]
    token: str
    machine: str
    process: ProcessId
    seconds: Annotated[float, Within(0.0, 1e12)]


def _make_folder(folder: Path) -> None:
    """Make the folder of the notes; whoever may write beside it may write there, too."""
    with suppress(FileExistsError):
        folder.mkdir()
        with suppress(OSError):  # Some shares have no permissions, and refuse to change them.
            folder.chmod(stat.S_IMODE(folder.parent.stat().st_mode))


def _server_time(folder: Path) -> float:
    """Return what time it is by the clock that dates the files of a folder."""
    probe = folder / HOLDS_FOLDER / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # Nobody can work in a folder that is read-only: then this is for show.
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink()


def _read(path: Path) -> _Note | None:
    """Return a note; None where there is none that is whole."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return None
        note = read_as(_WrittenNote, read_object(path), path.name)
    except (OSError, DocumentError):
        return None
    if note.name and not note.name.isprintable():
        return None
    return _Note(note.name, note.token, note.machine, note.process, note.seconds, found.st_mtime)
