"""This computer: where programs keep data of the user, and a name for it that no other computer has."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import socket
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.system.files import replacing
from mtctl.system.staging import commit, staged

#: In the user's data folder: a folder, as one that is not empty is never replaced by a rename, on any system.
_MACHINE, _ID = "machine", "id"

_PROC = Path("/proc")


def user_data() -> Path:
    """Return where programs keep data of the user that is not a setting; nothing need be there."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or _home() / ".local" / "share")


def _home() -> Path:
    """Return the user's home.

    A container may run as a user whom its list of users does not know. Such a user has the home that Docker gives: the
    root folder, or Windows' own. Only an administrator can put anything there, so that nobody plants models.
    """
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.environ.get("SYSTEMROOT", "C:\\Windows") if sys.platform == "win32" else "/")


@functools.cache
def this_machine() -> str:
    """Return which set of process numbers this process belongs to.

    A host name does not tell: on macOS it changes with the network, and containers share one. Linux offers a random
    number for every start of the system and one for every set of process numbers; elsewhere a random one is kept.
    """
    try:
        parts = [(_PROC / "sys/kernel/random/boot_id").read_text(), str(os.stat(_PROC / "self/ns/pid").st_ino)]
    except OSError:
        parts = [_kept_id()]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def _kept_id() -> str:
    """Return the random number in the user's data folder.

    Where none can be kept, return the names of this computer instead.
    """
    place = user_data() / "mtctl" / _MACHINE
    with suppress(OSError, MtctlError):
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError), staged(place.parent) as hidden:  # Exists: another process was quicker.
                with replacing(hidden / _ID) as part:
                    part.write_text(secrets.token_hex(16), encoding="ascii")
                commit(hidden, place)
        found = (place / _ID).read_text(encoding="ascii")
        if found:
            return found
    return f"{socket.gethostname()} {uuid.getnode()}"
