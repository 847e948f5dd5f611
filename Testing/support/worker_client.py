"""A client of the worker as a window drives it, and what it heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mtctl.geometry import Volume
from mtctl.inference.result import Result
from mtctl.processes.transport import SubprocessTransport
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers, SegmentationProgress, Settings

#: Long, for machines that are busy with other things; nothing here waits for it to pass.
PATIENCE = 300.0


@dataclass
class Heard:
    """What the handlers of one request were told."""

    progress: list[SegmentationProgress] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    result: Result | None = None
    failure: str = ""

    def handlers(self) -> Handlers:
        return Handlers(self.progress.append, self.notes.append, self._done, self._failed)

    def ended(self) -> bool:
        return self.result is not None or bool(self.failure)

    def stages(self) -> list[str]:
        return list(dict.fromkeys(progress.stage for progress in self.progress))

    def _done(self, result: Result) -> None:
        assert not self.ended()
        self.result = result

    def _failed(self, message: str) -> None:
        assert not self.ended()
        self.failure = message


def printed(client: WorkerClient) -> str:
    """What the child printed last that was no message."""
    return "\n".join(client._child.output.lines) if client._child else ""


def drive(client: WorkerClient, until: Callable[[], bool]) -> None:
    """Poll as a window does."""
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, f"waited for ever; the child said: {printed(client)}"
        client.poll()
        time.sleep(0.01)


def ask(client: WorkerClient, volume: Volume, settings: Settings | None = None) -> Heard:
    answer = Heard()
    client.segment(volume, settings or Settings(), answer.handlers())
    drive(client, answer.ended)
    return answer


def child_pid(client: WorkerClient) -> int:
    assert client._child and isinstance(client._child.transport, SubprocessTransport)
    assert client._child.transport._process
    return client._child.transport._process.pid


def exchange_of(client: WorkerClient) -> Path:
    assert client._child
    return client._child.exchange
