"""Saving into the case store in a child process: volumes take seconds to compress, and the window must not wait."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import qt

from mtctl.errors import MtctlError
from mtctl.geometry import Geometry
from mtctl.processes.arrays import write_steps
from mtctl.processes.launcher import child_environment
from mtctl.processes.request import Events, RequestProcess
from mtctl.system.temporary import make_own_folder
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport

# Between two pieces of a volume that are written for the child.
_STEP_MS = 5

# What is done piece by piece, and what comes after it.
Steps = Generator[None, None, Callable[[], None]]


@dataclass(frozen=True)
class StoreRequest:
    """One write; see `mtctl.cases.store_process`.

    Attributes:
        operation: "prediction", "accept", "reject" or "draft".
        arrays: By the names that the child knows, (z, y, x). They must not change before the job is done.
        content: What else the request holds.
    """

    operation: str
    arrays: Mapping[str, np.ndarray[Any, Any]]
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _StoreTask:
    """Requests that belong together: the first that fails ends it."""

    store: Path
    geometry: Geometry
    requests: list[StoreRequest]
    done: Callable[[dict[str, Any]], None]
    failed: Callable[[str], None]
    case: str | None


class StoreJob:
    """Does tasks one after the other, and the requests of each; a writer is never stopped for the next one."""

    def __init__(self) -> None:
        self._tasks: deque[_StoreTask] = deque()  # The first is under way.
        self._waiting: deque[StoreRequest] = deque()
        self._copying: Steps | None = None
        self._folder: Path | None = None
        self._process: RequestProcess | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_STEP_MS)
        self._timer.connect("timeout()", self._copy)

    @property
    def running(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._tasks)

    def start(
        self,
        store: Path,
        geometry: Geometry,
        requests: list[StoreRequest],
        done: Callable[[dict[str, Any]], None],
        failed: Callable[[str], None],
        case: str | None = None,
    ) -> None:
        """Begin, or begin when what is under way is done; `done` or `failed` comes last, never before this returns.

        Args:
            store: Folder of the store.
            geometry: Grid of all arrays.
            requests: What to write, in order.
            done: Called with the child's last answer.
            failed: Called with the reason, in words.
            case: The case's id; None: it is found, or named, by the scan's voxels.
        """
        self._tasks.append(_StoreTask(store, geometry, requests, done, failed, case))
        if len(self._tasks) == 1:
            self._begin()

    def close(self) -> None:
        """Stop: what is half-written is not in the store."""
        self._timer.disconnect("timeout()", self._copy)
        self._tasks.clear()
        self._clear()

    def _begin(self) -> None:
        self._waiting = deque(self._tasks[0].requests)
        self._case = self._tasks[0].case
        self._copying = self._first_steps()
        self._timer.start()

    def _first_steps(self) -> Steps:
        self._folder = make_own_folder("store")
        return (yield from self._steps(self._waiting.popleft()))

    def _next(self) -> None:
        self._copying = self._steps(self._waiting.popleft())
        self._timer.start()

    def _steps(self, request: StoreRequest) -> Steps:
        assert self._folder is not None
        for name, array in request.arrays.items():
            yield from write_steps(array, self._folder / f"{name}.npy")
        message = {
            "store": str(self._tasks[0].store),
            "operation": request.operation,
            "case": self._case,
            "geometry": self._tasks[0].geometry.to_json(),
            "arrays": {name: str(self._folder / f"{name}.npy") for name in request.arrays},
            **request.content,
        }
        path = self._folder / "request.json"
        path.write_text(json.dumps(message), encoding="utf-8")
        return lambda: self._run(path)

    def _copy(self) -> None:
        if self._copying is None:
            return
        try:
            next(self._copying)
            return
        except StopIteration as last:
            then = last.value
        except (MtctlError, OSError) as error:
            reason = f"the case could not be handed over: {getattr(error, 'strerror', None) or error}"
            then = partial(self._end, lambda task: task.failed(reason))
        self._timer.stop()
        self._copying = None
        then()

    def _run(self, request: Path) -> None:
        self._process = RequestProcess(
            ProcessTransport(),
            "the process that saves cases",
            ("mtctl.cases.store_process", str(request)),
            child_environment(os.environ),
            self._request_done,
            self._request_failed,
        )
        self._process.start()

    def _request_done(self, events: Events) -> None:
        self._process, answer = None, events[-1]
        self._case = str(answer["case"])
        if self._waiting:
            self._next()
        else:
            self._clean_up(lambda task: task.done(answer))

    def _request_failed(self, reason: str) -> None:
        self._process = None
        self._clean_up(lambda task: task.failed(reason))

    def _clean_up(self, tell: Callable[[_StoreTask], None]) -> None:
        self._copying = self._last_steps(tell)
        self._timer.start()

    def _last_steps(self, tell: Callable[[_StoreTask], None]) -> Steps:
        """Remove what was copied file by file: a gigabyte at once would hold up the window for a tenth of a second."""
        with suppress(OSError):
            for path in list(self._folder.iterdir()) if self._folder is not None else []:
                path.unlink()
                yield
        return lambda: self._end(tell)

    def _end(self, tell: Callable[[_StoreTask], None]) -> None:
        """End the task under way: tell whoever waits for it, and begin the next one."""
        self._clear()
        task = self._tasks.popleft()
        if self._tasks:
            self._begin()
        tell(task)

    def _clear(self) -> None:
        folder, self._folder = self._folder, None
        process, self._process = self._process, None
        self._copying = None
        self._timer.stop()
        self._waiting.clear()
        if process is not None:
            process.cancel()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
