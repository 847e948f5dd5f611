"""This computer: its cores, where programs keep data of the user, and a name that no other computer has."""

from __future__ import annotations

import functools
import hashlib
import math
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
_CGROUPS = Path("/sys/fs/cgroup")


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


def cores() -> int:
    """Return the number of processor cores that this process may use.

    A scheduler (Slurm) or a container may give it fewer than there are: by their numbers, or by its share of time.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(share) for share in _time_shares())]))


def _time_shares() -> list[float]:
    """Return how many cores' time the control groups of this process give it (Linux, versions 1 and 2)."""
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    shares = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be the host's, while what is mounted begins with the container's own group.
        inner = Path(path.lstrip("/"))
        for group in (inner, *inner.parents):
            shares += [_quota(root / group) for root in (_CGROUPS, _CGROUPS / "cpu", _CGROUPS / "cpu,cpuacct")]
    return [share for share in shares if share is not None]


def _quota(group: Path) -> float | None:
    """Return how many cores' time a control group has; None where it has no limit or does not exist."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except (OSError, ValueError):  # "max": no limit
        return None


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
