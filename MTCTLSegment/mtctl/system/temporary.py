"""Temporary folders with copies of scans, which do not outlive the process that made them, even where it was killed.

Whoever makes one removes it again. What a killed process could not remove goes when the next one of the same kind
looks after it: the name says whose it was.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtctl.system.files import TEMPORARY_PREFIX, WriteError, make_folder, write_reason
from mtctl.system.process_tree import is_running

_HIDDEN = f"{TEMPORARY_PREFIX}files-"

_VARIABLE = "TEMP" if sys.platform == "win32" else "TMPDIR"

NO_PLACE = (
    f"there is no place for temporary files: neither the system's folders for them nor the current folder can be "
    f"written; set {_VARIABLE} to a folder that can"
)


def make_own_folder(kind: str) -> Path:
    """Make a temporary folder of this process.

    Args:
        kind: What it is for, one word.

    Raises:
        WriteError: There is no place for temporary files.
    """
    return make_private_folder(f"{_prefix(kind)}{os.getpid()}-")


@contextmanager
def own_folder(kind: str) -> Iterator[Path]:
    """Yield a temporary folder of this process; it goes at the end, and those of processes that were killed go first.

    Args:
        kind: As for `make_own_folder`.

    Raises:
        WriteError: As `make_own_folder`.
    """
    remove_orphans(kind)
    folder = make_own_folder(kind)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_private_folder(prefix: str) -> Path:
    """Make a temporary folder that only this user may enter.

    Raises:
        WriteError: There is no place for temporary files, or it is full; it says where they would go and what to do.
    """
    if lacks_place():
        raise WriteError(NO_PLACE)
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        reason = write_reason(error)
        raise WriteError(f"{tempfile.gettempdir()}: no temporary folder can be made there: {reason}") from error


def lacks_place() -> bool:
    """Return whether there is no place for temporary files: the root is read-only, say, and nothing else is named."""
    try:
        tempfile.gettempdir()
    except OSError:
        return True
    return False


@contextmanager
def with_place(folder: Path) -> Iterator[None]:
    """Let temporary files go to a hidden folder in `folder` for as long, where the system has no place for them.

    Raises:
        WriteError: Nothing can be written in `folder` either.
    """
    if not lacks_place():
        yield
        return
    make_folder(folder)
    _remove_dead(folder, _HIDDEN)
    hidden = folder.absolute() / f"{_HIDDEN}{os.getpid()}-{secrets.token_hex(4)}"
    hidden.mkdir(mode=0o700)
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE], tempfile.tempdir = str(hidden), str(hidden)  # The first for child processes.
    try:
        yield
    finally:
        tempfile.tempdir = None
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before
        shutil.rmtree(hidden, ignore_errors=True)


def remove_orphans(kind: str) -> None:
    """Remove the folders of that kind whose processes live no more; those of others, and of other users, stay.

    It may take its time (volumes are deleted, and processes looked up): not for the thread of a window.
    """
    if not lacks_place():
        _remove_dead(Path(tempfile.gettempdir()), _prefix(kind))


def _remove_dead(place: Path, prefix: str) -> None:
    """Remove the folders in `place` whose name is `prefix`, the number of a process that lives no more, and more."""
    for folder in place.glob(f"{prefix}*"):
        number, dash, _ = folder.name.removeprefix(prefix).partition("-")
        if dash and number.isascii() and number.isdigit() and not is_running(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(kind: str) -> str:
    return f"mtctl-{kind}-"
