"""What both stores are made of: folders that appear whole, documents with their checksum, files that are checked."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from mtctl.errors import MtctlError
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import read_as
from mtctl.system.files import (
    TEMPORARY_PREFIX,
    WriteError,
    file_sha256,
    sync_folder,
    with_retries,
    write_json,
    write_reason,
)

Document = TypeVar("Document")

_SUM = "sha256"

#: Leftovers of writers that were killed are removed when they are older than this: nobody writes for a day.
_LEFTOVER_SECONDS = 24 * 3600.0


class DamagedError(MtctlError):
    """A file of a store is missing, torn, or not the one that was written."""


@contextmanager
def staged(parent: Path) -> Iterator[Path]:
    """A hidden folder in `parent` to fill and `commit`; what was not committed is removed.

    Raises:
        WriteError: It cannot be written; in words about `parent`.
    """
    hidden = parent / f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        hidden.mkdir()
        yield hidden
    except FileExistsError:
        raise
    except WriteError as error:
        raise WriteError(str(error).replace(str(hidden), str(parent))) from error
    except OSError as error:
        raise WriteError(f"{parent}: cannot be written: {write_reason(error)}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def commit(hidden: Path, target: Path) -> None:
    """Give a staged folder its name. Its files were flushed to the disk by `replacing`, one by one.

    Raises:
        FileExistsError: The name is taken; nothing happened.
        OSError: It cannot be renamed.
    """
    sync_folder(hidden)
    try:
        with_retries(os.rename, hidden, target)
    except OSError as error:
        # ENOTEMPTY, EEXIST or, on Windows, ERROR_ALREADY_EXISTS. POSIX replaces an empty folder: nothing is lost.
        if target.exists():
            raise FileExistsError(str(target)) from error
        raise
    sync_folder(target.parent)


def discard(folder: Path) -> None:
    """Remove a folder in such a way that nobody ever sees a part of it; where it is in use it stays."""
    hidden = folder.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{secrets.token_hex(4)}")
    with suppress(OSError):
        with_retries(os.rename, folder, hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def remove_leftovers(parent: Path, fresh: Path) -> None:
    """Remove what killed writers left in `parent` long ago, by the clock that dated `fresh`, just made or changed."""
    with suppress(OSError):
        now = fresh.stat().st_mtime
        for path in parent.iterdir():
            if path.name.startswith(TEMPORARY_PREFIX) and now - path.stat().st_mtime > _LEFTOVER_SECONDS:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()


def write_sealed(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file that holds its own checksum.

    Raises:
        WriteError: It cannot be written.
    """
    write_json(path, {**document, _SUM: _sum(document)})


def read_sealed(path: Path, newest_format: int) -> dict[str, Any]:
    """Return what `write_sealed` wrote.

    Raises:
        DamagedError: It is missing, torn, changed, or of a newer version.
    """
    document = read_json(path)
    if document.pop(_SUM, None) != _sum(document):
        raise DamagedError(f"{path}: is damaged or was changed by hand; restore it from a backup")
    if document.get("format") not in range(1, newest_format + 1):
        raise DamagedError(f"{path}: was written by a newer version of this program; update this one")
    return document


def read_sealed_as(kind: type[Document], path: Path, newest_format: int) -> Document:
    """Return what `write_sealed` wrote as a dataclass.

    Raises:
        DamagedError: As `read_sealed`; or a field is not what it has to be.
    """
    return as_stored(kind, read_sealed(path, newest_format), path)


def as_stored(kind: type[Document], document: Any, path: Path) -> Document:
    """Return a document of a store, or a part of one, as a dataclass.

    Raises:
        DamagedError: A field is not what it has to be.
    """
    try:
        return read_as(kind, document, str(path))
    except DocumentError as error:
        raise DamagedError(f"{error}; restore it from a backup") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file that holds an object.

    Raises:
        DamagedError: It is missing, torn, or no such file.
    """
    try:
        return read_object(path)
    except FileNotFoundError:
        raise DamagedError(f"{path}: is missing; restore it from a backup") from None
    except DocumentError as error:
        raise DamagedError(f"{error}; restore it from a backup") from error


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, by name.

    Raises:
        OSError: One cannot be read.
    """
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir())}


def checked(folder: Path, name: str, sums: Mapping[str, str]) -> Path:
    """Return the file of that name, after a look at its checksum.

    Raises:
        DamagedError: It is missing or not the one that was written.
    """
    path = folder / name
    try:
        found = file_sha256(path)
    except FileNotFoundError:
        raise DamagedError(f"{path}: is missing; restore it from a backup") from None
    except OSError as error:
        raise DamagedError(f"{path}: cannot be read: {error.strerror or error}") from error
    if found != sums.get(name):
        raise DamagedError(
            f"{path}: is damaged or was changed by hand (its checksum differs); restore it from a backup"
        )
    return path


def now() -> str:
    """Return the time, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
