"""The segmentation under way, by the warm child process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mtctl.worker.requests import Handlers
from MTCTLSegmentLib.jobs.warm_worker import WarmWorker

if TYPE_CHECKING:
    from mtctl.geometry import Volume
    from mtctl.inference.result import Result
    from mtctl.worker.requests import SegmentationProgress, Settings


class SegmentationJob:
    """One segmentation at a time; the child with the loaded model stays for the next."""

    def __init__(self, worker: WarmWorker) -> None:
        self._worker, self._client = worker, worker.client
        self._number: int | None = None

    @property
    def running(self) -> bool:
        """Whether a result is still to come."""
        return self._number is not None

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
        self._worker.listen()

    def cancel(self) -> None:
        """Drop the segmentation under way; its process is gone on return."""
        number, self._number = self._number, None
        if number is not None:
            self._client.cancel(number)
