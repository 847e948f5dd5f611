"""Temporary folders with copies of scans, which do not outlive the process that made them, even where it was killed.

Whoever makes one removes it again. What a killed process could not remove goes when the next one of the same kind
looks after it: the name says whose it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from mtctl.system.files import WriteError, write_reason
from mtctl.system.process_tree import is_running


def make_own_folder(kind: str) -> Path:
    """Make a temporary folder of this process.

    Args:
        kind: What it is for, one word.

    Raises:
        WriteError: There is no place for temporary files.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=f"{_prefix(kind)}{os.getpid()}-"))
    except OSError as error:
        raise WriteError(f"no temporary folder could be made: {write_reason(error)}") from error


def remove_orphans(kind: str) -> None:
    """Remove the folders of that kind whose processes live no more; those of others, and of other users, stay.

    It may take its time (volumes are deleted, and processes looked up): not for the thread of a window.
    """
    prefix = _prefix(kind)
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        number, dash, _ = folder.name.removeprefix(prefix).partition("-")
        if dash and number.isascii() and number.isdigit() and not is_running(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _prefix(kind: str) -> str:
    return f"mtctl-{kind}-"
