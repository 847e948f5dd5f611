"""Saving into the case store in a child process: volumes take seconds to compress, and the window must not wait."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import qt

from mtctl.geometry import Geometry
from mtctl.worker_child import child_environment
from mtctl.worker_exchange import write_steps
from mtctl.worker_protocol import Lines, decode, geometry_message
from MTCTLSegmentLib.process_transport import ProcessTransport

# Between two pieces of a volume that are written for the child.
_STEP_MS = 5


@dataclass(frozen=True)
class StoreRequest:
    """One write; see `mtctl.store_child`.

    Attributes:
        operation: "prediction", "accept", "reject" or "draft".
        arrays: By the names that the child knows, (z, y, x).
        content: What else the request holds.
    """

    operation: str
    arrays: Mapping[str, np.ndarray[Any, Any]]
    content: Mapping[str, Any] = field(default_factory=dict)


class StoreJob:
    """Writes requests one after the other; the first that fails ends it."""

    def __init__(self) -> None:
        self._waiting: deque[StoreRequest] = deque()
        self._copying: Iterator[None] | None = None
        self._folder: Path | None = None
        self._transport: ProcessTransport | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_STEP_MS)
        self._timer.connect("timeout()", self._copy)

    @property
    def running(self) -> bool:
        """Whether something is still being written."""
        return self._folder is not None

    def start(
        self,
        store: Path,
        geometry: Geometry,
        requests: list[StoreRequest],
        done: Callable[[dict[str, Any]], None],
        failed: Callable[[str], None],
        case: str | None = None,
    ) -> None:
        """Begin; `done` (with the child's last answer) or `failed` comes last. Arrays must not change meanwhile.

        Args: `case`: the case's id; None: it is found, or named, by the scan's voxels.
        """
        self._store, self._geometry, self._done, self._failed = store, geometry, done, failed
        self._waiting = deque(requests)
        self._case = case
        self._folder = Path(tempfile.mkdtemp(prefix="mtctl-store-"))
        self._next()

    def close(self) -> None:
        """Stop: what is half-written is not in the store."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._copy)
        self._end()

    def _next(self) -> None:
        self._copying = self._steps(self._waiting.popleft())
        self._timer.start()

    def _steps(self, request: StoreRequest) -> Iterator[None]:
        assert self._folder is not None
        for name, array in request.arrays.items():
            yield from write_steps(array, self._folder / f"{name}.npy")
        message = {
            "store": str(self._store),
            "operation": request.operation,
            "case": self._case,
            "geometry": geometry_message(self._geometry),
            "arrays": {name: str(self._folder / f"{name}.npy") for name in request.arrays},
            **request.content,
        }
        path = self._folder / "request.json"
        path.write_text(json.dumps(message), encoding="utf-8")
        yield
        self._run(path)

    def _copy(self) -> None:
        copying = self._copying
        try:
            if copying is None or next(copying, self) is self:
                self._timer.stop()
        except OSError as error:
            self._fail(f"the case could not be handed over: {error.strerror or error}")

    def _run(self, request: Path) -> None:
        self._lines, self._said, self._words = Lines(), [], Lines()
        self._answer: dict[str, Any] = {}
        self._transport = ProcessTransport()
        self._transport.start(
            sys.executable,
            ["-m", "mtctl.store_child", str(request)],
            child_environment(os.environ),
            self._hear,
            lambda piece: self._said.extend(self._words.add(piece)),
            self._finished,
        )

    def _hear(self, piece: bytes) -> None:
        for line in self._lines.add(piece):
            message = decode(line)
            if message and message.get("event") in ("done", "failed"):
                self._answer = message
            else:
                self._said.append(line)

    def _finished(self, ending: str) -> None:
        if self._transport is None:  # Closed meanwhile: killing the process ends it, and that is told at once.
            return
        self._transport = None
        if self._answer.get("event") == "done":
            self._case = str(self._answer["case"])
            if self._waiting:
                self._next()
            else:
                self._end()
                self._done(self._answer)
        elif self._answer:
            self._fail(str(self._answer["reason"]))
        else:
            words = "\n".join(self._said[-10:])
            self._fail(f"the process that saves cases ended unexpectedly ({ending})" + (f":\n{words}" if words else ""))

    def _fail(self, reason: str) -> None:
        self._end()
        self._failed(reason)

    def _end(self) -> None:
        folder, self._folder = self._folder, None
        transport, self._transport = self._transport, None
        self._copying = None
        self._timer.stop()
        self._waiting.clear()
        if transport is not None:
            transport.kill_tree()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
