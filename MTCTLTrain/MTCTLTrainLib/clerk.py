"""Errands in a child process: listing and opening cases, publishing; the window never waits for a disk or a share."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mtctl_train
from mtctl.worker_child import child_environment
from mtctl.worker_protocol import Lines, decode
from MTCTLSegmentLib.process_transport import ProcessTransport

Events = list[dict[str, Any]]

_LAST_LINES = 6


class Clerk:
    """Runs errands of `mtctl_train.clerk`, one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[dict[str, Any], Callable[[Events], None], Callable[[str], None]]] = deque()
        self._transport: ProcessTransport | None = None

    def ask(self, request: dict[str, Any], done: Callable[[Events], None], failed: Callable[[str], None]) -> None:
        """Run an errand; `done` with everything that was found, or `failed` with a sentence, comes last."""
        self._waiting.append((request, done, failed))
        if self._transport is None:
            self._next()

    def close(self) -> None:
        """Drop what is under way."""
        self._waiting.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.kill_tree()

    def _next(self) -> None:
        if not self._waiting:
            return
        request, self._done, self._failed = self._waiting.popleft()
        self._output, self._error = Lines(), Lines()
        self._events: Events = []
        self._words: deque[str] = deque(maxlen=_LAST_LINES)
        self._transport = ProcessTransport()
        self._transport.start(
            sys.executable,
            ["-m", "mtctl_train.clerk", json.dumps(request)],
            _environment(),
            self._hear,
            lambda piece: self._words.extend(self._error.add(piece)),
            self._finished,
        )

    def _hear(self, piece: bytes) -> None:
        for line in self._output.add(piece):
            message = decode(line)
            if message and "event" in message:
                self._events.append(message)
            else:  # A launcher's or a library's chatter.
                self._words.append(line)

    def _finished(self, ending: str) -> None:
        if self._transport is None:  # Closed meanwhile.
            return
        self._transport = None
        events, done, failed = self._events, self._done, self._failed
        last = events[-1] if events else {}
        try:
            if last.get("event") == "done":
                done(events[:-1])
            elif last.get("event") == "failed":
                failed(str(last["reason"]))
            else:
                words = "\n".join(self._words)
                failed(f"the process that looks into the case store ended unexpectedly ({ending})\n{words}".strip())
        finally:
            if self._transport is None:
                self._next()


def _environment() -> dict[str, str]:
    environment = child_environment(os.environ)
    packages = str(Path(mtctl_train.__file__).resolve().parents[1])
    return environment | {"PYTHONPATH": os.pathsep.join([packages, environment["PYTHONPATH"]])}
