"""Notes of what was stored: `mtctl cases verify` misses what is gone.

The note of `cases/A-1` is the empty file `cases/.mtctl-stored-A-1`, that of `A-1/0003-corrected` is
`A-1/.mtctl-stored-0003-corrected`. A note is made after what it notes, and never changed. So a program that is killed
in between leaves too few notes, never one too many; and as both are in one folder, a copy of a store that is in use
holds no note without what it notes. Drafts, which come and go, have none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PREFIX = ".mtctl-stored-"


def write_note(stored: Path) -> None:
    """Note that a case or record was stored. Where that fails its loss would not be noticed; nothing else follows."""
    with suppress(OSError):
        note_of(stored).touch()


def note_of(stored: Path) -> Path:
    """Return the path of the note of a case or record."""
    return stored.with_name(f"{_PREFIX}{stored.name}")


def is_note(name: str) -> bool:
    """Return whether a file of that name is a note."""
    return name.startswith(_PREFIX)


def noted_names(folder: Path) -> list[str]:
    """Return the names of what was ever stored in a folder, sorted; all of it was there when this began.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(name.removeprefix(_PREFIX) for name in os.listdir(folder) if is_note(name))
