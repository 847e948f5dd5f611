"""Commands of the page about whole cases: the work list, opening, deciding, segmenting."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from functools import partial

from mtctl.browser.ui import page_state
from mtctl.browser.ui.controller import ReviewController
from mtctl.browser.ui.open_case import CaseUnderReview
from mtctl.browser.ui.segmentation import SegmentationRunner
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.inference.result import Result
from mtctl.system.holds import BEAT
from mtctl.worker.requests import SegmentationProgress

#: Seconds between two looks at the folder that the page asks for.
_LOOK_EVERY = 1.0

#: Letters of a reason: a few words.
_LONGEST_REASON = 500


class CaseCommands:
    """Commands about whole cases. They raise `MtctlError`s, which `ReviewApplication` shows on the page."""

    def __init__(self, controller: ReviewController, segmentation: SegmentationRunner) -> None:
        self._controller, self._segmentation = controller, segmentation
        self._refreshed_at = -math.inf
        self._one = asyncio.Lock()  # one case is opened, decided on or given back at a time
        self._watching: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """List the cases and open the first that is left; one that nobody else has open, where there is one."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        await self.refresh()
        entries = list(self._controller.entries.values())
        left = [entry for entry in entries if entry.stage.is_open] or entries[:1]
        if first := next((entry for entry in left if not entry.held), left[0] if left else None):
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
        async with self._one:
            await controller.save()
            before = controller.key
            with controller.busy(f"Opening {entry.name} …"):
                try:
                    opened = await controller.in_thread(partial(controller.source.open, key))
                    await controller.save()  # what another tab did meanwhile
                    case = CaseUnderReview(key, entry.name, opened) if opened.data else None
                    controller.show_case(key, opened.scan, case, opened.holder)
                finally:
                    for other in (before, key):
                        if other is not None and other != controller.key:
                            await controller.in_thread(partial(controller.source.close, other))
                controller.state.notice = page_state.notice(" ".join(opened.notes))

    async def take_over(self) -> None:
        """Take the case on the screen from whoever has it open."""
        controller, key = self._controller, self._controller.key
        if key is not None and controller.holder:
            await controller.in_thread(partial(controller.source.take_over, key))
            await self.open(key)

    async def prefer_ours(self) -> None:
        """Go on with what is on the screen where another person stored a review of the same case."""
        controller = self._controller
        async with self._one:
            case = controller.case
            session, mask = case.snapshot()
            done = await controller.in_thread(partial(controller.source.prefer_ours, case.key, session, mask))
            controller.show_holder(None)
            controller.state.update({"disputed": "", "notice": page_state.notice(done, "good")})
        await self.refresh()

    async def look_after_hold(self) -> None:
        """Give a sign of life of the case on the screen; show it where somebody took it over, or gave it back."""
        controller = self._controller
        async with self._one:
            key, before = controller.key, controller.holder
            if key is None:
                return
            try:
                holder = await controller.in_thread(partial(controller.source.keep, key))
                if holder:
                    await controller.save()  # beside the other's
            except (MtctlError, OSError):
                return  # where something is to be saved, the page says so
            with controller.state:
                if holder:
                    controller.show_holder(holder)
        if before and not holder:
            await self.open(key)
            controller.state.notice = page_state.notice("the case is free now: go on with it", "good")
        elif holder and not before:
            await self.refresh()

    async def add_scan(self, volume: Volume, name: str, remarks: Sequence[str] = ()) -> str:
        """Add a scan that came from a browser, and show it with what is remarked of its file; return its key."""
        key: str = await self._controller.in_thread(partial(self._controller.source.add_scan, volume, name))
        await self.refresh()
        await self.open(key)
        if remarks:
            said = " ".join(f"{remark}." for remark in remarks)
            self._controller.state.notice = page_state.notice(f"{name}: {said}")
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
        """Save the review, give the case back, and end the process that segments."""
        if self._watching:
            self._watching.cancel()
        controller = self._controller
        try:
            await controller.save()
        finally:
            controller.questions.close()
            self._segmentation.close()
            controller.measurer.close()
            if controller.key is not None:
                await controller.in_thread(partial(controller.source.close, controller.key))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await self._controller.reported(self.look_after_hold())

    async def _decide(self, decide: Callable[[CaseUnderReview], None], store: Callable[..., str]) -> None:
        """Decide on the case and store that; where it cannot be stored, the case is as open as before."""
        controller = self._controller
        controller.discard()
        async with self._one:
            await controller.save()
            case = controller.case
            before = case.session.state
            decide(case)
            controller.questions.leave()
            decided = case.session.state
            session, mask = case.snapshot()
            with controller.busy("Writing to the case store …"):
                try:
                    done = await controller.in_thread(partial(store, case.key, session, mask))
                except Exception:
                    if case.session.state is decided:
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
