"""One request to a child process that answers in lines of JSON: the window never waits for a disk or a share."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mtctl_train
from mtctl.processes.launcher import ending_of, sealed
from mtctl.worker.child import child_environment
from mtctl.worker.protocol import Lines, decode
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport

Events = list[dict[str, Any]]

_LAST_LINES = 6


class Errand:
    """One request, its process and its answer."""

    def __init__(
        self, module: str, request: dict[str, Any], done: Callable[[Events], None], failed: Callable[[str], None]
    ) -> None:
        """Nothing runs yet.

        Args:
            module: What Python runs, with the request as its argument (JSON, `launcher.sealed`).
            request: Plain data.
            done: Called with everything that was found.
            failed: Called with a sentence instead.
        """
        self._module, self._request, self._done, self._failed = module, request, done, failed
        self._output, self._error = Lines(), Lines()
        self._events: Events = []
        self._words: deque[str] = deque(maxlen=_LAST_LINES)
        self._transport: ProcessTransport | None = None

    def start(self) -> None:
        """Start the process; where it cannot be started, `failed` may be called before this returns."""
        self._transport = ProcessTransport()
        self._transport.start(
            sys.executable,
            ["-m", self._module, sealed(json.dumps(self._request))],
            _environment(),
            self._hear,
            lambda piece: self._words.extend(self._error.add(piece)),
            self._finished,
        )

    def drop(self) -> None:
        """End it; neither `done` nor `failed` follows."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.kill_tree()

    def _hear(self, piece: bytes) -> None:
        for line in self._output.add(piece):
            message = decode(line)
            if message and "event" in message:
                self._events.append(message)
            else:  # A launcher's or a library's chatter.
                self._words.append(line)

    def _finished(self, ending: str) -> None:
        if self._transport is None:  # Dropped meanwhile.
            return
        self._transport = None
        last = self._events[-1] if self._events else {}
        if last.get("event") == "done":
            self._done(self._events[:-1])
        elif last.get("event") == "failed":
            self._failed(str(last["reason"]))
        else:
            ending, said = ending_of(ending, self._words)
            words = "\n".join(said)
            self._failed(f"the process {self._module} ended unexpectedly ({ending})\n{words}".strip())


def _environment() -> dict[str, str]:
    environment = child_environment(os.environ)
    packages = str(Path(mtctl_train.__file__).resolve().parents[1])
    return environment | {"PYTHONPATH": os.pathsep.join([packages, environment["PYTHONPATH"]])}
