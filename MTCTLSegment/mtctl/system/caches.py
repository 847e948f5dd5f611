"""Where libraries keep what they would have to find out again (fonts), where their own place cannot be written."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtctl.system.files import WriteError
from mtctl.system.temporary import make_own_folder, remove_orphans

_KIND = "caches"


@contextmanager
def usable_caches() -> Iterator[None]:
    """Let matplotlib and fontconfig use a temporary folder of ours for as long, where the user's own is read-only.

    They would warn of it at each run, or not work at all. Child processes use the same folder. To be entered before
    matplotlib is imported. Where there is no place for temporary files either, nothing is changed.
    """
    places = {} if os.environ.get("MPLCONFIGDIR") else _unusable()
    try:
        folder = make_own_folder(_KIND) if places else None
    except WriteError:
        folder = None
    if folder is None:
        yield
        return
    remove_orphans(_KIND)
    # The list of fonts takes some seconds; matplotlib says so at each run, as at each it is the first.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    os.environ.update(dict.fromkeys(places, str(folder)))
    try:
        yield
    finally:
        for name in places:
            os.environ.pop(name, None)
        shutil.rmtree(folder, ignore_errors=True)


def _unusable() -> dict[str, Path]:
    """Return the folders that matplotlib and fontconfig would use and cannot write, by the variable that moves them."""
    home = Path.home() if _has_home() else None
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        wanted = {"MPLCONFIGDIR": [Path(local) if local else home]}
    elif sys.platform == "darwin":
        wanted = {"MPLCONFIGDIR": [home]}
    else:
        config, cache = os.environ.get("XDG_CONFIG_HOME"), os.environ.get("XDG_CACHE_HOME")
        caches = Path(cache) if cache else home and home / ".cache"
        wanted = {"MPLCONFIGDIR": [Path(config) if config else home and home / ".config", caches]}
        wanted["XDG_CACHE_HOME"] = [caches]
    return {
        name: places[-1] or Path()
        for name, places in wanted.items()
        if not all(place and _can_be_written(place) for place in places)
    }


def _has_home() -> bool:
    try:
        Path.home()
    except RuntimeError:
        return False
    return True


def _can_be_written(folder: Path) -> bool:
    """Return whether files can be made in a folder, which may have to be made first."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
