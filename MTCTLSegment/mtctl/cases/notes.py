"""Notes of what was stored, beside it: what is gone leaves its note, by which `mtctl cases verify` misses it.

The note of `cases/A-1` is the empty file `cases/.mtctl-stored-A-1`, that of `A-1/0003-corrected` is
`A-1/.mtctl-stored-0003-corrected`. A note is made after that of which it is, and never changed. So whoever is killed in
between leaves too few notes, never one too many; and as both are in one folder, who copies a store that is in use
copies no note without that of which it is. Drafts, which come and go, have none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PREFIX = ".mtctl-stored-"


def note(stored: Path) -> None:
    """Take note of a case or record that is there. Where that fails its loss will not be seen, and no more."""
    with suppress(OSError):
        note_of(stored).touch()


def note_of(stored: Path) -> Path:
    """The note of a case or record."""
    return stored.with_name(f"{_PREFIX}{stored.name}")


def is_note(name: str) -> bool:
    """Whether a file of that name is a note."""
    return name.startswith(_PREFIX)


def noted(folder: Path) -> list[str]:
    """Names of what was ever stored in a folder, sorted; all of it was there when this began.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(name.removeprefix(_PREFIX) for name in os.listdir(folder) if is_note(name))
