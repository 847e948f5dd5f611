"""Which version of a site's models is in use, and the whole history of that: `current.json`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from mtctl.models.versions import ModelChange, ModelStoreError, lineage
from mtctl.system.files import with_retries
from mtctl.system.staging import DamagedError, read_sealed_as, write_sealed

FORMAT = 1
CURRENT = "current.json"


@dataclass(frozen=True)
class _Pointer:
    """What the file holds, but for its seal."""

    history: tuple[ModelChange, ...]


def read_history(folder: Path) -> tuple[ModelChange, ...]:
    """Return what was in use, oldest first; empty where nothing was published yet.

    Raises:
        ModelStoreError: It cannot be read.
    """
    path = folder / CURRENT
    if not os.path.lexists(path):
        return ()
    try:
        steps = read_sealed_as(_Pointer, path, FORMAT).history
        lineage(steps)
        return steps
    except DamagedError as error:
        raise ModelStoreError(str(error)) from error
    except ValueError as error:
        raise ModelStoreError(f"{path}: goes back to what was not in use; restore it from a backup") from error


def write_history(folder: Path, steps: tuple[ModelChange, ...]) -> None:
    """Write it, under the lock of the folder.

    Raises:
        WriteError: It cannot be written.
    """
    document = {"format": FORMAT, "version": steps[-1].version, "history": [asdict(step) for step in steps]}
    write_sealed(folder / CURRENT, document)


def set_damaged_aside(folder: Path) -> str:
    """Give the file another name where it cannot be read, under the lock of the folder; return that name, or "".

    Raises:
        OSError: It cannot be renamed.
    """
    try:
        read_history(folder)
        return ""
    except ModelStoreError:
        names = (f"current.damaged-{number}.json" for number in count(1))
        name = next(name for name in names if not os.path.lexists(folder / name))
        with_retries(os.rename, folder / CURRENT, folder / name)
        return name
