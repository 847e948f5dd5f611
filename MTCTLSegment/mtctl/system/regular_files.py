"""Regular files alone: a pipe or a device of a file's name would hold its reader for ever, or never end."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

# What Windows does not know, and needs: there a file is text unless it is said to be binary.
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes.

    Raises:
        OSError: It is missing, may not be read, or is a folder, a pipe, a socket or a device.
    """
    _check(os.stat(path), path)  # Before it is opened: to open some devices does something already.
    descriptor = os.open(path, _FLAGS)
    try:
        _check(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def _check(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, not a file", str(path))
