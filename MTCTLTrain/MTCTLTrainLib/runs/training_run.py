"""A fine-tuning run as a process of its own: to start, find, stop and resume it. No Qt: scripts use it, too.

What `mtctl finetune` keeps in the folder of a run is described in `mtctl_train.finetuning.run_folder`. Beside that lie

    order.json      what was asked for, so that the run can be resumed by whoever finds it
    launch.json     which process was started last, and whether a person has stopped it
    output.log      what that process said on its error stream
    decision.json   what became of the candidate
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import mtctl_train
from mtctl.processes.launcher import child_environment, encode_argument, ending_of
from mtctl.system.documents import DocumentError, read_optional
from mtctl.system.fields import Matching, ProcessId, read_as
from mtctl.system.files import WriteError, make_folder, write_json
from mtctl.system.process_tree import is_running, kill_tree
from mtctl.system.regular_files import open_regular, open_to_append
from mtctl_train.finetuning.run_folder import CANDIDATE, RunError, RunState, read_status

SETTINGS = "order.json"
LAUNCH = "launch.json"
LOG = "output.log"
DECISION = "decision.json"

PROGRAM = ("-m", "mtctl_train.commands.background")

# Loading torch takes seconds, on a busy laptop with a cold disk a minute; then the process says that it is there.
_LONGEST_START = 120.0

# Below that, a process that ended without a word most likely had no room for one.
_ROOM_BYTES = 50 << 20

_LOG_END = 400  # characters

# What this process has started, by the folder of the run: whichever `TrainingRun` looks has to collect it.
_CHILDREN: dict[Path, subprocess.Popen[bytes]] = {}


class Phase(Enum):
    """The phase of a run."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    FINISHED = "finished"

    @property
    def active(self) -> bool:
        """Whether a process works on the run."""
        return self in (Phase.STARTING, Phase.RUNNING)


@dataclass(frozen=True)
class TrainingStatus:
    """The status of a run.

    Attributes:
        phase: The phase.
        reason: Why the run failed or ended, or "".
    """

    phase: Phase
    reason: str = ""


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run.

    Attributes:
        store: Folder of the case store.
        base: Id or folder of the model to start from.
        length: `--minutes M` or `--iterations N`, as two arguments.
        device: One of `mtctl.networks.device.DEVICES`.
        further: More arguments of `mtctl finetune`.
    """

    store: str
    base: str
    length: tuple[str, ...]
    device: str
    further: tuple[str, ...] = ()

    @property
    def minutes(self) -> float | None:
        """The minutes that were asked for; None where the length was given as iterations."""
        with suppress(ValueError):
            name, count = self.length
            return float(count) if name == "--minutes" else None
        return None

    def arguments(self, out: Path) -> list[str]:
        """Return the arguments of `mtctl finetune`."""
        arguments = ["finetune", "--cases", self.store, "--out", str(out), "--device", self.device, *self.length]
        return [*arguments, *(["--base", self.base] if self.base else []), *self.further]


@dataclass(frozen=True)
class _Launch:
    pid: ProcessId
    at: float
    stopped: bool = False


@dataclass(frozen=True)
class Decision:
    """The decision on the candidate.

    Attributes:
        kind: "published" or "discarded".
        model: Id of the published version, or "".
        reason: The reason to publish a model that is not better, or "".
    """

    kind: Annotated[str, Matching("published|discarded", "published or discarded")]
    model: str = ""
    reason: str = ""


class TrainingRun:
    """One run; any number of objects may describe the same folder.

    Attributes:
        folder: The folder of the run.
        settings: The settings with which it was started.
    """

    def __init__(self, folder: Path, settings: RunSettings, program: Sequence[str] = PROGRAM) -> None:
        self.folder, self.settings, self.program = folder, settings, tuple(program)

    @classmethod
    def begin(cls, runs: Path, settings: RunSettings, program: Sequence[str] = PROGRAM) -> TrainingRun:
        """Make a folder for the run and start it.

        Raises:
            WriteError: Nothing can be written there.
            RunError: The process cannot be started.
        """
        name = time.strftime("%Y-%m-%d-%H%M%S")
        folder, number = runs / name, 1
        while folder.exists():
            number += 1
            folder = runs / f"{name}-{number}"
        make_folder(folder)
        write_json(folder / SETTINGS, asdict(settings))
        run = cls(folder, settings, program)
        run.go_on()
        return run

    @classmethod
    def last(cls, runs: Path) -> TrainingRun | None:
        """Return the run that was started last, by any program; None if there is none."""
        for path in sorted(runs.glob(f"*/{SETTINGS}"), key=_begun, reverse=True):
            with suppress(DocumentError):  # Torn by a power cut.
                return cls(path.parent, read_as(RunSettings, read_optional(path), SETTINGS))
        return None

    def go_on(self) -> None:
        """Start the run, or resume it from its last checkpoint; it goes on when this process ends.

        Raises:
            RunError: It is at work already, or the process cannot be started.
            WriteError: Nothing can be written there.
        """
        if self.status().phase.active:
            raise RunError(f"{self.folder}: this run is at work already")
        make_folder(self.folder)
        command = [sys.executable, *self.program, *map(encode_argument, self.settings.arguments(self.folder))]
        try:
            with open_to_append(self.folder / LOG) as log:
                log.truncate(0)
                process = _CHILDREN[self.folder] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=child_environment(os.environ, mtctl_train),
                    close_fds=True,
                    **_DETACHED,
                )
        except OSError as error:
            raise RunError(f"the training could not be started: {error.strerror or error}") from error
        try:
            write_json(self.folder / LAUNCH, asdict(_Launch(process.pid, time.time())))
        except WriteError:
            _end(process.pid)  # Nobody would find it again.
            raise

    def stop(self) -> None:
        """End the process and its descendants; what the run learnt since its last checkpoint is lost.

        Raises:
            RunError: It runs on another computer, where its process number means another program.
            WriteError: It is stopped, but that a person did so could not be noted.
        """
        launch, status = self._launch(), read_status(self.folder)
        if status is not None and status.state is RunState.RUNNING and not status.here:
            raise RunError("this training runs on another computer; stop it there")
        pids = {launch.pid} if launch is not None and self._alive(launch) else set()
        if status is not None and status.state is RunState.RUNNING:
            pids.add(status.pid)
        for pid in pids:
            _end(pid)
        if launch is not None:
            try:
                write_json(self.folder / LAUNCH, asdict(replace(launch, stopped=True)))
            except WriteError as error:
                raise WriteError(f"the training is stopped, but this could not be noted: {error}") from error

    def status(self) -> TrainingStatus:
        """Return the present status; this takes a millisecond."""
        child = _CHILDREN.get(self.folder)
        if child is not None:
            child.poll()  # Collects it when it has ended: on macOS it would look alive until then.
        launch, status = self._launch(), read_status(self.folder)
        if launch is not None and (status is None or status.started < launch.at):
            if self._alive(launch):
                return TrainingStatus(Phase.STARTING)
            if launch.stopped:
                return TrainingStatus(Phase.STOPPED)
            return TrainingStatus(Phase.FAILED, self._exit_reason())
        if status is None:
            return TrainingStatus(Phase.STOPPED)
        if status.state is RunState.RUNNING:
            return TrainingStatus(Phase.RUNNING)
        if status.state is RunState.FAILED:
            return TrainingStatus(Phase.FAILED, status.message or self._exit_reason())
        if status.state is RunState.FINISHED:
            return TrainingStatus(Phase.FINISHED)
        asked = launch is not None and launch.stopped
        return TrainingStatus(Phase.STOPPED, "" if asked else self._exit_reason())

    @property
    def candidate(self) -> Path:
        """Folder of the resulting model, which exists when the run has finished."""
        return self.folder / CANDIDATE

    @property
    def decision(self) -> Decision | None:
        """The decision on the candidate; None before there is one."""
        try:
            return read_as(Decision, read_optional(self.folder / DECISION), DECISION)
        except DocumentError:
            return None

    def decide(self, decision: Decision) -> None:
        """Save the decision on the candidate.

        Raises:
            WriteError: Nothing can be written there.
        """
        write_json(self.folder / DECISION, asdict(decision))

    def _launch(self) -> _Launch | None:
        try:
            return read_as(_Launch, read_optional(self.folder / LAUNCH), LAUNCH)
        except DocumentError:
            return None

    def _alive(self, launch: _Launch) -> bool:
        child = _CHILDREN.get(self.folder)
        if child is not None and child.pid == launch.pid:
            return child.poll() is None
        return time.time() - launch.at < _LONGEST_START and is_running(launch.pid)

    def _exit_reason(self) -> str:
        """Return why the process may have ended."""
        try:
            if shutil.disk_usage(self.folder).free < _ROOM_BYTES:
                return f"the disk of {self.folder} is full; free some space and resume"
            with open_regular(self.folder / LOG) as log:
                text = log.read()[-_LOG_END:].decode("utf-8", errors="replace").strip()
        except OSError:
            return f"the folder of the run, {self.folder}, is gone or cannot be read"
        ended = "the training process was ended from outside, or the computer was switched off"
        _, said = ending_of("", text.splitlines())
        return "\n".join(said).strip().removeprefix("mtctl: error: ") or ended


#: How a child outlives its parent: its own session; on Windows its own group, without a console.
_DETACHED: dict[str, Any]
if sys.platform == "win32":
    _DETACHED = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
else:
    _DETACHED = {"start_new_session": True}


def _end(pid: int) -> None:
    """End a process with its descendants, without waiting: freeing gigabytes would block the window."""
    if sys.platform == "win32":
        command = ["taskkill", "/PID", str(pid), "/T", "/F"]
        subprocess.Popen(command, creationflags=subprocess.CREATE_NO_WINDOW)
    else:
        kill_tree(pid, patience=0.0)


def _begun(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.parent.name
    except OSError:
        return 0.0, ""
