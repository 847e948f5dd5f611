"""Saving into the case store in a child process: volumes take seconds to compress, and the window must not wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mtctl.geometry import Geometry
from MTCTLSegmentLib.jobs.array_request import ArrayRequest, ChildProgram

_STORE = ChildProgram("mtctl.cases.store_process", "the process that saves cases", "store")


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
        self._request: ArrayRequest | None = None
        self._case: str | None = None

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
        self._tasks.clear()
        request, self._request = self._request, None
        if request is not None:
            request.cancel()

    def _begin(self) -> None:
        self._waiting = deque(self._tasks[0].requests)
        self._case = self._tasks[0].case
        self._next()

    def _next(self) -> None:
        request, task = self._waiting.popleft(), self._tasks[0]
        content = {
            "store": str(task.store),
            "operation": request.operation,
            "case": self._case,
            "geometry": task.geometry.to_json(),
            **request.content,
        }
        self._request = ArrayRequest(_STORE, request.arrays, content, self._request_done, self._request_failed)
        self._request.start()

    def _request_done(self, answer: dict[str, Any]) -> None:
        self._case = str(answer["case"])
        if self._waiting:
            self._next()
        else:
            self._end(lambda task: task.done(answer))

    def _request_failed(self, reason: str) -> None:
        self._end(lambda task: task.failed(reason))

    def _end(self, tell: Callable[[_StoreTask], None]) -> None:
        """End the task under way: tell whoever waits for it, and begin the next one."""
        self._request = None
        task = self._tasks.popleft()
        if self._tasks:
            self._begin()
        tell(task)
