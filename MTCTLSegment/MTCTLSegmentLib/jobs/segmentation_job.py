"""The segmentation under way: asks the warm child process, and listens to it with a timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import qt

from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers
from MTCTLSegmentLib.jobs.qprocess_transport import ProcessTransport

if TYPE_CHECKING:
    from mtctl.geometry import Volume
    from mtctl.inference.result import Result
    from mtctl.worker.requests import SegmentationProgress, Settings

# Twenty looks a second: what the child says is on the screen after 25 ms on average.
_LOOK_MS = 50


class SegmentationJob:
    """One segmentation at a time; the child with the loaded model stays for the next."""

    def __init__(self) -> None:
        self._client = WorkerClient(ProcessTransport)
        self._number: int | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_MS)
        self._timer.connect("timeout()", self._client.poll)

    @property
    def running(self) -> bool:
        """Whether a result is still to come."""
        return self._number is not None

    @property
    def device(self) -> str:
        """What the child computes on, in words; "" before it has said so."""
        return self._client.device

    def start(
        self,
        volume: Volume,
        settings: Settings,
        progress: Callable[[SegmentationProgress], None],
        note: Callable[[str], None],
        done: Callable[[Result], None],
        failed: Callable[[str], None],
    ) -> None:
        """Begin; `done` or `failed` comes last, neither after `cancel`. The volume must not change meanwhile."""

        def ended(then: Callable[..., None]) -> Callable[..., None]:
            def call(outcome: object) -> None:
                self._number = None
                then(outcome)

            return call

        self._number = self._client.segment(volume, settings, Handlers(progress, note, ended(done), ended(failed)))
        self._timer.start()

    def cancel(self) -> None:
        """Drop the segmentation under way; its process is gone on return."""
        number, self._number = self._number, None
        if number is not None:
            self._client.cancel(number)

    def close(self) -> None:
        """End the child process too: the module is reloaded, or the application ends."""
        self._number = None
        self._timer.stop()
        self._timer.disconnect("timeout()", self._client.poll)
        self._client.close()
