"""A lock that holds on a network share and that the death of its owner does not hold for ever. Files alone, no fcntl.

The lock of a folder is its `.mtctl-lock-<generation>` with the highest generation. It is free where there is one that
ends in `.free`. To take it is to make the file of the next generation, which of several programs only one can (O_EXCL
is atomic on NFS 3 and later, SMB, and every local disk). As the highest generation never falls, a takeover needs no
deletion that could hit the lock of somebody quicker.

A lock is taken over when its owner was a process of this machine that has ended, or when it was watched for EXPIRY
seconds without being released: by the watcher's own clock, as the clocks of two machines may differ by hours. An owner
that was only asleep finds that out (`Held.check`) before it changes anything.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mtctl.errors import MtctlError
from mtctl.system.documents import DocumentError, read_object
from mtctl.system.fields import ProcessId, read_as
from mtctl.system.files import with_retries
from mtctl.system.machine import this_machine
from mtctl.system.process_tree import is_running

#: A lock is held for the rename of a folder or two: milliseconds, on a slow share tenths of a second.
EXPIRY = 10.0

#: How long to wait for a lock: an owner that died and some that hurry.
PATIENCE = 6 * EXPIRY

LOCK_PREFIX = ".mtctl-lock-"

_PAUSE = 0.02  # seconds between two looks, on average

#: A file of a higher generation is none of a lock: from one to the next, nobody gets there in a thousand years.
_HIGHEST = 10**18 - 1

_NAME = re.compile(re.escape(LOCK_PREFIX) + r"([0-9]{8,18})(\.free)?")


class LockError(MtctlError):
    """A folder stays locked, or the lock was lost."""


@dataclass(frozen=True)
class _Owner:
    """Who made the file of a lock."""

    machine: str
    pid: ProcessId


@dataclass(frozen=True)
class Held:
    """A lock that was taken."""

    folder: Path
    generation: int

    def check(self) -> None:
        """Make sure that nobody took it over.

        Raises:
            LockError: Somebody did, as this program slept too long (or the computer did).
        """
        newest, _ = _newest(self.folder)
        if newest != self.generation:
            raise LockError(f"{self.folder}: this took too long, others went on in the meantime; try again")


@contextmanager
def locked(folder: Path) -> Iterator[Held]:
    """Hold the lock of a folder.

    Raises:
        LockError: Others hold it for PATIENCE seconds.
        OSError: The folder is gone or not writable.
    """
    held = _acquire(folder)
    try:
        yield held
    finally:
        path = _path(folder, held.generation)
        with suppress(OSError):  # taken over, and cleared away by the new owner; or the folder is gone
            with_retries(os.rename, path, path.with_name(f"{path.name}.free"))  # who waits may be reading it


def _acquire(folder: Path) -> Held:
    deadline = time.monotonic() + PATIENCE
    watched, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        generation, free = _newest(folder)
        if generation == _HIGHEST:
            raise LockError(f"{_path(folder, generation)}: is not of this program; delete it")
        if generation != watched:
            watched, since = generation, time.monotonic()
        if free or time.monotonic() - since > EXPIRY or _owner_died(_path(folder, generation)):
            held = Held(folder, generation + 1)
            if _take(held):
                _clear(held)
                return held
        else:
            time.sleep(_PAUSE * random.uniform(0.5, 1.5))
    raise LockError(f"{folder}: other programs keep it locked; try again in a minute")


def _take(lock: Held) -> bool:
    path = _path(lock.folder, lock.generation)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        owner = {"host": socket.gethostname(), "machine": this_machine(), "pid": os.getpid()}
        owner["token"] = secrets.token_hex(8)
        os.write(descriptor, json.dumps(owner).encode())
    finally:
        os.close(descriptor)
    # The look before may have been an old one: since then others may have taken, freed and cleared this generation.
    if _newest(lock.folder) == (lock.generation, False):
        return True
    with suppress(OSError):
        path.unlink()
    return False


def _newest(folder: Path) -> tuple[int, bool]:
    """Return the highest generation and whether it is free; (0, True) where there is none yet."""
    found = [match for name in os.listdir(folder) if (match := _NAME.fullmatch(name))]
    generation = max((int(match[1]) for match in found), default=0)
    return generation, not generation or any(int(match[1]) == generation and match[2] for match in found)


def _clear(lock: Held) -> None:
    """Remove what earlier generations left."""
    for name in os.listdir(lock.folder):
        match = _NAME.fullmatch(name)
        if match and int(match[1]) < lock.generation:
            with suppress(OSError):
                (lock.folder / name).unlink()


def _path(folder: Path, generation: int) -> Path:
    return folder / f"{LOCK_PREFIX}{generation:08d}"


def _owner_died(path: Path) -> bool:
    try:
        owner = read_as(_Owner, read_object(path), str(path))
        return owner.machine == this_machine() and not is_running(owner.pid)
    except (OSError, DocumentError):
        return False  # released just now, or its owner died before it wrote its name: it expires
