"""Commands of the page about whole cases: the work list, opening, deciding, segmenting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from mtctl.browser.ui import page_state
from mtctl.browser.ui.controller import ReviewController
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.segmentation import SegmentationRunner
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.inference.result import Result
from mtctl.worker.requests import SegmentationProgress

#: Seconds between two looks at the folder that the page asks for.
_LOOK_EVERY = 1.0

#: Letters of a reason: a few page_state.
_LONGEST_REASON = 500


class CaseCommands:
    """Commands about whole cases. They raise `MtctlError`s, which `ReviewApplication` shows on the page."""

    def __init__(self, controller: ReviewController, segmentation: SegmentationRunner) -> None:
        self._controller, self._segmentation = controller, segmentation
        self._refreshed_at = -math.inf

    async def begin(self) -> None:
        """List the cases and open the first that is left."""
        await self.refresh()
        entries = list(self._controller.entries.values())
        first = next((entry for entry in entries if entry.stage.is_open), entries[0] if entries else None)
        if first:
            await self.open(first.key)

    async def refresh_if_due(self) -> None:
        """List the cases anew, unless that was done just now."""
        if time.monotonic() - self._refreshed_at > _LOOK_EVERY:
            await self.refresh()

    async def refresh(self) -> None:
        """List the cases anew."""
        self._refreshed_at = time.monotonic()
        entries = await self._controller.in_thread(self._controller.source.entries)
        self._controller.entries = {entry.key: entry for entry in entries}
        with self._controller.state as state:
            state.update(page_state.work_list_state(entries))

    async def open(self, key: str) -> None:
        """Show a case of the work list."""
        controller, entry = self._controller, self._controller.entry(key)
        await controller.save()
        with controller.busy(f"Opening {entry.name} …"):
            opened = await controller.in_thread(partial(controller.source.open, key))
            controller.show_case(key, opened.scan, CaseUnderReview(key, entry.name, opened) if opened.data else None)
            controller.state.notice = page_state.notice(" ".join(opened.notes))

    async def add_scan(self, volume: Volume, name: str) -> str:
        """Add a scan that came from a browser, and show it; return its key."""
        key: str = await self._controller.in_thread(partial(self._controller.source.add_scan, volume, name))
        await self.refresh()
        await self.open(key)
        return key

    async def accept(self) -> None:
        """Store that the person vouches for the segmentation."""
        await self._decide(lambda case: case.session.accept_case(), self._controller.source.accept)

    async def reject(self, reason: str) -> None:
        """Store that the case is unusable."""
        shortened = str(reason)[:_LONGEST_REASON]
        await self._decide(lambda case: case.session.reject_case(shortened), self._controller.source.reject)

    def reopen(self) -> None:
        """Withdraw the decision."""
        self._controller.case.session.reopen_case()
        self._controller.review_changed()

    def segment(self) -> None:
        """Segment the scan on the screen."""
        controller = self._controller
        if controller.key is None or controller.scan is None:
            raise MtctlError("drop a scan on the page first")
        if not self._segmentation.start(
            controller.key, controller.scan, self._on_progress, self._on_result, self._on_failure
        ):
            raise MtctlError("another scan is being segmented: wait, or cancel that")
        controller.state.progress = {"stage": "Starting", "percent": 0, "left": ""}

    def cancel(self) -> None:
        """Cancel the segmentation under way."""
        self._segmentation.cancel()
        self._controller.state.progress = None

    async def close(self) -> None:
        """Save the review, and end the process that segments."""
        try:
            await self._controller.save()
        finally:
            self._segmentation.close()

    async def _decide(self, decide: Callable[[CaseUnderReview], None], store: Callable[..., str]) -> None:
        """Decide on the case and store that; where it cannot be stored, the case is as open as before."""
        controller = self._controller
        controller.discard()
        await controller.save()
        case = controller.case
        before = case.session.state
        decide(case)
        session, mask = case.snapshot()
        with controller.busy("Writing to the case store …"):
            try:
                done = await controller.in_thread(partial(store, case.key, session, mask))
            except MtctlError:
                case.session.state = before
                controller.mark_unsaved()
                raise
            controller.state.notice = page_state.notice(f"{case.name}: {done}", "good")
            controller.update_page()
        await self.refresh()

    def _on_progress(self, progress: SegmentationProgress) -> None:
        with self._controller.state as state:
            state.progress = page_state.progress_state(progress)

    def _on_result(self, key: str, result: Result) -> None:
        self._controller.run(self._store_result(key, result))

    def _on_failure(self, key: str, why: str) -> None:
        with self._controller.state as state:
            state.progress = None
            state.notice = page_state.notice(f"The segmentation failed: {why}")

    async def _store_result(self, key: str, result: Result) -> None:
        controller = self._controller
        try:
            await controller.in_thread(partial(controller.source.add_result, key, result))
        finally:
            with controller.state as state:
                state.progress = None
        await self.refresh()
        if controller.key == key:
            await self.open(key)
