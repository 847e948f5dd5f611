"""Segmentation in a warm child process: the model stays loaded between cases and the window stays quick.

Nothing here imports torch. The owner calls `WorkerClient.poll` some twenty times a second (a timer in Slicer, a loop
elsewhere); everything, callbacks included, happens in there and in the owner's thread.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mtctl.geometry import Volume
from mtctl.inference.result import Result
from mtctl.processes.arrays import read_steps, write_steps
from mtctl.processes.transport import SubprocessTransport, Transport
from mtctl.system.documents import DocumentError, read_as
from mtctl.system.files import WriteError, write_reason
from mtctl.uncertainty.regions import RegionMap
from mtctl.worker.child import Child
from mtctl.worker.protocol import SEGMENTATION, DoneMessage, FailedMessage, NoteMessage, StepMessage, put_request
from mtctl.worker.requests import Handlers, SegmentationProgress, Settings
from mtctl.worker.time_left import Run, TimeEstimator

# A call of `poll` copies volumes for about this long; a window should not stand still for more than 100 ms.
_COPY_SECONDS = 0.03

# Between two calls of the progress callback while the child itself has nothing to report.
_TICK_SECONDS = 0.5


@dataclass
class _Task:
    number: int
    volume: Volume
    settings: Settings
    handlers: Handlers
    folder: Path = Path()
    run: Run | None = None
    copying: Iterator[None] | None = None
    answer: DoneMessage | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    told: float = 0.0


class WorkerClient:
    """Segments volumes in a child process, one after the other."""

    def __init__(
        self,
        transport: Callable[[], Transport] = SubprocessTransport,
        program: str = "",
        arguments: Sequence[str] = ("-m", "mtctl.worker.process"),
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            transport: Makes one for every child.
            program: Python for the child; "": this one, inside Slicer PythonSlicer (`launcher`).
            arguments: What it runs; the client's process id and the exchange folder are added.
        """
        self._make_transport, self._program, self._arguments = transport, program, tuple(arguments)
        self._child: Child | None = None
        self._waiting: deque[_Task] = deque()
        self._task: _Task | None = None
        self._times = TimeEstimator()
        self._number = 0
        self.device = ""
        """What the child computes on when nothing is said, in words; "" until one was ready."""

    @property
    def busy(self) -> bool:
        """Whether a request is under way or waiting."""
        return self._task is not None or bool(self._waiting)

    def start(self) -> None:
        """Start the child ahead of the first request, which is then some seconds quicker.

        Raises:
            WriteError: There is no place for temporary files.
        """
        if self._child and not self._child.exchange.is_dir():  # Somebody has tidied up the temporary files.
            self._end_child()
        if self._child is None:
            self._child = Child(self._make_transport(), self._program or sys.executable, self._arguments)

    def segment(self, volume: Volume, settings: Settings, handlers: Handlers) -> int:
        """Ask for a segmentation; it begins when those asked for before have ended.

        The array is read during the next calls of `poll`: it must not change until progress tells of a later stage.

        Returns:
            The request's number, for `cancel`.
        """
        self._number += 1
        self._waiting.append(_Task(self._number, volume, settings, handlers))
        return self._number

    def cancel(self, number: int) -> None:
        """Drop a request; when it is under way its child ends with it, within 0.5 s. No callback of it follows."""
        if self._task and self._task.number == number:
            self._end_child()
            self._drop()
        else:
            self._waiting = deque(task for task in self._waiting if task.number != number)

    def close(self) -> None:
        """End the child and drop all requests; the client starts anew when it is asked again."""
        self._waiting.clear()
        self._end_child()
        self._drop()

    def poll(self) -> None:
        """Take what the child said, copy a piece of a volume, call the callbacks; returns after some 30 ms at most."""
        self._listen()
        if self._task is None and self._waiting:
            self._begin(self._waiting.popleft())
        self._copy()
        task = self._task
        if task and time.monotonic() - task.told >= _TICK_SECONDS:
            self._tell(task)

    def _begin(self, task: _Task) -> None:
        self._task = task
        try:
            self.start()
            assert self._child
            task.folder = self._child.exchange / str(task.number)
            task.folder.mkdir()
        except (OSError, WriteError) as error:
            self._fail(f"the scan could not be handed over: {_reason(error)}")
            return
        task.run = self._times.begin(_kind(task.settings), not self._child.ready, time.monotonic())
        task.copying = write_steps(task.volume.array, task.folder / "scan.npy")
        self._tell(task)

    def _listen(self) -> None:
        # A callback may cancel, close or ask for more: look afresh at every turn.
        while (child := self._child) and (message := child.next_event()):
            kind, task = message["event"], self._task
            if kind == "finished":
                self._child = None
                child.remove_files()
                if task:
                    self._fail(child.exit_message(message["ending"]))
            elif kind == "ready":
                child.ready, self.device = True, str(message.get("device", ""))
            elif task and message.get("id") == task.number:
                try:
                    self._hear(task, kind, message)
                except DocumentError as error:
                    self._fail(f"the segmentation process says what nobody understands: {error}")

    def _hear(self, task: _Task, kind: str, message: dict[str, Any]) -> None:
        if kind == "progress" and task.run:
            step = read_as(StepMessage, message, kind)
            task.run.advance(step.stage, step.share, time.monotonic())
            self._tell(task)
        elif kind == "note":
            task.handlers.note(read_as(NoteMessage, message, kind).text)
        elif kind == "failed":
            self._fail(read_as(FailedMessage, message, kind).message)
        elif kind == "done" and task.run:
            task.answer = read_as(DoneMessage, message, kind)
            task.copying = read_steps(task.folder, task.answer.arrays, task.volume.geometry.shape, task.arrays)
            task.run.advance("receive", 0.0, time.monotonic())
            self._tell(task)

    def _copy(self) -> None:
        task, deadline = self._task, time.monotonic() + _COPY_SECONDS
        if not task or not task.copying:
            return
        try:
            for _ in task.copying:
                if time.monotonic() > deadline:
                    return
        except (OSError, ValueError) as error:
            what = "result could not be fetched" if task.answer else "scan could not be handed over"
            self._fail(f"the {what}: {_reason(error)}")
            return
        task.copying = None
        if task.answer:
            self._succeed(task, task.answer)
        else:
            self._send(task)

    def _send(self, task: _Task) -> None:
        request = {
            "id": task.number,
            "input": str(task.folder / "scan.npy"),
            "geometry": task.volume.geometry.to_json(),
            "options": asdict(task.settings),
            "output": str(task.folder),
        }
        try:
            put_request(task.folder, request)
        except OSError as error:
            self._fail(f"the scan could not be handed over: {_reason(error)}")

    def _tell(self, task: _Task) -> None:
        now = time.monotonic()
        task.told = now
        if task.run:
            left = task.run.seconds_left(now)
            task.handlers.progress(SegmentationProgress(task.run.stage, task.run.fraction, task.run.overall(now), left))

    def _succeed(self, task: _Task, answer: DoneMessage) -> None:
        geometry = task.volume.geometry
        try:
            regions = RegionMap.load(task.folder / answer.regions, geometry) if answer.regions else None
        except (OSError, ValueError) as error:
            self._fail(f"the result could not be fetched: {_reason(error)}")
            return
        if task.run:
            self._times.learn(_kind(task.settings), task.run, time.monotonic())
        self._drop()
        segmentation = task.arrays.pop(SEGMENTATION)
        task.handlers.done(Result(geometry, segmentation, task.arrays, answer.report, regions))

    def _fail(self, message: str) -> None:
        task = self._task
        self._drop()
        if task:
            task.handlers.failed(message)

    def _drop(self) -> None:
        """Forget the request under way and remove its files."""
        task, self._task = self._task, None
        if task:
            if task.copying:
                task.copying = None  # Closes its file, which Windows would not remove else.
            if task.folder != Path():
                shutil.rmtree(task.folder, ignore_errors=True)

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child:
            child.transport.kill_tree()
            child.remove_files()


def _kind(settings: Settings) -> tuple[object, ...]:
    return settings.model, settings.device, settings.samples, settings.region == "none"


def _reason(error: Exception) -> str:
    return write_reason(error) if isinstance(error, OSError) else str(error)
