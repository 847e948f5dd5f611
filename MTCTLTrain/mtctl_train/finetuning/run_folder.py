"""The folder of a fine-tuning run, as the process that trains writes it and anybody else reads it. Needs no torch.

    base.json             the model that it starts from
    plan.json             what the run learns from and what it holds out: both are fixed when it first starts
    status.json           who works on it: machine, pid, state, and when it was last heard of (every five seconds)
    progress.jsonl        one event a line, appended at once; a resumed run goes on in it
    pictures/000100.png   the scan of a held-out case with the prediction as it was then
    prepared/             the cases as the network sees them, so that the run does not depend on the store any more
    fold-1/ ...           checkpoint, and when its training has ended the fold's model
    candidate/            the result: a model folder with verdict.json; appears whole, and last

Events are dictionaries with "event", "fold" and "folds" (from 1), and "iteration" within the fold:

    start       "of": iterations, "device"
    progress    "of", "losses" {name: value}, "learning_rate", "gradient_norm", "seconds_left" and "share" of the
                whole run; the first after the first step, then every ten
    validation  "dice": mean, "cases" {id: Dice} of the fold's held-out cases, at the network's resolution
    picture     "file": relative to the run's folder
    skipped     "case", "reason": a case that cannot be used; the run goes on without it
    end         the fold is trained
    stopped     "reason": the run cannot go on
    verdict     "candidate": the folder; "dice": [old, new]; "against": sentences; the run is finished
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from mtctl.errors import MtctlError
from mtctl.system.documents import MOST_BYTES, DocumentError, parse_object, read_object
from mtctl.system.fields import ProcessId, read_as
from mtctl.system.files import WriteError, reason_of, remove_dead_parts, replacing
from mtctl.system.locks import locked
from mtctl.system.machine import this_machine
from mtctl.system.process_tree import is_running
from mtctl.system.regular_files import check_regular, open_regular

BASE = "base.json"
PLAN = "plan.json"
STATUS = "status.json"
PROGRESS = "progress.jsonl"
PICTURES = "pictures"
PREPARED = "prepared"
CANDIDATE = "candidate"

#: A run writes its status this often, seconds ...
_HEARTBEAT = 5.0
#: ... and counts as ended after such a silence: its pid may be another program's by now.
_SILENCE = 60.0


class RunError(MtctlError):
    """A fine-tuning run cannot start or go on."""


class RunState(Enum):
    """How a run stands; the values are the words that a person sees."""

    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class RunStatus:
    """Content of status.json.

    Attributes:
        pid: Id of the process that trains.
        started: When the process started, seconds since 1970.
        heard: When the process last wrote its status, seconds since 1970.
        state: The state that it wrote.
        message: Why it failed, or "".
        machine: The machine on which the process runs, see `machine.this_machine`; "": this one.
    """

    pid: ProcessId
    started: float
    heard: float
    state: RunState
    message: str = ""
    machine: str = ""

    @property
    def here(self) -> bool:
        """Whether its process is one of this machine."""
        return self.machine in ("", this_machine())

    @property
    def lost(self) -> bool:
        """Whether the process is gone, whatever it wrote last; of a run on another machine only silence tells."""
        if time.time() - self.heard > _SILENCE:
            return True
        return self.here and not is_running(self.pid)


def read_status(folder: Path) -> RunStatus | None:
    """Return how the run in `folder` stands now; None where none was started. One whose process is gone has stopped."""
    try:
        status = read_as(RunStatus, read_object(folder / STATUS), STATUS)
    except (OSError, DocumentError):
        return None
    if status.state is RunState.RUNNING and status.lost:
        return replace(status, state=RunState.STOPPED)
    return status


@dataclass(frozen=True)
class Events:
    """Events read from a run's progress.jsonl, and the place to read on from."""

    events: list[dict[str, Any]]
    offset: int


def read_events(folder: Path, offset: int = 0, most: int | None = None) -> Events:
    """Return the events from byte `offset` of progress.jsonl on; a line that is still being written is left out.

    Args:
        folder: Folder of the run.
        offset: Where to read on.
        most: No more than so many events; None: all.
    """
    events = list[dict[str, Any]]()
    with suppress(OSError), open_regular(folder / PROGRESS) as stream:
        stream.seek(offset)
        for line in iter(lambda: stream.readline(MOST_BYTES), b""):
            if len(events) == most or not line.endswith(b"\n"):
                break
            offset += len(line)
            with suppress(DocumentError):  # Torn by a power cut.
                events.append(parse_object(line, PROGRESS))
    return Events(events, offset)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Say in status.json that this process works on the run, and at the end how it went.

    Raises:
        RunError: Another process does.
    """
    started, ended = time.time(), threading.Event()
    with locked(folder):  # Of two that start at once, the second must see the first.
        status = read_status(folder)
        ours = status is not None and status.here and status.pid == os.getpid()
        if status and status.state is RunState.RUNNING and not ours:
            where = "" if status.here else " of another computer"
            raise RunError(
                f"{folder}: a run is under way there (process {status.pid}{where}); stop it, or use another --out"
            )
        remove_dead_parts(folder)
        _write(folder, started, RunState.RUNNING)

    def beat() -> None:
        while not ended.wait(_HEARTBEAT):
            with suppress(WriteError):  # On Windows, while somebody reads it.
                _write(folder, started, RunState.RUNNING)

    heart = threading.Thread(target=beat, daemon=True)
    heart.start()
    state, message = RunState.FAILED, ""
    try:
        yield
        state = RunState.FINISHED
    except KeyboardInterrupt:
        state = RunState.STOPPED
        raise
    except BaseException as error:
        message = reason_of(error) if isinstance(error, Exception) else type(error).__name__
        raise
    finally:
        ended.set()
        heart.join()
        try:
            _write(folder, started, state, message)
        except WriteError:  # Never hide the error that is on its way, such as a full disk.
            _write_over(folder, _content(started, state, message))


def _content(started: float, state: RunState, message: str = "") -> bytes:
    status = RunStatus(os.getpid(), started, time.time(), state, message, this_machine())
    return json.dumps(asdict(status) | {"state": state.value}).encode("ascii") + b"\n"


def _write(folder: Path, started: float, state: RunState, message: str = "") -> None:
    with replacing(folder / STATUS) as part:
        part.write_bytes(_content(started, state, message))


def _write_over(folder: Path, content: bytes) -> None:
    """Write the last status over the one before, which needs no room on a full disk and no right to the folder."""
    with suppress(OSError):
        check_regular(folder / STATUS)
        with open(folder / STATUS, "rb+", buffering=0) as stream:
            stream.write(content.ljust(os.fstat(stream.fileno()).st_size))
