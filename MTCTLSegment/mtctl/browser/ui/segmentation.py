"""Segmentation of a scan while people look at the page: the warm process of `worker`, polled from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from mtctl.geometry import Volume
from mtctl.inference.result import Result
from mtctl.worker.client import WorkerClient
from mtctl.worker.requests import Handlers, SegmentationProgress, Settings

#: Seconds between two looks at the child: the progress moves smoothly.
_PERIOD = 0.05


@dataclass(frozen=True)
class RunningSegmentation:
    """A segmentation under way.

    Attributes:
        key: Of the case.
        number: Of the request, for the worker.
    """

    key: str
    number: int


class SegmentationRunner:
    """One segmentation at a time, with progress and cancel.

    Attributes:
        running: What is under way; None: nothing.
        settings: How scans are segmented.
        client: Of the warm process, which answers questions, too; it ends with `close`.
        asks: Whether questions are looked for.
    """

    def __init__(self, settings: Settings, client: WorkerClient | None = None, asks: bool = True) -> None:
        """Segment with these settings; `client` is for tests."""
        self.settings, self.asks = settings, asks
        self.client = client or WorkerClient()
        self._poller: asyncio.Task[None] | None = None
        self.running: RunningSegmentation | None = None

    def start(
        self,
        key: str,
        scan: Volume,
        progress: Callable[[SegmentationProgress], None],
        done: Callable[[str, Result], None],
        failed: Callable[[str, str], None],
    ) -> bool:
        """Begin; return False where another is under way. Callbacks come from the event loop, none after `cancel`.

        Args:
            key: Handed back to `done` and `failed`.
            scan: Its array must not change meanwhile.
            progress: At every step, and twice a second in between.
            done: The result.
            failed: Why there is none.
        """
        if self.running:
            return False

        def finished(result: Result) -> None:
            self.running = None
            done(key, result)

        def broken(why: str) -> None:
            self.running = None
            failed(key, why)

        handlers = Handlers(progress=progress, done=finished, failed=broken)
        self.running = RunningSegmentation(key, self.client.segment(scan, self.settings, handlers))
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        return True

    def cancel(self) -> None:
        """Cancel what is under way; its process ends within half a second."""
        running, self.running = self.running, None
        if running:
            self.client.cancel(running.number)

    def close(self) -> None:
        """End the process that segments."""
        if self._poller:
            self._poller.cancel()
        self.running = None
        self.client.close()

    async def _poll(self) -> None:
        while self.running:
            self.client.poll()
            await asyncio.sleep(_PERIOD)
