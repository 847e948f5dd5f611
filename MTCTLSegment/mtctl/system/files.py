"""Whole files or none: every file that the project writes goes through `replacing`."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.system.process_tree import is_running
from mtctl.system.regular_files import open_regular

TEMPORARY_PREFIX = ".mtctl-part-"

#: How long another program may hold a fresh file on Windows, and how long to wait between two attempts, seconds.
_PATIENCE = 2.0
_PAUSE = 0.02

# Windows gives one of these for a file that another program has open: access denied, or a sharing or lock violation.
_IN_USE = (5, 32, 33)


class WriteError(MtctlError):
    """A result could not be written; nothing half-written is left."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path` in one step.

    The temporary file keeps the whole file name as its ending, so that writers which choose the format by
    suffix (".seg.nrrd", ".nii.gz") behave as for the final name. It is flushed to the disk before the rename, and the
    folder after it, so that a power cut leaves the old file or the new one, never a part. Whatever the writer thinks
    of permissions, the file gets those that the user's own files have there (umask, access lists).

    Raises:
        WriteError: The folder is not writable, the disk is full, or the writer left no file.
    """
    path = Path(path)
    part = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        usual = None if sys.platform == "win32" else _usual_mode(part)
        yield part
        # Some writers (safetensors) make files that only their owner may read; others may forget the umask.
        with suppress(OSError):  # Some shares have no permissions, and refuse to change them.
            if usual is not None and stat.S_IMODE(part.stat().st_mode) != usual:
                part.chmod(usual)
        with open(part, "rb+") as stream:
            os.fsync(stream.fileno())
        with_retries(os.replace, part, path)
        sync_folder(path.parent)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {write_reason(error)}") from error
    finally:
        with suppress(OSError):  # Never hide the error that is on its way.
            part.unlink(missing_ok=True)


def _usual_mode(path: Path) -> int:
    """Return the permissions that a new file gets at `path`, where nothing is left.

    The system is asked by making one: the umask alone cannot be read without changing it for all threads, and does not
    count where the folder has an access list.

    Raises:
        OSError: Nothing can be made there.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk; Windows does that by itself and opens no folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all.

    Raises:
        WriteError: It cannot be written.
    """
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def with_retries(move: Callable[[Path, Path], object], source: Path, target: Path) -> None:
    """Rename by `os.rename` or `os.replace`.

    On Windows nothing can be renamed while a scanner for viruses, an indexer or a reader has it open, which is over in
    a moment: there it is tried again for as long.

    Raises:
        OSError: It cannot be renamed.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            move(source, target)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_parts(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` have left beside it."""
    for part in path.parent.glob(f"{TEMPORARY_PREFIX}*-{escape(path.name)}"):
        number, _, rest = part.name.removeprefix(TEMPORARY_PREFIX).partition("-")
        ours = rest.partition("-")[2] == path.name and number.isdigit()
        if ours and not (int(number) != os.getpid() and is_running(int(number))):
            with suppress(OSError):
                part.unlink(missing_ok=True)


def remove_dead_parts(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder and below."""
    for part in list(folder.rglob(f"{TEMPORARY_PREFIX}*")):
        number = part.name.removeprefix(TEMPORARY_PREFIX).partition("-")[0]
        if number.isascii() and number.isdigit() and int(number) != os.getpid() and not is_running(int(number)):
            with suppress(OSError):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def write_reason(error: OSError) -> str:
    """Return why a write failed and what to do, in the user's words."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space and run again"
    if getattr(error, "winerror", None) in _IN_USE:
        return "another program has it open, or there is no permission; close it there, or choose another output folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there; choose another output folder"
    return error.strerror or str(error)


def reason_of(error: Exception) -> str:
    """Return why a program that others wait for failed, in the words of the person who sees only these."""
    if isinstance(error, MtctlError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        words = write_reason(error) if error.errno == errno.ENOSPC else error.strerror
        return f"{error.filename}: {words}" if error.filename else words
    if isinstance(error, MemoryError):
        return "not enough memory; end other programs, or choose less at once"
    return f"{type(error).__name__}: {error} (a fault in mtctl)"


def make_folder(path: Path) -> None:
    """Make a folder for results and see that files can be written there.

    Raises:
        WriteError: They cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink(missing_ok=True)
    except FileExistsError:
        raise WriteError(f"{path}: is a file, not a folder; choose another output folder") from None
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {write_reason(error)}") from error
