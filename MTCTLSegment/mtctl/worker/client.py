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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtctl.geometry import Mask, Volume
from mtctl.processes.transport import SubprocessTransport, Transport
from mtctl.review.answers import Answer, Said
from mtctl.system.documents import DocumentError
from mtctl.system.fields import read_as
from mtctl.system.files import WriteError, write_reason
from mtctl.worker.child import Child
from mtctl.worker.protocol import FailedMessage, NoteMessage, StepMessage, put_request
from mtctl.worker.requests import Handlers, QuestionedCase, QuestionHandlers, SegmentationProgress, Settings
from mtctl.worker.tasks import QuestionTask, SegmentationTask, Task
from mtctl.worker.time_left import Run, TimeEstimator

# A call of `poll` copies volumes for about this long; a window should not stand still for more than 100 ms.
_COPY_SECONDS = 0.03

# Between two calls of the progress callback while the child itself has nothing to report.
_TICK_SECONDS = 0.5


@dataclass
class _Underway:
    """A task on its way."""

    number: int
    task: Task
    folder: Path = Path()
    run: Run | None = None
    copying: Iterator[None] | None = None
    answered: bool = False
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
        self._waiting: deque[_Underway] = deque()
        self._current: _Underway | None = None
        self._times = TimeEstimator()
        self._number = 0

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
        return self._queue(SegmentationTask(volume, settings, handlers))

    def ask(
        self, case: QuestionedCase, mask: Mask, said: Said, answer: Answer | None, handlers: QuestionHandlers
    ) -> int:
        """Ask what a mask becomes by an answer, and which questions are worth asking then.

        Args:
            case: The case as it was before any review.
            mask: (z, y, x) as it is now, before the answer.
            said: What was said of it so far.
            answer: What is said now; None: nothing new, only the questions are wanted.
            handlers: Whom to tell.

        Returns:
            The request's number, for `cancel`.
        """
        return self._queue(QuestionTask(case, mask, said, answer, handlers))

    def _queue(self, task: Task) -> int:
        self._number += 1
        self._waiting.append(_Underway(self._number, task))
        return self._number

    def cancel(self, number: int) -> None:
        """Drop a request; when it is under way its child ends with it, within 0.5 s. No callback of it follows."""
        if self._current and self._current.number == number:
            self._end_child()
            self._drop()
        else:
            self.withdraw(number)

    def withdraw(self, number: int) -> None:
        """Drop a request that has not begun. One under way goes on, with its child; its owner need not listen."""
        self._waiting = deque(request for request in self._waiting if request.number != number)

    def close(self) -> None:
        """End the child and drop all requests; the client starts anew when it is asked again."""
        self._waiting.clear()
        self._end_child()
        self._drop()

    def poll(self) -> None:
        """Take what the child said, copy a piece of a volume, call the callbacks; returns after some 30 ms at most."""
        self._listen()
        if self._current is None and self._waiting:
            self._begin(self._waiting.popleft())
        self._copy()
        request = self._current
        if request and time.monotonic() - request.told >= _TICK_SECONDS:
            self._tell(request)

    def _begin(self, request: _Underway) -> None:
        self._current = request
        try:
            self.start()
            assert self._child
            request.folder = self._child.exchange / str(request.number)
            request.folder.mkdir()
        except (OSError, WriteError) as error:
            self._fail(f"the scan could not be handed over: {_reason(error)}")
            return
        request.run = self._times.begin(request.task.name(), not self._child.ready, time.monotonic())
        request.copying = request.task.send(request.folder, self._child)
        self._tell(request)

    def _listen(self) -> None:
        # A callback may cancel, close or ask for more: look afresh at every turn.
        while (child := self._child) and (message := child.next_event()):
            kind, request = message["event"], self._current
            if kind == "finished":
                self._child = None
                child.remove_files()
                if request:
                    self._fail(child.exit_message(message["ending"]))
            elif kind == "ready":
                child.ready = True
            elif request and message.get("id") == request.number:
                try:
                    self._hear(request, kind, message)
                except DocumentError as error:
                    self._fail(f"the segmentation process says what nobody understands: {error}")
                except (OSError, ValueError) as error:
                    self._fail(f"the result could not be fetched: {_reason(error)}")

    def _hear(self, request: _Underway, kind: str, message: dict[str, Any]) -> None:
        if kind == "progress" and request.run:
            step = read_as(StepMessage, message, kind)
            request.run.advance(step.stage, step.share, time.monotonic())
            self._tell(request)
        elif kind == "note":
            request.task.handlers.note(read_as(NoteMessage, message, kind).text)
        elif kind == "failed":
            self._fail(read_as(FailedMessage, message, kind).message)
        elif request.run and (steps := request.task.hear(kind, message, request.folder)) is not None:
            request.answered, request.copying = True, steps
            request.run.advance("receive", 0.0, time.monotonic())
            self._tell(request)

    def _copy(self) -> None:
        request, deadline = self._current, time.monotonic() + _COPY_SECONDS
        if not request or not request.copying:
            return
        try:
            for _ in request.copying:
                if time.monotonic() > deadline:
                    return
            request.copying = None
            if not request.answered:
                put_request(request.folder, {"id": request.number, **request.task.request(request.folder)})
                return
            tell = request.task.succeed(request.folder)
        except (OSError, ValueError) as error:
            what = "result could not be fetched" if request.answered else "scan could not be handed over"
            self._fail(f"the {what}: {_reason(error)}")
            return
        if request.run:
            self._times.learn(request.task.name(), request.run, time.monotonic())
        self._drop()
        tell()

    def _tell(self, request: _Underway) -> None:
        now = time.monotonic()
        request.told = now
        if request.run:
            left = request.run.seconds_left(now)
            run = request.run
            request.task.handlers.progress(SegmentationProgress(run.stage, run.overall(now), left))

    def _fail(self, message: str) -> None:
        request = self._current
        self._drop()
        if request:
            request.task.handlers.failed(message)

    def _drop(self) -> None:
        """Forget the request under way and remove its files."""
        request, self._current = self._current, None
        if request:
            if request.copying:
                request.copying = None  # Closes its file, which Windows would not remove else.
            if request.folder != Path():
                shutil.rmtree(request.folder, ignore_errors=True)

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child:
            child.transport.kill_tree()
            child.remove_files()


def _reason(error: Exception) -> str:
    return write_reason(error) if isinstance(error, OSError) else str(error)
