"""Going through a folder and all below it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(folder: Path, closed: Callable[[Path], object] = lambda place: None) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folders with their files' names, sorted, without hidden ones.

    Links are followed; one that leads back is followed once.

    Args:
        folder: Where to begin.
        closed: Is called with each folder that cannot be looked into.
    """
    seen: set[str] = set()

    def refused(error: OSError) -> None:
        closed(Path(os.fsdecode(error.filename)))

    for place, folders, names in os.walk(folder, onerror=refused, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(place), sorted(name for name in names if not name.startswith("."))
