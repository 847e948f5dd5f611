"""Regular files alone: a pipe or a device of a file's name would hold whoever opens it for ever, or never end."""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import suppress
from pathlib import Path

# What Windows does not know, and needs: there a file is text unless it is said to be binary.
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: It is missing, may not be read, or is a folder, a pipe, a socket or a device.
    """
    check_regular(path)  # Before it is opened: to open some devices does something already.
    return os.fdopen(_opened(path, os.O_RDONLY), "rb")


def open_to_append(path: Path) -> io.FileIO:
    """Open a file, which need not be there, to write behind its end; without a buffer: what fails is not tried again.

    Raises:
        OSError: It may not be written, or is a folder, a pipe, a socket or a device.
    """
    with suppress(FileNotFoundError):
        check_regular(path)
    return io.FileIO(_opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab")


def check_regular(path: Path) -> None:
    """Make sure that something is a file, before a library opens it.

    Raises:
        OSError: It is missing, or is a folder, a pipe, a socket or a device.
    """
    _check(os.stat(path), path)


def _opened(path: Path, flags: int) -> int:
    descriptor = os.open(path, _FLAGS | flags, 0o666)
    try:
        _check(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, not a file", str(path))
